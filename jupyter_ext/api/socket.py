"""The handler of every WebSocket: who it is, how many, and for how long the credential holds."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

from ..accounts.schemas import Account, Credential
from ..errors import (
    Forbidden,
    InvalidRequest,
    PlatformError,
    RateLimited,
    Unauthenticated,
)
from .admission import INTERNAL, anonymous, translated
from .auditing import refuse_on
from .authentication import same_origin
from .dialects import Dialect
from .lapse import lapsed
from .render import encode, failure
from .route import ErrorCodes, Json
from .services import Services

LARGEST_FRAME = 1 << 20
"""Bytes of a message from a client."""


def close_code(error: PlatformError) -> int:
    """Return an error's close code: its HTTP status in the range for applications."""
    return 4000 + error.status


class SocketCounter:
    """How many sockets each account has open with credentials that are limited."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self._open: Counter[str] = Counter()

    def enter(self, credential: Credential) -> None:
        """Count one more.

        Raises
        ------
        RateLimited
            The account has as many as it may.
        """
        if not credential.limited or credential.account is None:
            return
        if self._open[credential.account.id] >= self.limit:
            raise RateLimited(
                60, f"You have {self.limit} WebSockets open, which is the limit. Close one first."
            )
        self._open[credential.account.id] += 1

    def leave(self, credential: Credential) -> None:
        """Count one less."""
        if credential.limited and credential.account is not None:
            self._open[credential.account.id] -= 1
            self._open += Counter()


class Socket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """What every WebSocket of ours has in common."""

    # Watching is not working: a tab that shows the panel must not keep an idle server alive.
    _track_activity = False

    dialect: Dialect
    action = "socket:open"
    """What it is called in the audit."""
    anonymous_handshake = False
    """Whether a socket may open without a credential, to send it as its first frame."""

    def initialize(self, services: Services) -> None:
        """Take what every request passes."""
        self.services = services
        self.credential: Credential | None = None
        self.request_id = secrets.token_hex(8)
        self._counted: Credential | None = None
        self._key: str | None = None
        self._gone = False
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def max_message_size(self) -> int:
        """Bytes."""
        return LARGEST_FRAME

    @property
    def account(self) -> Account:
        """Whoever opened it."""
        if self.credential is None or self.credential.account is None:
            raise Unauthenticated
        return self.credential.account

    # -- handshake ---------------------------------------------------------------------------------

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate before the connection is upgraded."""
        try:
            await self.services.gate.passed()
            credential = await self._identify()
            if self._finished:
                return
            await self.count(credential or anonymous(self.request.remote_ip))
            if self._gone:
                # Tornado upgrades it all the same, and says nothing more of its end.
                raise InvalidRequest("The client went away.")
            if credential is not None:
                self.adopt(credential)
            elif not self.anonymous_handshake:
                raise Unauthenticated
            self._authorize()
        except PlatformError as error:
            self._refuse(error)

    async def _identify(self) -> Credential | None:
        authenticator = self.services.authenticator
        try:
            credential = await authenticator.adopt_header(self)
            if credential is None:
                credential = await authenticator.adopt_query(self)
            await super().prepare()
            if credential is None and not self._finished:
                credential = await authenticator.adopt_jupyter(self) or await self._by_cookie()
        except Unauthenticated:
            await self.count(anonymous(self.request.remote_ip))
            raise
        return credential

    async def _by_cookie(self) -> Credential | None:
        credential = await self.services.authenticator.adopt_cookie(self)
        if credential is not None and not same_origin(self.request):
            raise Forbidden("A page of another origin opened this with your cookies.")
        return credential

    async def count(self, credential: Credential) -> None:
        """Count a request: a handshake, or a frame where frames are requests.

        Raises
        ------
        RateLimited
            There were too many.
        """
        allowance = await self.services.limits.hit(
            self.dialect, credential, self.request.remote_ip or ""
        )
        if allowance is None:
            return
        if self.ws_connection is None:
            for name, value in allowance.headers.items():
                self.set_header(name, value)
        if allowance.retry_after is not None:
            raise RateLimited(allowance.retry_after)

    def _authorize(self) -> None:
        """Raise where the credential does not open this route."""

    def adopt(self, credential: Credential, key: str | None = None) -> None:
        """Take whose socket it is.

        Parameters
        ----------
        key
            The API key, where it came in a frame.

        Raises
        ------
        RateLimited
            They have too many open.
        """
        self.services.sockets.enter(credential)
        self._counted = self.credential = credential
        self._key = key
        if self.ws_connection is not None:
            self._watch()

    @allow_unauthenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Upgrade the connection."""
        if self._finished:
            return
        await super().get(*args, **kwargs)

    def finish(self, chunk: Any = None) -> Any:
        """Answer in the dialect what Tornado refuses in words of its own: origin, no upgrade."""
        if isinstance(chunk, str):
            kind = Forbidden if self.get_status() == 403 else InvalidRequest
            return self._refuse(kind(f"{chunk.rstrip('.')}. This address speaks WebSocket."))
        return super().finish(chunk)

    def set_cors_headers(self) -> None:
        """Say nothing: a WebSocket has no CORS, only its Origin."""

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Keep looking whether the credential holds."""
        super().open(*args, **kwargs)
        with suppress(OSError):
            # A connection that is reset already has no options.
            self.set_nodelay(True)
        self._watch()

    # -- life --------------------------------------------------------------------------------------

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run work that ends with the connection."""
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _watch(self) -> None:
        if self.credential is not None:
            self.spawn(self._end_with(self.credential))

    async def _end_with(self, credential: Credential) -> None:
        self.end(await lapsed(self.services.authenticator, self, credential, self._key))

    def end(self, error: PlatformError) -> None:
        """Close it, and say why."""
        self.close(close_code(error), close_reason(error.message))

    async def write_json(self, message: Json) -> None:
        """Send, waiting for a slow reader.

        Raises
        ------
        WebSocketClosedError
            Nobody is there any more.
        """
        await self.write_message(encode(message).decode())

    def on_close(self) -> None:
        """End what ran for it."""
        self._gone = True
        for task in tuple(self._tasks):
            task.cancel()
        self._leave()
        super().on_close()

    def on_finish(self) -> None:
        """Free the place of a handshake that failed."""
        if self.ws_connection is None:
            self._leave()

    def _leave(self) -> None:
        if self._counted is not None:
            self.services.sockets.leave(self._counted)
            self._counted = None

    # -- failures before the upgrade ---------------------------------------------------------------

    errors: ErrorCodes = {}

    def _refuse(self, error: PlatformError) -> None:
        refuse_on(self, error, self.action)
        failed = failure(
            error,
            self.dialect,
            overrides=self.errors,
            accept=self.request.headers.get("Accept", ""),
            language=self.request.headers.get("Accept-Language", ""),
            request_id=self.request_id,
        )
        self.set_status(failed.status)
        self.set_header("Content-Type", failed.content_type)
        self.set_header("X-Request-Id", self.request_id)
        if isinstance(error, RateLimited):
            self.set_header("Retry-After", str(max(1, round(error.retry_after))))
        if isinstance(error, Unauthenticated):
            self.set_header("WWW-Authenticate", "Bearer")
        if not self._finished:
            self.finish(failed.body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer what Tornado or Jupyter refuses (its host) in the dialect."""
        exception = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(exception, PlatformError):
            self._refuse(exception)
        elif isinstance(exception, HTTPError):
            self._refuse(translated(exception, self.request.method or ""))
        else:
            self._refuse(PlatformError(INTERNAL))


def close_reason(text: str) -> str:
    """Cut a text to the 123 bytes that a close frame holds (RFC 6455, section 5.5)."""
    return text.encode()[:120].decode(errors="ignore")
