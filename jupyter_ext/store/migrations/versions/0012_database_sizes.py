"""How large each database is, which counts for its owner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count nothing until they are measured."""
    size = sa.Column("size", sa.BigInteger(), server_default="0", nullable=False)
    op.add_column("databases", size)
