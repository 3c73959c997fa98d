"""Hands every request of ours on to the desk, and its answer back, piece by piece."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web
from tornado.iostream import StreamClosedError

from ..api.admission import HOST_REFUSED, AdmissionHandler, translated
from ..api.authentication import LOOKS, is_jwt, login_cookie, same_origin
from ..api.hops import HOP_BY_HOP
from ..api.route import MEGABYTE, ErrorCodes
from ..errors import (
    Forbidden,
    NotFound,
    PlatformError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from .carried import (
    carries_own_credential,
    comes_by_cookie,
    cookie_header,
    is_login,
    returned_cookie,
)

if TYPE_CHECKING:
    from ..api.switch import Handler
    from .remote import RemoteDesk

# The rest is ours to set or to keep back.
KEPT_BACK = HOP_BY_HOP | {
    "host",
    "cookie",
    "content-length",
    "origin",
    "referer",
    "x-xsrftoken",
    # Who forwarded what to whom is for proxies that the desk's administrator trusts to say.
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-real-ip",
    "x-scheme",
}
PIECE = 64 * 1024


def forwarded_headers(handler: web.RequestHandler, credential: Mapping[str, str]) -> dict[str, str]:
    """Return a request's headers as the desk gets them.

    Jupyter's own ``Authorization`` was judged here, and means nothing to the desk.
    """
    headers = {
        name: value
        for name, value in handler.request.headers.get_all()
        if name.lower() not in KEPT_BACK and not name.lower().startswith("sec-websocket")
    }
    if not carries_own_credential(handler):
        headers.pop("Authorization", None)
    return headers | dict(credential)


def forwarded_path(path: str, base_url: str) -> str:
    """Return a path of ours below the desk's address.

    Raises
    ------
    NotFound
        It has dots that lead out of what is ours, once somebody on the way resolves them.
    """
    if any(unquote(part) in (".", "..") for part in path.replace("\\", "/").split("/")):
        raise NotFound("path", path, f"Nothing is served at {path}.")
    return path.removeprefix(base_url).lstrip("/")


def forwarded_query(query: str) -> str:
    """Return the query without Jupyter's token, which means nothing to the desk."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode(
        [
            (name, value)
            for name, value in pairs
            if name != "_xsrf" and (name != "token" or is_jwt(value))
        ]
    )


