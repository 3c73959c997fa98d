"""What is remembered of how long containers have been idle."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import UtcDateTime


class IdleClockRecord(Base):
    """A container's clock since its last start; several servers move it forwards, none back."""

    __tablename__ = "idle_clocks"

    cid: Mapped[int] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE", name="fk_idle_clocks_cid"),
        primary_key=True,
        autoincrement=False,
    )
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The start that it is about, as the engine tells it."""
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was last measured."""
    kept_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    server: Mapped[str | None] = mapped_column(String(64))
    """The server process that is stopping the container."""
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(String(16))
    """``idle`` or ``lifetime``."""
