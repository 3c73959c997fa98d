"""Joins a WebSocket of the browser to one of the desk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import HTTPError
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

from ..api.authentication import is_jwt, login_cookie, same_origin
from ..errors import PlatformError
from .carried import carries_own_credential, cookie_header
from .forward import forwarded_headers, forwarded_query
from .remote import CONNECT_SECONDS

if TYPE_CHECKING:
    from .remote import RemoteDesk

TRY_AGAIN = 1013
"""Close code of a server that can't serve now (IANA's registry of WebSocket close codes)."""
POLICY = 1008
LARGEST_FRAME = 16 << 20


class ForwardSocket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Serves every WebSocket of ours on a server that is not the desk."""

    _track_activity = False

    def initialize(self, remote: RemoteDesk) -> None:
        """Take the way to the desk."""
        self.remote = remote
        self._credential: dict[str, str] = {}
        self._far: WebSocketClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks, as for any request; the desk judges keys and first frames."""
        if not self.check_host():
            raise HTTPError(403)
        if carries_own_credential(self) or is_jwt(self.get_query_argument("token", "")):
            return
        await super().prepare()
        if self.current_user:
            # Cross-site WebSocket hijacking: a cookie is worth nothing from a foreign origin
            # (`check_origin` in get).
            try:
                self._credential = await self.remote.credential()
            except PlatformError as error:
                raise HTTPError(error.status, error.message.replace("%", "%%")) from error
        elif login_cookie(self.request) is not None:
            if not same_origin(self.request):
                raise HTTPError(403, "A page of another origin opened this with your cookies.")
            self._credential = dict(cookie_header(self.request))

    @allow_unauthenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open both halves."""
        await super().get(*args, **kwargs)

    async def open(self, *args: Any, **kwargs: Any) -> None:
        """Connect to the desk."""
        query = forwarded_query(self.request.query)
        path = self.request.path.removeprefix(self.base_url).lstrip("/")
        headers = forwarded_headers(self, self._credential)
        url = "ws" + self.remote.url.removeprefix("http") + path + (f"?{query}" if query else "")
        try:
            self._far = await websocket_connect(
                HTTPRequest(url, headers=headers, connect_timeout=CONNECT_SECONDS),
                max_message_size=LARGEST_FRAME,
                subprotocols=self.selected_subprotocol and [self.selected_subprotocol] or None,
            )
        except HTTPClientError as error:
            self.close(POLICY, f"The desk refused: {error.code}"[:120])
            return
        except (OSError, PlatformError):
            await self.remote.lost()
            self.close(TRY_AGAIN, "The desk does not answer.")
            return
        self._reader = asyncio.ensure_future(self._read(self._far))

    async def _read(self, far: WebSocketClientConnection) -> None:
        try:
            while (message := await far.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            return
        code, reason = far.close_code or TRY_AGAIN, far.close_reason or ""
        if far.close_code is None:
            await self.remote.lost()
        self.close(code if code not in (1005, 1006) else TRY_AGAIN, reason[:120])

    async def on_message(self, message: str | bytes) -> None:
        """Pass a frame on; the sender waits while the desk is slow."""
        if self._far is not None:
            await self._far.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Close the other half."""
        if self._reader is not None:
            self._reader.cancel()
        if self._far is not None:
            self._far.close()
        super().on_close()
