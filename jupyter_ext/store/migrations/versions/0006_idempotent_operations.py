"""What a request with an Idempotency-Key began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the operation to the keys."""
    op.add_column("idempotency_keys", sa.Column("operation", sa.String(64)))
