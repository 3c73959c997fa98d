"""A WebSocket that one manager's method talks over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from tornado.websocket import WebSocketClosedError

from ..errors import Forbidden, InvalidRequest, PlatformError, Unavailable
from .auditing import SocketTrace
from .dialects import Dialect
from .parsing import parse_json, parse_query
from .route import ErrorCodes, Json
from .services import Services
from .socket import Socket, close_reason

STUCK_SECONDS = 60.0
"""That a message waits to be taken. Meanwhile nothing is read, not even the client's good-bye."""


@dataclass(frozen=True)
class BoundSocket:
    """A socket route and the manager's method that talks."""

    call: Callable[..., Awaitable[None]]
    dialect: Dialect
    permission: str | None
    query: type[BaseModel] | None
    errors: ErrorCodes


class SocketChannel:
    """The `Channel` that a manager gets."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.received: asyncio.Queue[Json] = asyncio.Queue(maxsize=64)

    async def receive(self) -> Json:
        """Wait for the next message; whoever waits is cancelled when the client goes."""
        return await self.received.get()

    async def send(self, message: Json) -> None:
        """Send a message."""
        await self._socket.write_json(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it."""
        self._socket.close(code, close_reason(reason))


class ChannelSocket(Socket):
    """A WebSocket that one manager's method talks over, for as long as it runs."""

    def initialize(self, services: Services, bound: BoundSocket) -> None:  # type: ignore[override]
        """Take the route."""
        super().initialize(services)
        self.bound = bound
        self.dialect = bound.dialect
        self.action = bound.permission or self.action
        self._channel = SocketChannel(self)

    def _authorize(self) -> None:
        if self.credential is None or not self.services.allowed(
            self.credential, self.bound.permission
        ):
            raise Forbidden(f"Your account or key lacks the permission {self.bound.permission!r}.")
        self._arguments: dict[str, Any] = {}
        if self.bound.query is not None:
            self._arguments["query"], _ = parse_query(
                self.bound.query, self.request.query_arguments
            )

    def open(self, *args: Any, **path: str) -> None:
        """Let the manager talk."""
        super().open(*args)
        self._talking = self.spawn(self._talk(path))

    async def _talk(self, path: Mapping[str, str]) -> None:
        trace = SocketTrace(self)
        try:
            await trace.opened()
            await self.bound.call(self.account, self._channel, **path, **self._arguments)
        except PlatformError as error:
            trace.failed(error)
            self.end(error)
        except (WebSocketClosedError, StopAsyncIteration):
            pass
        except Exception:
            self.log.error(
                "Socket %s of %s failed", self.request_id, self.request.path, exc_info=True
            )
            failure = PlatformError(f"Something went wrong inside the server ({self.request_id}).")
            trace.failed(failure)
            self.end(failure)
        finally:
            trace.closed()
            if self.ws_connection is not None and self.close_code is None:
                self.close()

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message over; the sender waits while nobody takes it."""
        try:
            value = parse_json(message.encode() if isinstance(message, str) else message)
        except InvalidRequest as error:
            self.end(error)
            return
        put = asyncio.ensure_future(self._channel.received.put(value))
        await asyncio.wait(
            {put, self._talking}, timeout=STUCK_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not put.done():
            put.cancel()
            self.end(Unavailable("What you send is not read.", "Connect again."))
