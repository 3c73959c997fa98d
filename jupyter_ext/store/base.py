"""The class that every table derives from, and the small tables that are everybody's."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .types import SafeJson

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraints have names of their own, so that a migration can drop one on every database."""


class Base(DeclarativeBase):
    """What a domain's ``records.py`` derives its tables from.

    ``Mapped[dict[str, Any]]`` and ``Mapped[list[Any]]`` are JSON columns.
    """

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: SafeJson,
        list[Any]: SafeJson,
        list[str]: SafeJson,
    }


class Fact(Base):
    """One thing that the store knows of itself: its id, the fingerprint of its key."""

    __tablename__ = "store_facts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Counter(Base):
    """A number that only grows: the last one given out, or how often something changed."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
