"""Who has opened which page, and for how long."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import UtcDateTime


class PageVisitRecord(Base):
    """A ticket, and once it was used the session that it was exchanged for.

    It goes with its user and its container; that of a service of the server has none.
    """

    __tablename__ = "page_visits"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the ticket, later of the session's secret: 256 random bits each."""
    opened: Mapped[bool]
    """Whether the ticket was used."""
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    cid: Mapped[int | None] = mapped_column(
        ForeignKey("containers.cid", ondelete="CASCADE"), index=True
    )
    service: Mapped[str] = mapped_column(String(16))
    engine_id: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """With `engine_id` the run of the container that it was opened for."""
    credential: Mapped[str] = mapped_column(String(100))
    """The login (``session:<id>``) or key (``key:<id>``) that it ends with; empty for none."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
