"""Routes of events."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Route, Stream
from .manager import EventManager, EventQuery
from .topics import TOPICS

FEEDS = [Feed("events", EventManager.feed, permission="event:read", follows=TOPICS)]

ROUTES = [
    Route(
        "GET",
        "/api/v1/events",
        EventManager.stream,
        PIGLET,
        "event:read",
        query=EventQuery,
        may=True,
        result=Stream,
        summary="Everything that changes, as server-sent events",
    ),
]
