"""What the repository does not know of backups, and clusters that restores left beside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Add the tables of backups and of restored clusters."""
    op.create_table(
        "backups",
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("asked", JSON, nullable=False),
        sa.Column("holders", JSON, nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("label", name="pk_backups"),
        sa.UniqueConstraint("id", name="uq_backups_id"),
        sa.ForeignKeyConstraint(
            ["owner"], ["users.id"], name="fk_backups_owner_users", ondelete="SET NULL"
        ),
    )
    op.create_table(
        "side_clusters",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("backup", sa.String(64), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_side_clusters"),
    )
