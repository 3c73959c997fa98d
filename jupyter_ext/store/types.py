"""Column types that mean the same on SQLite and PostgreSQL, and how ids and moments are made."""

from __future__ import annotations

import math
import os
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

Json = Any
"""What ``json.dumps`` takes."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC that is aware in Python, whatever the database keeps.

    A naive value is refused: it is a moment that nobody knows.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write in UTC; SQLite's text has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A moment without a time zone: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read as UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafeText(TypeDecorator[str]):
    """Text of any length from anywhere: what PostgreSQL refuses is shown as the sign for it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace NUL characters and halves of characters."""
        return None if value is None else storable(value)


class SafeJson(TypeDecorator[Any]):
    """JSON as text on SQLite, ``jsonb`` on PostgreSQL; ``None`` is SQL's NULL.

    Texts may come from anywhere, an engine's log lines say.
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the database's own type."""
        if dialect.name == "postgresql":
            # Imported here, since it brings all drivers of PostgreSQL with it.
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Replace in all texts what PostgreSQL refuses."""
        return storable(value)


def storable(value: Any) -> Any:
    """Replace what PostgreSQL refuses in texts and numbers: NUL, halves of characters, infinity."""
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Make an id that nobody guesses and that sorts by its time: ``op-01hgz…``."""
    number = (time.time_ns() // 1_000_000 << 72) | int.from_bytes(os.urandom(9))
    letters = []
    for _ in range(24):
        number, rest = divmod(number, 32)
        letters.append(_ALPHABET[rest])
    return f"{prefix}-{''.join(reversed(letters))}"
