"""Dialect `piglet`: bare objects, errors in ``{"error": {…}}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PlatformError
from .base import Dialect, Outcome, RateLimit

if TYPE_CHECKING:
    from ..route import Json, Page


class Piglet(Dialect):
    """Everything that no other document lists is answered so, too."""

    name = "piglet"
    limit = RateLimit(100, 60, burst=20)
    prefixes = ("/api/v1",)

    def success(self, status: int, data: Json) -> Json:
        """Return `data` as it is."""
        return data

    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return the code, the text, and what is wrong by field."""
        details = {**error.details, **error.fields}
        if outcome.status >= 500:
            details["request_id"] = request_id
        return {
            "error": {"code": outcome.code, "message": error.message, "details": details},
        }

    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Name the list after what it holds."""
        return {
            page.name: items,
            "total": page.total,
            "limit": page.limit,
            "offset": page.offset,
            **page.extra,
        }
