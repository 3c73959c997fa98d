"""Dialect `matrix`: ``status`` 0 or -1; a failure of the operation is HTTP 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import Conflict, Forbidden, NotFound, PlatformError
from .base import Dialect, Outcome, RateLimit

if TYPE_CHECKING:
    from ..route import ErrorCodes, Json, Page


class Matrix(Dialect):
    """Only what stands outside an operation has an HTTP status of its own."""

    name = "matrix"
    limit = RateLimit(100, 1)
    prefixes = (
        "/containers",
        "/devices",
        "/images",
        "/api/login",
        "/api/register",
        "/api/logout",
        "/api/verify",
    )

    def outcome(self, error: PlatformError, overrides: ErrorCodes) -> Outcome:
        """Failures of an operation are HTTP 200; a path that nobody serves stays 404."""
        unknown_path = isinstance(error, NotFound) and error.kind == "path"
        failed = isinstance(error, NotFound | Conflict | Forbidden) and not unknown_path
        if failed and not any(kind in overrides for kind in type(error).__mro__):
            return Outcome(200, error.code)
        return super().outcome(error, overrides)

    def success(self, status: int, data: Json) -> Json:
        """Put the document's ``status`` beside the fields."""
        return {"status": 0, **data} if isinstance(data, Mapping) else {"status": 0, "data": data}

    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return the document's exact text where the route has one."""
        return {"status": -1, "error": outcome.reason or error.message}

    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Return the list under its name; this document doesn't page."""
        return {page.name: items, **page.extra}
