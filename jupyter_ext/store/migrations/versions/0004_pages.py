"""Pages of containers: who has opened which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add tickets and sessions."""
    op.create_table(
        "page_visits",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("opened", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("cid", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("engine_id", sa.String(64), nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("credential", sa.String(100), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_page_visits"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_page_visits_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_page_visits_cid_containers", ondelete="CASCADE"
        ),
    )
    for column in ("user_id", "cid", "expires_at"):
        op.create_index(f"ix_page_visits_{column}", "page_visits", [column])
