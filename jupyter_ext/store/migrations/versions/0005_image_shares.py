"""Images that their owners share with some users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who may use whose image."""
    op.create_table(
        "image_shares",
        sa.Column("iid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("iid", "user_id", name="pk_image_shares"),
        sa.ForeignKeyConstraint(
            ["iid"], ["images.iid"], name="fk_image_shares_iid_images", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_image_shares_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_image_shares_user_id", "image_shares", ["user_id"])
