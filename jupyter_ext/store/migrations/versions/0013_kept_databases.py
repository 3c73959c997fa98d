"""How long databases are kept that restores replaced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep those that are there until somebody deletes them, as they were told."""
    until = sa.Column("kept_until", sa.DateTime(timezone=True), nullable=True)
    op.add_column("databases", until)
