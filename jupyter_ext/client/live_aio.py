"""The event socket for programs on an event loop."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from .call import path
from .discovery import Server
from .events import Frame, frame_error, frame_of
from .sockets import closing, connect_async
from .things import Thing

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncLive:
    """An open event socket; one task reads (`subscribe` and the iteration)."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._waiting: deque[Frame] = deque()
        self.last_event_id: str | None = None

    @classmethod
    async def open(cls, server: Server, verify: bool | str = True) -> Self:
        """Connect."""
        return cls(await connect_async(server, path("ws"), verify=verify))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it; an iteration that is under way ends."""
        await self._socket.close()

    async def subscribe(self, topic: str, **data: Any) -> Thing:
        """Subscribe to a topic and return its state now; its changes come as frames."""
        return await self.ask("subscribe", {"topic": topic, **data})

    async def unsubscribe(self, topic: str, **data: Any) -> None:
        """End a subscription."""
        await self.ask("unsubscribe", {"topic": topic, **data})

    async def ask(self, kind: str, data: dict[str, Any], timeout: float = 30.0) -> Thing:
        """Send a request and wait for its reply; frames that come meanwhile are kept."""
        from websockets.exceptions import ConnectionClosed

        ident = str(next(self._ids))
        try:
            await self._socket.send(json.dumps({"type": kind, "data": data, "id": ident}))
            async with asyncio.timeout(timeout):
                while True:
                    frame = self._take(await self._socket.recv())
                    if frame.id != ident:
                        self._waiting.append(frame)
                    elif frame.type == "error":
                        raise frame_error(frame.data)
                    else:
                        return frame.data
        except ConnectionClosed as error:
            raise closing(error) from None

    async def __aiter__(self) -> AsyncIterator[Frame]:
        from websockets.exceptions import ConnectionClosed

        while True:
            while self._waiting:
                yield self._waiting.popleft()
            try:
                frame = self._take(await self._socket.recv())
            except ConnectionClosed:
                return
            yield frame

    def _take(self, message: str | bytes) -> Frame:
        frame = frame_of(message)
        self.last_event_id = frame.event_id or self.last_event_id
        return frame
