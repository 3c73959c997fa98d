"""What only this package knows: one database, its schema, its secrets and who acts on it."""

from __future__ import annotations

from .base import Base
from .database import Store
from .types import Json, UtcDateTime, new_id, utcnow

__all__ = ["Base", "Json", "Store", "UtcDateTime", "new_id", "utcnow"]
