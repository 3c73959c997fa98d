"""The table of operations, and the one of answers that are given once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Double, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import SafeText, UtcDateTime
from .schemas import Operation


class OperationRecord(Base):
    """Long work, written before it begins."""

    __tablename__ = "operations"
    __table_args__ = (
        Index("ix_operations_owner_created", "owner", "created_at"),
        Index("ix_operations_state", "state"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(SafeText)
    owner: Mapped[str] = mapped_column(String(64))
    """The account's id."""
    state: Mapped[str] = mapped_column(String(16))
    progress: Mapped[float | None] = mapped_column(Double)
    message: Mapped[str] = mapped_column(SafeText)
    log: Mapped[list[str]]
    details: Mapped[dict[str, Any]]
    input: Mapped[dict[str, Any]]
    """What whoever finishes or undoes it after a crash has to know."""
    result: Mapped[dict[str, Any] | None]
    """In an object of its own, since a result may be anything."""
    error: Mapped[dict[str, Any] | None]
    server: Mapped[str] = mapped_column(String(64), index=True)
    """The server process that does it."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    recovery_due: Mapped[bool] = mapped_column(default=False)
    """It has failed, and what it left behind could not be undone yet."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def view(self) -> Operation:
        """Return it as others see it."""
        return Operation.model_validate(
            {
                "id": self.id,
                "kind": self.kind,
                "subject": self.subject,
                "owner": self.owner,
                "state": self.state,
                "progress": self.progress,
                "message": self.message,
                "log": self.log,
                "details": self.details,
                "created_at": self.created_at,
                "started_at": self.started_at,
                "ended_at": self.ended_at,
                "error": self.error,
                "result": None if self.result is None else self.result.get("value"),
            }
        )


class IdempotencyRecord(Base):
    """A POST that carried a key, and what it was answered."""

    __tablename__ = "idempotency_keys"

    account: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[str] = mapped_column(String(128))
    server: Mapped[str] = mapped_column(String(64))
    """The server process that answers it."""
    status: Mapped[int | None]
    """None while it is being answered."""
    operation: Mapped[str | None] = mapped_column(String(64))
    """What it began: where its server dies before the answer, that goes on all the same."""
    headers: Mapped[dict[str, Any]]
    body: Mapped[str] = mapped_column(SafeText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
