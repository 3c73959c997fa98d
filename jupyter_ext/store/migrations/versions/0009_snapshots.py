"""Snapshots: one name over databases, files and containers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Add the table of snapshots."""
    op.create_table(
        "snapshots",
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_snapshots"),
        sa.UniqueConstraint("owner", "name", name="uq_snapshots_owner_name"),
        sa.ForeignKeyConstraint(["owner"], ["users.id"], name="fk_snapshots_owner_users"),
    )