@web.stream_request_body
class ForwardHandler(AdmissionHandler):
    """Serves every path of ours on a server that is not the desk."""

    _track_activity = False
    # What this server refuses by itself (a host, an origin) stands outside of any operation.
    error_codes: ErrorCodes = {Forbidden: 403}

    def initialize(self, remote: RemoteDesk) -> None:
        """Take the way to the desk."""
        self.remote = remote
        self._own_credential = carries_own_credential(self)
        self._login = is_login(self.request, self.base_url)
        self._credential: dict[str, str] = {}
        self._lacking: Unauthenticated | None = None
        self._body: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in on_finish
        self._received = 0

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks; the desk judges keys, this server its own login."""
        try:
            if self._login or comes_by_cookie(self.request, self.base_url):
                self._pass_cookies()
            if self._own_credential or self._login:
                if not self.check_host():
                    raise Forbidden(HOST_REFUSED)
                await self._judge_before_a_long_body()
                return
            try:
                await super(AdmissionHandler, self).prepare()
            except web.HTTPError as error:
                # The desk tells strangers what they lack, in the dialect of the path.
                if self.current_user or not error.log_message:
                    raise translated(error, self.request.method or "") from error
            if self.current_user:
                await self._name_user()
            elif login_cookie(self.request) is not None:
                self._pass_cookies()
                await self._judge_before_a_long_body()
        except PlatformError as error:
            self.refuse(error)

    def _pass_cookies(self) -> None:
        """Let the desk judge its own cookies; their origin only this server can."""
        if self.request.method not in LOOKS and not same_origin(self.request):
            raise Forbidden("A page of another origin sent this with your cookies.")
        self._credential = dict(cookie_header(self.request))
        self._own_credential = self._own_credential or bool(self._credential)

    async def _judge_before_a_long_body(self) -> None:
        """Ask the desk for the key's worth, so that nobody fills this disk with a made-up one."""
        import httpx

        length = self.request.headers.get("Content-Length", "0")
        chunked = "Transfer-Encoding" in self.request.headers
        if not chunked and length.isdecimal() and int(length) <= MEGABYTE:
            return
        if self._login:
            raise TooLarge(MEGABYTE)
        try:
            reply = await self.remote.client.get(
                self.remote.url + "api/v1/status", headers=forwarded_headers(self, self._credential)
            )
        except httpx.HTTPError as error:
            raise await self._unreachable(error) from error
        if reply.status_code == 401:
            raise Unauthenticated("The desk does not know this key.")

    async def _unreachable(self, error: Exception) -> Unavailable:
        await self.remote.lost()
        return Unavailable(
            f"The desk at {self.remote.url} does not answer ({type(error).__name__}).",
            "Is its server running?",
        )

    async def _name_user(self) -> None:
        try:
            self._credential = await self.remote.credential()
        except Unauthenticated as error:
            # Public routes need none; for the others this says more than the desk can.
            self._lacking = error

    def set_cors_headers(self) -> None:
        """Say nothing: the desk does."""

    def data_received(self, chunk: bytes) -> None:
        """Keep the body until it is complete; a stranger's is not worth a place on the disk."""
        if self.refused is None and (self._own_credential or self._credential or self._login):
            self._received += len(chunk)
            self._body.write(chunk)

    def on_finish(self) -> None:
        """Let go of the body."""
        self._body.close()

    @allow_unauthenticated
    async def get(self) -> None:
        """Pass on."""
        if self._finished:
            return
        try:
            if self.refused is not None:
                raise self.refused
            await self._pass_on()
        except PlatformError as error:
            self.fail(error)
        except StreamClosedError:
            pass

    head = post = put = patch = delete = options = get  # type: ignore[assignment]

    async def _pass_on(self) -> None:
        import httpx

        request = self.request
        path = forwarded_path(request.path, self.base_url)
        query = forwarded_query(request.query)
        headers = forwarded_headers(self, self._credential)
        if self._received:
            headers["Content-Length"] = str(self._received)
        try:
            async with self.remote.client.stream(
                request.method or "GET",
                self.remote.url + path + (f"?{query}" if query else ""),
                headers=headers,
                content=self._pieces() if self._received else None,
            ) as reply:
                await self._pass_back(reply)
        except httpx.HTTPError as error:
            raise await self._unreachable(error) from error

    async def _pass_back(self, reply: Any) -> None:
        if reply.status_code == 401 and self._lacking is not None:
            raise self._lacking
        self.set_status(reply.status_code)
        own = self.base_url
        for name, value in reply.headers.multi_items():
            lower = name.lower()
            if lower == "location":
                value = value.replace(self.remote.base_path, own, 1)
            if lower == "set-cookie":
                secure = self.request.protocol == "https"
                if cookie := returned_cookie(value, own, secure=secure):
                    self.add_header("Set-Cookie", cookie)
            if lower not in HOP_BY_HOP | {"date", "server", "content-length", "set-cookie"}:
                self.set_header(name, value)
        if "content-length" in reply.headers:
            self.set_header("Content-Length", reply.headers["content-length"])
        kind = reply.headers.get("content-type", "application/json")
        self.set_header("Content-Type", kind)
        async for piece in reply.aiter_raw():
            self.write(piece)
            await self.flush()
        self.finish(set_content_type=kind)

    async def _pieces(self) -> AsyncIterator[bytes]:
        self._body.seek(0)
        while piece := self._body.read(PIECE):
            yield piece


def handlers_for(remote: RemoteDesk) -> list[Handler]:
    """Return the handlers of a server that is not the desk."""
    from .forward_socket import ForwardSocket

    arguments = {"remote": remote}
    return [
        (r"(?:/api/v1)?/ws", ForwardSocket, arguments),
        (r"/api/v1/containers/[^/]+/exec", ForwardSocket, arguments),
        (r"/.*", ForwardHandler, arguments),
    ]
