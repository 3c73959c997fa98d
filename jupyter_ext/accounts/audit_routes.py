"""The route of the audit."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Page, Route
from .audit import AuditManager
from .audit_schemas import AuditItem, AuditQuery

ROUTES = [
    Route(
        "GET",
        "/api/v1/audit",
        AuditManager.list,
        PIGLET,
        "audit:read",
        query=AuditQuery,
        result=Page[AuditItem],
        summary="Who did what, newest first",
    ),
]
