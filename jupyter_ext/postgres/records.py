"""What the store knows of databases and their backups that PostgreSQL does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..store.base import Base
from ..store.types import UtcDateTime


class DatabaseRecord(Base):
    """A database, claimed before it is made and given back after it is gone."""

    __tablename__ = "databases"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    owner: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", name="fk_databases_owner_users"), index=True
    )
    """None for what is the cluster's own role's."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    making: Mapped[str | None] = mapped_column(String(64))
    """The mark of whoever makes it; None when it is there."""
    size: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Bytes that count for its owner: as last measured, or as expected while it is made."""
    kept_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When what a restore replaced, and kept as this one, is dropped; None: never."""


class DatabaseUse(Base):
    """Somebody who may use a database that is not theirs."""

    __tablename__ = "database_uses"
    __table_args__ = (
        ForeignKeyConstraint(
            ["name"],
            ["databases.name"],
            name="fk_database_uses_name_databases",
            ondelete="CASCADE",
        ),
    )

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", name="fk_database_uses_user_id_users", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    )


class DatabaseRole(Base):
    """The role of an account, or the cluster's own."""

    __tablename__ = "database_roles"

    role: Mapped[str] = mapped_column(String(63), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", name="fk_database_roles_user_id_users", ondelete="CASCADE"),
        unique=True,
    )
    password: Mapped[str] = mapped_column(Text)
    """Encrypted: whoever may use a database is told how."""


class BackupRecord(Base):
    """What the repository does not know of a backup that is in it."""

    __tablename__ = "backups"

    label: Mapped[str] = mapped_column(String(64), primary_key=True)
    """pgBackRest's name of it."""
    id: Mapped[str] = mapped_column(String(64), unique=True)
    owner: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", name="fk_backups_owner_users", ondelete="SET NULL")
    )
    asked: Mapped[list[str]]
    """The databases that it was taken for; empty: all."""
    holders: Mapped[dict[str, Any]]
    """Whose each database in it was then: others may have the names by now."""
    files: Mapped[dict[str, Any] | None]
    """Its owner's files that are kept with it."""
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SideRecord(Base):
    """A restored cluster that was left beside, to be looked into."""

    __tablename__ = "side_clusters"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Its folder, beside the cluster's data."""
    port: Mapped[int]
    backup: Mapped[str] = mapped_column(String(64))
    moment: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
