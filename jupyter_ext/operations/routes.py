"""The routes and the feed of long work."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Page, Route
from ..events.topics import TOPICS
from .manager import Operations
from .schemas import Operation, OperationQuery

ROUTES = [
    Route(
        "GET",
        "/api/v1/operations",
        Operations.list,
        PIGLET,
        "operation:read",
        query=OperationQuery,
        result=Page[Operation],
        summary="List long work, newest first",
    ),
    Route(
        "GET",
        "/api/v1/operations/{operation_id}",
        Operations.get,
        PIGLET,
        "operation:read",
        result=Operation,
        summary="Show one piece of long work",
    ),
    Route(
        "DELETE",
        "/api/v1/operations/{operation_id}",
        Operations.cancel,
        PIGLET,
        "operation:cancel",
        result=Operation,
        summary="Cancel long work",
    ),
]

FEEDS = [Feed("operations", Operations.feed, permission=TOPICS["operations"])]
