"""The tables of users and of API keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import UtcDateTime
from .schemas import Account, User


class UserRecord(Base):
    """A person, or a program that owns things."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """``user-<n>``; the number comes from a counter, so that none is given twice."""
    username: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(32))
    email: Mapped[str | None] = mapped_column(String(254))
    enabled: Mapped[bool] = mapped_column(default=True)
    permissions: Mapped[list[str]]
    """Granted beside those of the role."""
    password: Mapped[str | None] = mapped_column(Text)
    """The argon2id hash; None for an account that only Jupyter logs in."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_login: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def account(self) -> Account:
        """Return what managers know of somebody."""
        return Account(
            self.id, self.username, self.role, self.enabled, tuple(self.permissions or ())
        )

    def view(self) -> User:
        """Return what others see of it."""
        return User.model_validate(
            {
                "id": self.id,
                "username": self.username,
                "role": self.role,
                "email": self.email,
                "enabled": self.enabled,
                "permissions": self.permissions or [],
                "databases": [],
                "created_at": self.created_at,
                "last_login": self.last_login,
            }
        )


class ApiKeyRecord(Base):
    """A key, known by its hash only."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_user_kind", "user_id", "kind"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    """``api-key``, or ``local`` for kernels and the local command line."""
    name: Mapped[str] = mapped_column(String(100))
    hint: Mapped[str] = mapped_column(String(16))
    """Its first characters, by which its owner knows it again."""
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str] | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
