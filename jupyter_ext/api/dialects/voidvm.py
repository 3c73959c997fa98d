"""Dialect `voidvm`: ``success``, ``data`` and a time stamp around everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PlatformError
from .base import Dialect, Outcome, RateLimit, now

if TYPE_CHECKING:
    from ..route import Json, Page


class VoidVM(Dialect):
    """Codes of its own for bad parameters and for what went wrong inside."""

    name = "voidvm"
    limit = RateLimit(100, 60)
    prefixes = (
        "/api/v1/auth",
        "/api/v1/vms",
        "/api/v1/vm-images",
        "/api/v1/novnc",
        "/api/v1/system/info",
        "/api/v1/system/stats",
        "/api/v1/config",
        "/api/v1/logs",
        "/api/v1/permissions",
        "/api/v1/roles",
        "/api/vms",
        "/api/novnc",
    )
    codes = {400: "INVALID_REQUEST_PARAMS", 500: "INTERNAL_SERVER_ERROR"}

    def success(self, status: int, data: Json) -> Json:
        """Wrap `data`."""
        return {"success": True, "data": data, "message": "操作成功", "timestamp": now()}

    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return the code and the text; ``details`` is text here."""
        details = "; ".join(f"{name}: {problem}" for name, problem in error.fields.items())
        if not details and error.details:
            details = json.dumps(error.details, ensure_ascii=False, default=str)
        if outcome.status >= 500:
            details = f"request {request_id}" + (f": {details}" if details else "")
        return {
            "success": False,
            "error": {"code": outcome.code, "message": error.message, "details": details},
            "timestamp": now(),
        }

    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Return the list under its name, and ``pagination``."""
        limit = max(1, page.limit)
        return {
            page.name: items,
            "pagination": {
                "page": page.offset // limit + 1,
                "limit": page.limit,
                "total": page.total,
                "pages": -(-page.total // limit),
            },
            **page.extra,
        }
