"""What the store knows of devices, their GPUs, and who holds or waits for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import SafeJson, UtcDateTime

LOCAL_DEVICE = 1
"""The device that is the machine's own engine."""


class DeviceRecord(Base):
    """A host with an engine, and the sums of what its running containers take."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("name", name="uq_devices_name"),
        UniqueConstraint("engine", name="uq_devices_engine"),
        UniqueConstraint("node", name="uq_devices_node"),
        {"sqlite_autoincrement": True},
    )

    did: Mapped[int] = mapped_column(Integer, Identity(start=LOCAL_DEVICE), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    cpu_millis: Mapped[int] = mapped_column(BigInteger, default=0)
    """Thousandths of a processor that it has; 0 until its engine was reached."""
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    cpu_name: Mapped[str] = mapped_column(String(128), default="")
    """The processor's model; empty where nobody could tell."""
    used_cpu_millis: Mapped[int] = mapped_column(BigInteger, default=0)
    used_memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    address: Mapped[str] = mapped_column(String(512), default="", server_default="")
    """Of its engine, ``ssh://…`` or ``tcp://…``; empty for the machine's own."""
    host_key: Mapped[str] = mapped_column(Text, default="", server_default="")
    """The host's public key for ssh, as ``known_hosts`` has it: no other one is accepted."""
    certificates: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for TLS."""
    bind_address: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """What ports of its containers are bound to; empty for the machine's own default."""
    engine: Mapped[str | None] = mapped_column(String(128))
    """The engine's own id, so that no host is two devices; None until it was reached."""
    node: Mapped[str | None] = mapped_column(String(64))
    """Its id in the swarm that the machine's own engine manages; None of what is in none."""
    node_state: Mapped[str] = mapped_column(String(16), default="", server_default="")
    """What the swarm says: ``ready``, ``pause``, ``drain``, ``down``, or ``left``."""
    node_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it says so."""
    node_address: Mapped[str] = mapped_column(String(512), default="", server_default="")
    """The address that came from the node's label; another one was given by hand."""
    draining_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when nothing new is placed there."""
    lost_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when a server can't reach it; None while it answers."""
    reached_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a server began to reach it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class GpuRecord(Base):
    """A GPU, or a slice of one that MIG cut; its number means it on every device."""

    __tablename__ = "gpus"
    __table_args__ = (
        UniqueConstraint("device", "uuid", name="uq_gpus_device_uuid"),
        {"sqlite_autoincrement": True},
    )

    gid: Mapped[int] = mapped_column(Integer, Identity(start=1), primary_key=True)
    device: Mapped[int] = mapped_column(
        ForeignKey("devices.did", ondelete="CASCADE", name="fk_gpus_device"), index=True
    )
    uuid: Mapped[str] = mapped_column(String(128))
    """The driver's, ``GPU-…`` or ``MIG-…``: what containers are given it by."""
    model: Mapped[str] = mapped_column(String(128))
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    parent: Mapped[str | None] = mapped_column(String(128))
    """Of a slice, the card's UUID."""
    slots: Mapped[int] = mapped_column(Integer, default=1)
    """Containers that may hold it at once: one has it for itself."""
    present: Mapped[bool] = mapped_column(default=True)
    """Whether the device still has it; a number is never given to another one."""
    foreign: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether a task of the swarm has it, of which no container here knows."""


class Reservation(Base):
    """What a running container takes of its device, from its start to its stop."""

    __tablename__ = "reservations"

    cid: Mapped[int] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE", name="fk_reservations_cid"),
        primary_key=True,
        autoincrement=False,
    )
    device: Mapped[int] = mapped_column(Integer, index=True)
    cpu_millis: Mapped[int] = mapped_column(BigInteger)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    server: Mapped[str | None] = mapped_column(String(64))
    """The server process that is starting the container, None once it runs."""
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class GpuClaim(Base):
    """A place on a GPU that one container has; the key decides who gets it."""

    __tablename__ = "gpu_claims"

    gid: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    cid: Mapped[int] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE", name="fk_gpu_claims_cid"), index=True
    )
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class GpuRequest(Base):
    """Somebody who waits for GPUs; who came first has the lower number."""

    __tablename__ = "gpu_requests"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(Integer, Identity(start=1), primary_key=True)
    cid: Mapped[int] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE", name="fk_gpu_requests_cid"), unique=True
    )
    wish: Mapped[dict[str, Any]] = mapped_column(SafeJson)
    granted: Mapped[list[int] | None] = mapped_column(SafeJson)
    """The GPUs, once it is its turn."""
    server: Mapped[str] = mapped_column(String(64), index=True)
    """The server process that waits for it."""
    waits: Mapped[bool] = mapped_column()
    """Whether an operation waits for it, with which whoever takes over goes on."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
