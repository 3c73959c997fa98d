"""What every HTTP request passes before its route: the gate, its credential, its limit.

And how it is refused there: in the dialect of its path, without breaking the connection.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from ..accounts.schemas import Credential
from ..errors import (
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    PlatformError,
    RateLimited,
    Unauthenticated,
    error_for_status,
)
from .authentication import sent_jwt
from .dialects import MATRIX, VOIDVM, Dialect, dialect_for
from .render import failure
from .route import ErrorCodes
from .services import Services

JSON = "application/json"
INTERNAL = "Something went wrong inside the server. Its log says more under this request's id."
HOST_REFUSED = (
    "This host name or login is not accepted. Use the server's own address, "
    "or have its administrator set ServerApp.allow_remote_access."
)
SENDABLE = (
    "Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, "
    "X-API-Key"
)
"""Headers that a page of another origin may send, where one may send anything."""
READABLE = (
    "Location, Preference-Applied, Idempotency-Replayed, Retry-After, Warnings, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)
"""Headers of replies that it may read."""
# How long the rest of a refused body is read and thrown away, so that the sender sees the refusal,
# in seconds.
DRAIN_SECONDS = 2.0
# A refused request's body is read to its end up to here, in bytes.
SHORT_BODY = 64 * 1024


class AdmissionHandler(APIHandler):
    """The part of a handler that knows nothing of routes yet."""

    services: Services
    credential: Credential | None = None
    refused: PlatformError | None = None
    """Why the request is not answered; said when its body was read."""
    error_codes: ErrorCodes = {}

    @cached_property
    def request_id(self) -> str:
        """Names this request in its reply and in the log."""
        return secrets.token_hex(8)

    @property
    def dialect(self) -> Dialect:
        """The dialect of the path."""
        path = "/" + self.request.path.removeprefix(self.base_url)
        if path.startswith("/api/v1/users") and sent_jwt(self.request) is not None:
            return VOIDVM
        return dialect_for(path)

    # -- letting in --------------------------------------------------------------------------------

    async def admit(self) -> None:
        """Find out who asks, and count.

        Raises
        ------
        PlatformError
            The server is not ready, the credential is bad, or there were too many requests.
        """
        self.set_header("X-Request-Id", self.request_id)
        # Now, so that a page that may read replies also reads why it is refused.
        self.set_cors_headers()
        if not self.services.gate.is_open:
            await self.services.gate.passed()
        try:
            self.credential = await self._authenticate()
        except Unauthenticated:
            await self._count(anonymous(self.request.remote_ip))
            raise
        await self._count(self.credential or anonymous(self.request.remote_ip))

    async def admit_anybody(self) -> None:
        """Count, without a look at credentials: the route makes or ends one.

        Raises
        ------
        PlatformError
            The server is not ready, its host is another one, or there were too many requests.
        """
        self.set_header("X-Request-Id", self.request_id)
        self.set_cors_headers()
        if not self.services.gate.is_open:
            await self.services.gate.passed()
        if not self.check_host():
            raise Forbidden(HOST_REFUSED)
        await self._count(anonymous(self.request.remote_ip))

    async def _authenticate(self) -> Credential | None:
        authenticator = self.services.authenticator
        credential = await authenticator.adopt_header(self)
        if credential is None and self.dialect is MATRIX:
            credential = await authenticator.adopt_cookie(self)
        # JupyterHandler: host, its own login, CORS, XSRF.
        try:
            await super().prepare()
        except web.HTTPError as error:
            # A stranger without Jupyter's XSRF token is a stranger first; the host's check, which
            # has no message of its own, comes before everything.
            if self.current_user or not error.log_message:
                raise translated(error, self.request.method or "") from error
            if (credential := await authenticator.adopt_cookie(self)) is None:
                raise Unauthenticated from error
        return (
            credential
            or await authenticator.adopt_jupyter(self)
            or await authenticator.adopt_cookie(self)
        )

    async def _count(self, credential: Credential) -> None:
        address = self.request.remote_ip or ""
        allowance = await self.services.limits.hit(self.dialect, credential, address)
        if allowance is None:
            return
        for name, value in allowance.headers.items():
            self.set_header(name, value)
        if allowance.retry_after is not None:
            raise RateLimited(allowance.retry_after)

    def set_cors_headers(self) -> None:
        """Allow only the administrator's origins: Jupyter's exception for tokens is not ours."""
        if self.allow_origin or self.allow_origin_pat:
            super().set_cors_headers()
            self.set_header("Access-Control-Expose-Headers", READABLE)

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks if a page of another origin may send something.

        It asks without a credential, so that whoever wants one can't be asked.
        """
        return (
            self.request.method == "OPTIONS"
            and "Access-Control-Request-Method" in self.request.headers
            and bool(self.allow_origin or self.allow_origin_pat)
        )

    def allow_to_send(self, methods: Iterable[str]) -> None:
        """Tell a browser what pages of the administrator's origins may send here.

        Raises
        ------
        Forbidden
            The server's host is another one.
        """
        if not self.check_host():
            raise Forbidden(HOST_REFUSED)
        self.set_cors_headers()
        self.set_header("Access-Control-Allow-Methods", ", ".join(methods))
        self.set_header("Access-Control-Allow-Headers", SENDABLE)
        self.set_header("Access-Control-Max-Age", "600")

    def compute_etag(self) -> None:
        """Spare a digest of every reply: what is here changes all the time."""

    # -- refusing ----------------------------------------------------------------------------------

    def refuse(self, error: PlatformError) -> None:
        """Fail before the body was read.

        Tornado closes a connection whose reply is finished before its request, and says so to
        nobody: a client that sends its next request on it gets a reset. So a short body is read
        first, and a long one's connection is closed by name.
        """
        length = self.request.headers.get("Content-Length", "0")
        chunked = "Transfer-Encoding" in self.request.headers
        if chunked or not length.isdecimal() or int(length) > SHORT_BODY:
            self.close_after_reply()
            self.fail(error)
        else:
            self.refused = error

    def close_after_reply(self) -> None:
        """Answer now although the body is still to come."""
        self.set_header("Connection", "close")
        self.request.connection.set_body_timeout(DRAIN_SECONDS)  # type: ignore[union-attr]

    def fail(self, error: PlatformError) -> None:
        """Render an error in the dialect, or as RFC 9457 where the caller asks for it."""
        if self._finished or self._headers_written:
            return
        failed = failure(
            error,
            self.dialect,
            overrides=self.error_codes,
            accept=self.request.headers.get("Accept", ""),
            language=self.request.headers.get("Accept-Language", ""),
            request_id=self.request_id,
        )
        if isinstance(error, RateLimited):
            self.set_header("Retry-After", str(max(1, round(error.retry_after))))
        if isinstance(error, Unauthenticated):
            self.set_header("WWW-Authenticate", "Bearer")
        if isinstance(error, MethodNotAllowed) and error.allowed:
            self.set_header("Allow", ", ".join(error.allowed))
        self.set_status(failed.status)
        self.finish(failed.body, set_content_type=failed.content_type)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Return a part of the address, or say which is not UTF-8."""
        try:
            return super().decode_argument(value, name)
        except web.HTTPError as error:
            raise error from InvalidRequest(fields={name or "path": "is not UTF-8"})

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render what Tornado raised by itself (an unknown method, a bad path)."""
        exception = (kwargs.get("exc_info") or (None, None, None))[1]
        # It may come before the body was read; see `refuse`.
        self.set_header("Connection", "close")
        if isinstance(exception, web.HTTPError):
            self.fail(translated(exception, self.request.method or ""))
        elif isinstance(exception, PlatformError):
            self.fail(exception)
        else:
            self.fail(PlatformError(INTERNAL))

    # -- the client --------------------------------------------------------------------------------

    @cached_property
    def gone(self) -> asyncio.Future[None]:
        """Done when the client has closed the connection."""
        return asyncio.get_running_loop().create_future()

    def on_connection_close(self) -> None:
        """Tell whoever streams to this client."""
        if not self.gone.done():
            self.gone.set_result(None)
        super().on_connection_close()


def anonymous(address: str | None) -> Credential:
    """Whoever sends no credential is counted by address."""
    return Credential(id=f"ip:{address}", kind="anonymous", account=None, limited=True)


def translated(error: web.HTTPError, method: str) -> PlatformError:
    """Return what Tornado or Jupyter raised (host, Origin, XSRF, unknown method) as one of ours."""
    if isinstance(error.__cause__, PlatformError):
        return error.__cause__
    status = error.status_code
    if status == 404:
        return Forbidden("Requests from other origins are refused.")
    if status == 405:
        return MethodNotAllowed(method, ())
    kind = error_for_status(status)
    if kind is PlatformError or status >= 500:
        return PlatformError(INTERNAL)
    mapped = kind.__new__(kind)
    PlatformError.__init__(mapped, error.log_message or error.reason or HOST_REFUSED)
    return mapped
