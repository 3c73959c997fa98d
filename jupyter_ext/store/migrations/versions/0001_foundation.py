"""Accounts and keys, operations, servers, containers and images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table of the first version."""
    _store()
    _accounts()
    _operations()
    _containers()


def _store() -> None:
    op.create_table(
        "store_facts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_store_facts"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("boot_id", sa.String(128), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("pid_started", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
    )


def _accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("permissions", JSON, nullable=False),
        sa.Column("password", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_login", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", JSON),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_api_keys_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_api_keys_user_kind", "api_keys", ["user_id", "kind"])


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("progress", sa.Double()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("log", JSON, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("input", JSON, nullable=False),
        sa.Column("result", JSON),
        sa.Column("error", JSON),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("recovery_due", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
    )
    op.create_index("ix_operations_owner_created", "operations", ["owner", "created_at"])
    op.create_index("ix_operations_state", "operations", ["state"])
    op.create_index("ix_operations_server", "operations", ["server"])
    op.create_table(
        "idempotency_keys",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.String(128), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _containers() -> None:
    op.create_table(
        "containers",
        sa.Column("cid", sa.Integer(), sa.Identity(start=1), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("engine_id", sa.String(64)),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("image", sa.String(512), nullable=False),
        sa.Column("server", sa.String(64)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("cid", name="pk_containers"),
        sa.UniqueConstraint("owner", "name", name="uq_containers_owner_name"),
        sa.UniqueConstraint("device", "engine_id", name="uq_containers_device_engine_id"),
        # Numbers are never given twice, on SQLite as little as on PostgreSQL.
        sqlite_autoincrement=True,
    )
    op.create_index("ix_containers_owner", "containers", ["owner"])
    op.create_table(
        "container_ports",
        sa.Column("device", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("cid", sa.Integer(), nullable=False),
        sa.Column("container_port", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("device", "port", "protocol", name="pk_container_ports"),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_container_ports_cid", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_container_ports_cid", "container_ports", ["cid"])
    op.create_table(
        "images",
        sa.Column("iid", sa.Integer(), sa.Identity(start=2), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("engine_id", sa.String(80)),
        sa.Column("owner", sa.String(64)),
        sa.Column("puller", sa.String(64)),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("iid", name="pk_images"),
        sa.UniqueConstraint("device", "engine_id", name="uq_images_device_engine_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_images_owner", "images", ["owner"])
