"""The routes of quotas."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Route
from .quota_schemas import QuotaChange, QuotaReply
from .quotas import QuotaManager

ROUTES = [
    Route(
        "GET",
        "/api/v1/quota",
        QuotaManager.own,
        PIGLET,
        result=QuotaReply,
        summary="What you may use, and use",
    ),
    Route(
        "GET",
        "/api/v1/quotas/{name}",
        QuotaManager.get,
        PIGLET,
        "quota:read",
        result=QuotaReply,
        summary="What a user or a role may use",
    ),
    Route(
        "PUT",
        "/api/v1/quotas/{name}",
        QuotaManager.set,
        PIGLET,
        "quota:update",
        body=QuotaChange,
        result=QuotaReply,
        summary="Set limits of a user or a role",
    ),
]
