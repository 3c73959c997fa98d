"""The event stream as a script reads it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import Field

from ..accounts.schemas import Account
from ..api.route import Chunk, May, Stream
from ..errors import Forbidden, InvalidRequest, RateLimited, Unavailable
from ..models import Model
from .bus import Bus, Overflow, Subscription

STREAMS = 64
"""Of one account at a time."""


class EventQuery(Model):
    """Which events, from where on."""

    topics: str = Field(
        "", max_length=1000, description="With commas between; none: all that you may read"
    )
    last_event_id: str = Field("", max_length=100, description="The header Last-Event-ID wins")


class EventChunks:
    """Events as the pieces of a reply; close it in the end."""

    def __init__(self, subscription: Subscription, open_streams: Counter[str]) -> None:
        self._subscription = subscription
        self._open = open_streams
        self._owner = subscription.account.id
        self._open[self._owner] += 1
        self._closed = False

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Return itself."""
        return self

    async def __anext__(self) -> Chunk:
        """Wait for the next event.

        Raises
        ------
        Unavailable
            The reader was too slow.
        """
        try:
            event = await self._subscription.__anext__()
        except Overflow:
            raise Unavailable(
                "You read too slowly.", "Connect again with the id of the last event you got."
            ) from None
        return Chunk(event.data, event=event.topic, id=event.id)

    async def aclose(self) -> None:
        """Stop listening."""
        if not self._closed:
            self._closed = True
            self._subscription.close()
            self._open[self._owner] -= 1
            self._open += Counter()


class EventManager:
    """Events for clients that read a stream.

    Parameters
    ----------
    topics
        All that there are, each with the permission that opens it.
    """

    def __init__(self, bus: Bus, topics: Mapping[str, str | None]) -> None:
        self._bus = bus
        self._topics = dict(topics)
        self._open: Counter[str] = Counter()

    def parse_topics(self, text: str, may: May) -> frozenset[str]:
        """Return the topics that a list with commas names; for an empty one all that are open.

        Raises
        ------
        InvalidRequest
            There is none of that name.
        Forbidden
            One that is named is not open to the caller.
        """
        names = frozenset(name.strip() for name in text.split(",") if name.strip())
        if unknown := names - self._topics.keys():
            raise InvalidRequest(
                fields={
                    "topics": f"{sorted(unknown)[0]!r} is none of {', '.join(sorted(self._topics))}"
                }
            )
        opened = frozenset(name for name, permission in self._topics.items() if may(permission))
        if closed := names - opened:
            name = min(closed)
            raise Forbidden(
                f"Your account or key lacks the permission {self._topics[name]!r}, "
                f"which the topic {name!r} needs."
            )
        return names or opened

    async def stream(self, caller: Account, query: EventQuery, may: May) -> Stream:
        """Send every event that the caller may see, from now or from after one they saw.

        Raises
        ------
        InvalidRequest
            A topic is none.
        Forbidden
            A topic that is named is not open to the caller.
        RateLimited
            The caller has too many streams open.
        """
        topics = self.parse_topics(query.topics, may)
        if self._open[caller.id] >= STREAMS:
            raise RateLimited(
                60, f"You have {STREAMS} streams of events open, which is the limit. Close one."
            )
        stuck = asyncio.Event()
        subscription = self._bus.subscribe(
            caller, topics, after=query.last_event_id or None, on_overflow=stuck.set
        )
        return Stream(EventChunks(subscription, self._open), stuck=stuck)

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Answer a subscription to all topics that are open, with the newest event's id."""
        return {"lastEventId": self._bus.last_id}
