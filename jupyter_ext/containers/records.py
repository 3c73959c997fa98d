"""What only we know of containers and images: numbers, owners, and claims on names and ports.

Everything else (state, image, mounts, limits) is the engine's own and is mirrored, not copied.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..devices.records import LOCAL_DEVICE
from ..store.base import Base
from ..store.types import SafeJson, UtcDateTime

NOTEBOOK_IID = 1
"""Reserved for the project's own notebook image; other images are numbered from 2."""


class ContainerRecord(Base):
    """A container's number and owner, and its claim on the name.

    The row comes before the engine is asked, so that the unique constraint decides who gets a name,
    and goes when the engine has said that the container is gone.
    """

    __tablename__ = "containers"
    __table_args__ = (
        UniqueConstraint("owner", "name", name="uq_containers_owner_name"),
        UniqueConstraint("device", "engine_id", name="uq_containers_device_engine_id"),
        {"sqlite_autoincrement": True},
    )

    cid: Mapped[int] = mapped_column(Integer, Identity(start=1), primary_key=True)
    device: Mapped[int] = mapped_column(Integer, default=LOCAL_DEVICE)
    engine_id: Mapped[str | None] = mapped_column(String(64))
    """None while the engine is making it."""
    owner: Mapped[str] = mapped_column(String(64), index=True)
    """The account's id."""
    name: Mapped[str] = mapped_column(String(128))
    image: Mapped[str] = mapped_column(String(512))
    """The name that it was asked for by."""
    server: Mapped[str | None] = mapped_column(String(64))
    """The server process that is making it, None once it is made."""
    cpu_millis: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Thousandths of a processor that count against its owner's quota."""
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    gpus: Mapped[list[int] | None] = mapped_column(SafeJson)
    """The GPUs that it was made with: the engine fixes them then, and a start takes them again."""
    gpu_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """GPUs that it holds or waits for now, which count against its owner's quota."""
    password: Mapped[str | None] = mapped_column(Text)
    """That it was made with, encrypted; None where nobody asked for one."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PortClaim(Base):
    """A port of a device that one container, running or stopped, has for itself."""

    __tablename__ = "container_ports"

    device: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    port: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    protocol: Mapped[str] = mapped_column(String(8), primary_key=True)
    cid: Mapped[int] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE", name="fk_container_ports_cid"), index=True
    )
    container_port: Mapped[int] = mapped_column(Integer)


class ImageRecord(Base):
    """An image's number, and who may see and delete it.

    An image without a row is one that the engine just got and nobody has listed yet.
    """

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("device", "engine_id", name="uq_images_device_engine_id"),
        {"sqlite_autoincrement": True},
    )

    iid: Mapped[int] = mapped_column(Integer, Identity(start=NOTEBOOK_IID + 1), primary_key=True)
    device: Mapped[int] = mapped_column(Integer, default=LOCAL_DEVICE)
    engine_id: Mapped[str | None] = mapped_column(String(80))
    """With ``sha256:``; None for the notebook image while it is not built."""
    owner: Mapped[str | None] = mapped_column(String(64), index=True)
    """The account's id; None where it is everybody's."""
    puller: Mapped[str | None] = mapped_column(String(64))
    """Whose pull brought it here; they may delete it."""
    public: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImageShare(Base):
    """A user whom the owner of a private image lets see and run it.

    It goes with the image and with the user.
    """

    __tablename__ = "image_shares"

    iid: Mapped[int] = mapped_column(
        ForeignKey("images.iid", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
