"""The event socket for programs that wait: one connection, many subscriptions."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any, Self

from .call import path
from .discovery import Server
from .events import Frame, frame_error, frame_of
from .sockets import closing, connect
from .things import Thing


class Live:
    """An open event socket.

    One thread reads (`subscribe` and the iteration); `close` may be called from another.

    >>> with client.live() as live:
    ...     first = live.subscribe("containers")
    ...     for frame in live:
    ...         print(frame.type, frame.data)
    """

    def __init__(self, server: Server, verify: bool | str = True) -> None:
        self._socket = connect(server, path("ws"), verify=verify)
        self._ids = count(1)
        self._waiting: deque[Frame] = deque()
        self.last_event_id: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; an iteration that is under way ends."""
        self._socket.close()

    def subscribe(self, topic: str, **data: Any) -> Thing:
        """Subscribe to a topic and return its state now; its changes come as frames."""
        return self.ask("subscribe", {"topic": topic, **data})

    def unsubscribe(self, topic: str, **data: Any) -> None:
        """End a subscription."""
        self.ask("unsubscribe", {"topic": topic, **data})

    def ask(self, kind: str, data: dict[str, Any], timeout: float = 30.0) -> Thing:
        """Send a request and wait for its reply; frames that come meanwhile are kept."""
        from websockets.exceptions import ConnectionClosed

        ident = str(next(self._ids))
        try:
            self._socket.send(json.dumps({"type": kind, "data": data, "id": ident}))
            while True:
                frame = self._take(self._socket.recv(timeout))
                if frame.id != ident:
                    self._waiting.append(frame)
                elif frame.type == "error":
                    raise frame_error(frame.data)
                else:
                    return frame.data
        except ConnectionClosed as error:
            raise closing(error) from None

    def post(self, kind: str, data: dict[str, Any]) -> None:
        """Send a request from any thread without waiting; its reply comes as a frame."""
        from websockets.exceptions import ConnectionClosed

        frame = {"type": kind, "data": data, "id": f"post-{next(self._ids)}"}
        with suppress(ConnectionClosed):  # the one who reads learns of it
            self._socket.send(json.dumps(frame))

    def receive(self, timeout: float | None = None) -> Frame | None:
        """Return the next frame, or None when none came in `timeout` seconds.

        Raises
        ------
        EOFError
            The connection has ended.
        """
        from websockets.exceptions import ConnectionClosed

        if self._waiting:
            return self._waiting.popleft()
        try:
            return self._take(self._socket.recv(timeout))
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise EOFError(str(closing(error))) from None

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                frame = self.receive()
            except EOFError:
                return
            if frame is not None:
                yield frame

    def _take(self, message: str | bytes) -> Frame:
        frame = frame_of(message)
        self.last_event_id = frame.event_id or self.last_event_id
        return frame
