"""Devices, GPUs, who holds and who waits for them, and how long containers are idle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add what the ledger of devices needs."""
    op.create_table(
        "devices",
        sa.Column("did", sa.Integer(), sa.Identity(start=1), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("cpu_millis", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("cpu_name", sa.String(128), nullable=False),
        sa.Column("used_cpu_millis", sa.BigInteger(), nullable=False),
        sa.Column("used_memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(512), nullable=False, server_default=""),
        sa.Column("host_key", sa.Text(), nullable=False, server_default=""),
        sa.Column("certificates", sa.Text(), nullable=False, server_default=""),
        sa.Column("bind_address", sa.String(64), nullable=False, server_default=""),
        sa.Column("engine", sa.String(128)),
        sa.Column("node", sa.String(64)),
        sa.Column("node_state", sa.String(16), nullable=False, server_default=""),
        sa.Column("node_since", MOMENT),
        sa.Column("node_address", sa.String(512), nullable=False, server_default=""),
        sa.Column("draining_since", MOMENT),
        sa.Column("lost_since", MOMENT),
        sa.Column("reached_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("did", name="pk_devices"),
        sa.UniqueConstraint("name", name="uq_devices_name"),
        # An engine that was not reached yet has none, and so may several.
        sa.UniqueConstraint("engine", name="uq_devices_engine"),
        sa.UniqueConstraint("node", name="uq_devices_node"),
        sqlite_autoincrement=True,
    )
    # The machine's own engine is the first, before anybody reached it.
    op.execute(
        "INSERT INTO devices (name, cpu_millis, memory_bytes, cpu_name, used_cpu_millis, "
        "used_memory_bytes, created_at) VALUES ('local', 0, 0, '', 0, 0, CURRENT_TIMESTAMP)"
    )
    op.create_table(
        "gpus",
        sa.Column("gid", sa.Integer(), sa.Identity(start=1), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(128), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.String(128)),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("foreign", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("gid", name="pk_gpus"),
        sa.ForeignKeyConstraint(
            ["device"], ["devices.did"], name="fk_gpus_device", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("device", "uuid", name="uq_gpus_device_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_gpus_device", "gpus", ["device"])
    _held()
    _idle()


def _held() -> None:
    op.create_table(
        "reservations",
        sa.Column("cid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("cpu_millis", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("server", sa.String(64)),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("cid", name="pk_reservations"),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_reservations_cid", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_reservations_device", "reservations", ["device"])
    op.create_table(
        "gpu_claims",
        sa.Column("gid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cid", sa.Integer(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("gid", "slot", name="pk_gpu_claims"),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_gpu_claims_cid", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_gpu_claims_cid", "gpu_claims", ["cid"])
    op.create_table(
        "gpu_requests",
        sa.Column("number", sa.Integer(), sa.Identity(start=1), nullable=False),
        sa.Column("cid", sa.Integer(), nullable=False),
        sa.Column("wish", JSON, nullable=False),
        sa.Column("granted", JSON),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("granted_at", MOMENT),
        sa.PrimaryKeyConstraint("number", name="pk_gpu_requests"),
        sa.UniqueConstraint("cid", name="uq_gpu_requests_cid"),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_gpu_requests_cid", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_gpu_requests_server", "gpu_requests", ["server"])
    op.add_column("containers", sa.Column("gpus", JSON))
    op.add_column("containers", sa.Column("password", sa.Text()))
    op.add_column(
        "containers", sa.Column("gpu_count", sa.Integer(), nullable=False, server_default="0")
    )


def _idle() -> None:
    op.create_table(
        "idle_clocks",
        sa.Column("cid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("kept_until", MOMENT),
        sa.Column("warned_at", MOMENT),
        sa.Column("server", sa.String(64)),
        sa.Column("stopped_at", MOMENT),
        sa.Column("reason", sa.String(16)),
        sa.PrimaryKeyConstraint("cid", name="pk_idle_clocks"),
        sa.ForeignKeyConstraint(
            ["cid"], ["containers.cid"], name="fk_idle_clocks_cid", ondelete="CASCADE"
        ),
    )
