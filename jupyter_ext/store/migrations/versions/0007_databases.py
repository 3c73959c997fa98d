"""Databases, who may use them, and the roles of their users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of databases."""
    op.create_table(
        "databases",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("making", sa.String(64)),
        sa.PrimaryKeyConstraint("name", name="pk_databases"),
        sa.ForeignKeyConstraint(["owner"], ["users.id"], name="fk_databases_owner_users"),
    )
    op.create_index("ix_databases_owner", "databases", ["owner"])
    op.create_table(
        "database_uses",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", "user_id", name="pk_database_uses"),
        sa.ForeignKeyConstraint(
            ["name"],
            ["databases.name"],
            name="fk_database_uses_name_databases",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_database_uses_user_id_users",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_database_uses_user_id", "database_uses", ["user_id"])
    op.create_table(
        "database_roles",
        sa.Column("role", sa.String(63), nullable=False),
        sa.Column("user_id", sa.String(64)),
        sa.Column("password", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("role", name="pk_database_roles"),
        sa.UniqueConstraint("user_id", name="uq_database_roles_user_id"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_database_roles_user_id_users",
            ondelete="CASCADE",
        ),
    )
