"""Dialect `containers`: everything in an envelope with the HTTP status in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PlatformError
from .base import Dialect, Outcome, RateLimit

if TYPE_CHECKING:
    from ..route import Json, Page


class Containers(Dialect):
    """``errors[]`` is always there, and lists every wrong field."""

    name = "containers"
    limit = RateLimit(100, 1)
    prefixes = ("/api/v1/containers", "/api/v1/images", "/api/v1/metrics")

    def success(self, status: int, data: Json) -> Json:
        """Wrap `data`."""
        return {"code": status, "message": "success", "data": data}

    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return the status, the text, and the wrong fields."""
        body: dict[str, Json] = {
            "code": outcome.status,
            "message": error.message,
            "errors": [
                {"field": name, "message": problem} for name, problem in error.fields.items()
            ],
        }
        if outcome.status >= 500:
            body["request_id"] = request_id
        return body

    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Return ``total`` and ``items``."""
        return {"total": page.total, "items": items, **page.extra}
