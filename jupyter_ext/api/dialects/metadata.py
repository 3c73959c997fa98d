"""Dialect `metadata`: bare objects, flat errors with a request id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PlatformError
from .base import Dialect, Outcome, RateLimit

if TYPE_CHECKING:
    from ..route import Json, Page


class Metadata(Dialect):
    """``details`` is text that begins with the document's reason where there is one."""

    name = "metadata"
    limit = RateLimit(100, 1, by_address=True)
    prefixes = (
        "/api/v1/login",
        "/api/v1/refresh",
        "/api/v1/logout",
        "/api/v1/currentUser",
        "/api/v1/datasources",
        "/api/v1/tasks",
        "/api/v1/executions",
        "/api/v1/templates",
        "/api/v1/metadata",
        "/api/v1/webhooks",
    )

    def success(self, status: int, data: Json) -> Json:
        """Return `data` as it is."""
        return data

    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return code, text, details as text, and the request's id."""
        parts = [f"{name}: {problem}" for name, problem in error.fields.items()]
        details = "; ".join(parts) or error.message
        return {
            "code": outcome.code,
            "message": error.message,
            "details": f"{outcome.reason}: {details}" if outcome.reason else details,
            "request_id": request_id,
        }

    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Return the list under both names that the document uses."""
        size = max(1, page.limit)
        return {
            page.name: items,
            "data": items,
            "total": page.total,
            "page": page.offset // size + 1,
            "page_size": page.limit,
            **page.extra,
        }
