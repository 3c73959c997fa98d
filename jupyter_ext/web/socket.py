"""WebSockets between a page and its container: kernels, terminals."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

from ..containers.doors import Door
from ..errors import PlatformError
from .guard import Guard, address_of, visit_of
from .headers import to_upstream, upstream_target
from .proxy import RETRY_SECONDS, Page

CONNECT_SECONDS = 5.0
LARGEST_FRAME = 64 << 20
"""Bytes; a frame is held in memory while it is passed on."""

GOING_AWAY, POLICY, TRY_AGAIN = 1001, 1008, 1013
"""Close codes (IANA's registry of WebSocket close codes)."""
UNSPEAKABLE = (None, 1005, 1006, 1015)
"""Codes that say that none was sent; they are never sent themselves (RFC 6455, section 7.4.1)."""


class PageSocket(WebSocketHandler, Page):
    """Serves every WebSocket of a page."""

    def initialize(self, guard: Guard) -> None:
        """Take the way to containers."""
        self.guard = guard
        self._far: WebSocketClientConnection | None = None
        self._passing: asyncio.Task[None] | None = None
        self._counted = ExitStack()

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Connect to the container first: only it knows whether, and in which protocol."""
        try:
            door = await self.guard.admit(self.request)
            self._counted.enter_context(self.guard.counted(self.request))
        except PlatformError as error:
            self.refuse(error)
            return
        try:
            self._far = await self._connect(door)
        except HTTPClientError as error:
            # Of Tornado's own making is 599: nobody answered.
            if error.code == 599:
                self._unreached(door)
            else:
                self.tell(error.code, f"{door.name} refused: {error.code}.")
        except OSError:
            self._unreached(door)
        else:
            await super().get(*args, **kwargs)
        finally:
            # The call above lasts as long as the connection.
            self._let_go()

    def _unreached(self, door: Door) -> None:
        self.tell(502, f"Nothing answers at port {door.inside} of {door.name}.", RETRY_SECONDS)

    async def _connect(self, door: Door) -> WebSocketClientConnection:
        request = self.request
        headers = to_upstream(request.headers.get_all(), visit_of(self.guard, request, door))
        target = upstream_target(request.path, request.query)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [name.strip() for name in offered.split(",") if name.strip()]
        return await websocket_connect(
            HTTPRequest(
                f"ws://{address_of(door)}{target}",
                headers=_joined(headers),
                connect_timeout=CONNECT_SECONDS,
                follow_redirects=False,
            ),
            max_message_size=LARGEST_FRAME,
            subprotocols=protocols or None,
        )

    def check_origin(self, origin: str) -> bool:
        """Leave that to `Guard`, which has looked."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose what the container chose."""
        return self._far.selected_subprotocol if self._far is not None else None

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin to pass frames."""
        self._passing = asyncio.ensure_future(self._pass())

    async def _pass(self) -> None:
        try:
            await self.guard.while_open(self.request, self._read())
        except PlatformError as error:
            self.close(POLICY, error.message.encode()[:120].decode(errors="ignore"))
        except WebSocketClosedError:
            return

    async def _read(self) -> None:
        """Pass on what the container sends; it waits while the browser is slow."""
        far = self._far
        if far is None:
            return
        while (message := await far.read_message()) is not None:
            await self.write_message(message, binary=isinstance(message, bytes))
        code = GOING_AWAY if far.close_code in UNSPEAKABLE else far.close_code
        self.close(code, (far.close_reason or "").encode()[:120].decode(errors="ignore"))

    async def on_message(self, message: str | bytes) -> None:
        """Pass on what the browser sends; it waits while the container is slow."""
        if self._far is None:
            return
        try:
            await self._far.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            # The reader hears of it, and why.
            return

    def on_close(self) -> None:
        """Close the other half."""
        if self._passing is not None:
            self._passing.cancel()
        self._let_go()

    def on_connection_close(self) -> None:
        """Let go of a half that was never taken up."""
        super().on_connection_close()
        self._let_go()

    def _let_go(self) -> None:
        self._counted.close()
        if self._far is not None:
            code = None if self.close_code in UNSPEAKABLE else self.close_code
            self._far.close(code, self.close_reason)


def _joined(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers as Tornado's client takes them."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
