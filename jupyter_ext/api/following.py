"""One subscription of an event socket: the state at first, then what changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tornado.websocket import WebSocketClosedError

from ..errors import PlatformError
from ..events import Overflow, Subscription
from .route import Feed, Json, bind

if TYPE_CHECKING:
    from .frames import FrameSocket


@dataclass(frozen=True)
class BoundFeed:
    """A feed, and the manager's methods behind it."""

    topic: str
    follows: Mapping[str, str | None]
    """Topics of the bus, each with the permission that opens it."""
    snapshot: Callable[..., Awaitable[dict[str, Json]]]
    stream: Callable[..., AsyncIterator[dict[str, Json]]] | None
    permission: str | None

    @classmethod
    def of(cls, feed: Feed, managers: list[object]) -> BoundFeed:
        """Bind a feed."""
        return cls(
            topic=feed.topic,
            follows=feed.follows or {feed.topic: feed.permission},
            snapshot=bind(feed.snapshot, managers),
            stream=bind(feed.stream, managers) if feed.stream else None,
            permission=feed.permission,
        )


class Following:
    """A subscription that a client has asked for.

    It listens from its making on, which is before the snapshot is taken: what changes in between
    is told twice rather than never.

    Parameters
    ----------
    asked
        The request's data.
    topics
        Those of the feed's that are open to the subscriber.
    after
        Id of the event that the client has seen last, where it wants what it missed.
    """

    def __init__(
        self,
        socket: FrameSocket,
        feed: BoundFeed,
        asked: Mapping[str, Json],
        topics: frozenset[str],
        after: str | None = None,
    ) -> None:
        self._socket = socket
        self._feed = feed
        self._asked = asked
        self._topics = topics
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[Any] | None = None
        self._ended = False
        self._began = asyncio.Event()
        self.rewind(after)

    async def snapshot(self) -> dict[str, Json]:
        """Return the state now."""
        found = await self._feed.snapshot(self._socket.account, self._asked)
        if self._feed.topic not in self._feed.follows:
            found = {"topics": sorted(self._topics), **found}
        return {"topic": self._feed.topic, **found}

    def begin(self) -> None:
        """Send what comes, unless it was ended meanwhile."""
        self._began.set()
        if not self._ended and self._task is None:
            self._task = self._socket.spawn(self._follow())

    def end(self) -> None:
        """Send nothing more."""
        self._ended = True
        self._began.set()
        self._pause()
        if self._subscription is not None:
            self._subscription.close()

    async def began(self) -> None:
        """Wait until the reply with the state is sent."""
        await self._began.wait()

    def rewind(self, after: str | None) -> None:
        """Listen from after an event on; what goes its own way can't be rewound."""
        if self._feed.stream is not None or self._ended:
            return
        self._pause()
        if self._subscription is not None:
            self._subscription.close()
        socket = self._socket
        self._subscription = socket.bus.subscribe(
            socket.account, self._topics, after=after, on_overflow=socket.close_too_slow
        )

    async def catch_up(self) -> None:
        """Send what waits already."""
        while self._subscription is not None and (event := self._subscription.take()) is not None:
            await self._socket.send_event(self._feed.topic, event)

    def _pause(self) -> None:
        # What it has written is on its way in whole: a frame is written at once, and only waited
        # for.
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        try:
            if self._subscription is not None:
                async for event in self._subscription:
                    await self._socket.send_event(self._feed.topic, event)
                self._socket.close_going_away()
            elif self._feed.stream is not None:
                frames = self._feed.stream(self._socket.account, self._asked)
                async with aclosing(frames) as stream:  # type: ignore[type-var]
                    async for data in stream:
                        await self._socket.send_frame(self._feed.topic, data)
        except Overflow:
            self._socket.close_too_slow()
        except WebSocketClosedError:
            pass
        except PlatformError as error:
            await self._broke(error)
        except Exception:
            await self._broke(self._socket.unexpected(f"feed {self._feed.topic}"))
        self._socket.forget(self)

    async def _broke(self, error: PlatformError) -> None:
        # It answers no request any more, so it names what has ended.
        about = {name: self._asked[name] for name in ("topic", "cid") if name in self._asked}
        await self._socket.send_failure(error, None, about)
