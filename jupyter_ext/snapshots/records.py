"""What the store knows of snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import UtcDateTime


class SnapshotRecord(Base):
    """A snapshot: claimed by its name before it is taken, and given back after it is gone."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("owner", "name", name="uq_snapshots_owner_name"),)

    mark: Mapped[str] = mapped_column(String(64), primary_key=True)
    """By which its parts are found."""
    owner: Mapped[str] = mapped_column(ForeignKey("users.id", name="fk_snapshots_owner_users"))
    name: Mapped[str] = mapped_column(String(63))
    description: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    """``making``, ``kept``, ``before`` (of a restore, whose what it kept is), ``deleting`` or
    ``left`` (of one that failed, and is removed later); half ones are nobody's to see."""
    parts: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
