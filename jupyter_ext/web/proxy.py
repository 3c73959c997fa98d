"""Hands the requests of a page on to its container, and the answers back, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.iostream import StreamClosedError

from ..errors import PlatformError, RateLimited, TooLarge
from . import told
from .guard import Guard, address_of, visit_of
from .headers import to_browser, to_upstream, upstream_target

if TYPE_CHECKING:
    import httpx

    from ..containers.doors import Door

ANSWER_SECONDS = 120.0
"""That a container's server has for the beginning of its answer, once it has all of the request."""

MOST_IN_VAIN = 1 << 20
"""Bytes of a body that is not wanted and read all the same, so that the refusal is heard."""

RETRY_SECONDS = 3
"""After which the page that says that nothing answers yet looks again."""

GUARDS = {
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What a page has that says nothing else itself."""

_END = b""


class Page(web.RequestHandler):
    """What every handler of a page's origin has in common: no word of anybody else's."""

    guard: Guard
    ends_connection = False
    """Whether the rest of the request is not waited for."""

    def set_default_headers(self) -> None:
        """Say nothing of what serves this."""
        self.clear_header("Server")

    def tell(self, status: int, text: str, retry: float | None = None) -> None:
        """Finish with a page of our own."""
        if self._finished:
            return
        if self._headers_written:
            self.cut()
            return
        self.clear()
        self.set_status(status)
        if self.ends_connection:
            self.set_header("Connection", "close")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", told.POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        if retry is not None:
            self.set_header("Retry-After", str(round(retry)))
            if self.request.method == "GET" and status == 502:
                self.set_header("Refresh", str(round(retry)))
        if "text/html" in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(told.page(status, text))
        else:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{text}\n")

    def refuse(self, error: PlatformError) -> None:
        """Finish with what went wrong."""
        self.tell(
            error.status,
            error.message,
            error.retry_after if isinstance(error, RateLimited) else None,
        )

    def cut(self) -> None:
        """End the connection, where an answer that has begun can't be ended rightly."""
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what went wrong where nobody foresaw it."""
        self.tell(status_code, f"The request could not be served ({status_code}).")

    def compute_etag(self) -> None:
        """Leave that to the container."""


@web.stream_request_body
class PageProxy(Page):
    """Serves every request that is no WebSocket."""

    def initialize(
        self, guard: Guard, client: Callable[[], httpx.AsyncClient], body_limit: int
    ) -> None:
        """Take the way to containers."""
        self.guard = guard
        self._client = client
        self._body_limit = body_limit
        self._received = 0
        # One piece: who sends faster than the container reads waits.
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._sending: asyncio.Task[httpx.Response] | None = None
        self._patience: asyncio.Timeout | None = None
        self._answering: asyncio.Task[None] | None = None
        self._gone = False
        self._refused: PlatformError | None = None
        self._counted = ExitStack()

    async def prepare(self) -> None:
        """Judge by the headers, and begin to send before the body is there."""
        try:
            self._door = await self.guard.admit(self.request)
            self._expect_body()
            self._counted.enter_context(self.guard.counted(self.request))
        except PlatformError as error:
            # Said when the request has ended: Tornado closes the connection otherwise.
            self._refused = error
            return
        self._sending = asyncio.ensure_future(self._send(self._door))

    def _expect_body(self) -> None:
        length = self.request.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) > self._body_limit:
            raise TooLarge(self._body_limit)

    async def data_received(self, chunk: bytes) -> None:
        """Hand a piece on; the browser waits while the container is slow."""
        sending = self._sending
        self._received += len(chunk)
        if self._finished:
            return
        if sending is None:
            if self._refused is not None and self._received > MOST_IN_VAIN:
                self._refuse_now(self._refused)
            return
        if self._received > self._body_limit:
            sending.cancel()
            self._refuse_now(TooLarge(self._body_limit))
        elif not sending.done():
            await self._put(chunk, sending)

    def _refuse_now(self, error: PlatformError) -> None:
        """Answer before the body has ended, which ends the connection."""
        self.ends_connection = True
        self.refuse(error)

    async def _put(self, chunk: bytes, sending: asyncio.Task[httpx.Response]) -> None:
        """Wait for the container to take a piece, or to have answered without."""
        put = asyncio.ensure_future(self._pieces.put(chunk))
        await asyncio.wait({put, sending}, return_when=asyncio.FIRST_COMPLETED)
        put.cancel()

    async def get(self) -> None:
        """Answer."""
        sending = self._sending
        if self._finished:
            return
        if self._refused is not None:
            self.refuse(self._refused)
        if sending is None:
            return
        await self._put(_END, sending)
        work = self.guard.while_open(self.request, self._answer(sending))
        self._answering = asyncio.ensure_future(work)
        try:
            await self._answering
        except PlatformError as error:
            self.refuse(error)
        except StreamClosedError:
            pass
        except asyncio.CancelledError:
            if not self._gone:
                raise

    head = post = put = patch = delete = options = get

    def on_connection_close(self) -> None:
        """Give up: what was sent is not taken for all of it."""
        self._gone = True
        for task in (self._sending, self._answering):
            if task is not None:
                task.cancel()
        self._counted.close()

    def on_finish(self) -> None:
        """Count it no more."""
        self._counted.close()

    # -- to the container ------------------------------------------------------------------------

    async def _send(self, door: Door) -> httpx.Response:
        import httpx

        request = self.request
        visit = visit_of(self.guard, request, door)
        headers = to_upstream(request.headers.get_all(), visit)
        has_body = "Transfer-Encoding" in request.headers or "Content-Length" in request.headers
        asked = httpx.Request(
            request.method or "GET",
            f"http://{address_of(door)}/",
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            content=self._body() if has_body else None,
            extensions={
                "target": upstream_target(request.path, request.query).encode("latin-1"),
                "timeout": httpx.Timeout(None, connect=5.0).as_dict(),
            },
        )
        async with asyncio.timeout(None) as self._patience:
            if not has_body:
                self._expect_answer()
            return await self._client().send(asked, stream=True)

    async def _body(self) -> AsyncIterator[bytes]:
        while piece := await self._pieces.get():
            yield piece
        self._expect_answer()

    def _expect_answer(self) -> None:
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + ANSWER_SECONDS)

    # -- and back --------------------------------------------------------------------------------

    async def _answer(self, sending: asyncio.Task[httpx.Response]) -> None:
        import httpx

        try:
            reply = await sending
        except TimeoutError:
            self.tell(504, f"{self._door.name} did not answer for {ANSWER_SECONDS:g} seconds.")
            return
        except httpx.HTTPError as error:
            self._unreached(error)
            return
        try:
            await self._pass_back(reply)
        except httpx.HTTPError:
            # Half an answer must not look like a whole one.
            self.cut()
        finally:
            # Also where who reads is gone, so that the container stops sending.
            with suppress(httpx.HTTPError):
                await reply.aclose()

    async def _pass_back(self, reply: httpx.Response) -> None:
        self.clear()
        for name in ("Content-Type", "Server", "Date"):
            self.clear_header(name)
        self.set_status(reply.status_code, reply.reason_phrase or "Unknown")
        visit = visit_of(self.guard, self.request, self._door)
        raw = reply.headers.raw
        sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        for name, value in to_browser(sent, visit, address_of(self._door)):
            self.add_header(name, value.replace("\t", " "))
        # Nobody frames the page, and it keeps no hold of who opened it, nor the other way round.
        self.add_header("Content-Security-Policy", "frame-ancestors 'self'")
        for name, value in GUARDS.items():
            if name not in self._headers:
                self.set_header(name, value)
        async for piece in reply.aiter_raw():
            self.write(piece)
            await self.flush()
        self.finish()

    def _unreached(self, error: Exception) -> None:
        name, inside = self._door.name, self._door.inside
        self.tell(
            502,
            f"Nothing answers at port {inside} of {name} ({type(error).__name__}). If the "
            "container has just started, this page looks again by itself; otherwise "
            f"`{self._door.logs}` may say why.",
            RETRY_SECONDS,
        )
