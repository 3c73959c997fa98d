"""Pages of the server's own services, which no container serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a visit be of no container."""
    with op.batch_alter_table("page_visits") as table:
        table.alter_column("cid", existing_type=sa.Integer(), nullable=True)
