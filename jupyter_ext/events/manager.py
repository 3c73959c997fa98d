"""The event stream as a script reads it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from typing import Any

from pydantic import BaseModel, Field

from ..accounts.schemas import Account
from ..api.route import Chunk, Stream
from ..errors import InvalidRequest, RateLimited, Unavailable
from .bus import Bus, Overflow, Subscription

STREAMS = 64
"""Of one account at a time."""


class EventQuery(BaseModel):
    """Which events, from where on."""

    topics: str = Field("", max_length=1000, description="With commas between; none: all")
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
        All that there are.
    """

    def __init__(self, bus: Bus, topics: Collection[str]) -> None:
        self._bus = bus
        self._topics = frozenset(topics)
        self._open: Counter[str] = Counter()

    def parse_topics(self, text: str) -> frozenset[str]:
        """Return the topics that a list with commas names; all for an empty one.

        Raises
        ------
        InvalidRequest
            There is none of that name.
        """
        names = frozenset(name.strip() for name in text.split(",") if name.strip())
        if unknown := names - self._topics:
            raise InvalidRequest(
                fields={
                    "topics": f"{sorted(unknown)[0]!r} is none of {', '.join(sorted(self._topics))}"
                }
            )
        return names or self._topics

    async def stream(self, caller: Account, query: EventQuery) -> Stream:
        """Send every event that the caller may see, from now or from after one they saw.

        Raises
        ------
        InvalidRequest
            A topic is none.
        RateLimited
            The caller has too many streams open.
        """
        topics = self.parse_topics(query.topics)
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
        """Answer a subscription to everything: the topics, and the newest event's id."""
        return {"topics": sorted(self._topics), "lastEventId": self._bus.last_id}
