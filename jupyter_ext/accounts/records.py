"""The tables of accounts: users, credentials, roles, quotas, audit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import SafeText, UtcDateTime
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


class LoginRecord(Base):
    """A login with a password, and which of its tokens counts now."""

    __tablename__ = "login_sessions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    """``token``, ``pair`` or ``cookie``."""
    generation: Mapped[int] = mapped_column(BigInteger)
    """How often it was refreshed; tokens of an earlier generation are spent."""
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class RoleRecord(Base):
    """A role of the administrator's own making."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InvitationRecord(Base):
    """Somebody may register, once."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(32))
    email: Mapped[str | None] = mapped_column(String(254))
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_by: Mapped[str | None] = mapped_column(String(64))
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class QuotaRecord(Base):
    """A limit of a user (``user:<id>``) or of everybody in a role (``role:<name>``)."""

    __tablename__ = "quotas"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    resource: Mapped[str] = mapped_column(String(32), primary_key=True)
    amount: Mapped[int | None] = mapped_column(BigInteger)
    """In the resource's unit; None lifts the limit that would count otherwise."""


class QuotaUseRecord(Base):
    """What a user's things take of a resource."""

    __tablename__ = "quota_use"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    resource: Mapped[str] = mapped_column(String(32), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)


class AuditRecord(Base):
    """Something that somebody did, or tried; a trigger refuses to change it."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    user_id: Mapped[str | None] = mapped_column(String(64), index=True)
    username: Mapped[str | None] = mapped_column(String(64))
    credential: Mapped[str] = mapped_column(String(100))
    """``key:<id>``, ``session:<id>``, ``jupyter:<account>``, ``ip:<address>``."""
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(100), index=True)
    """The permission that it needed, or what else it was: ``session:create``."""
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(SafeText)
    target: Mapped[str] = mapped_column(SafeText)
    status: Mapped[int]
    """As HTTP says it, also where a dialect hides it."""
    message: Mapped[str] = mapped_column(SafeText)
    request_id: Mapped[str] = mapped_column(String(64))
