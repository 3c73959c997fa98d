"""Replies that go on: server-sent events and plain streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError

from ..errors import PlatformError
from .lapse import lapsed
from .render import encode
from .route import Chunk, Stream

if TYPE_CHECKING:
    from .endpoint import Endpoint

SERVER_SENT = "text/event-stream"

HEARTBEAT = 15.0
"""Seconds between two comments that keep proxies from closing a quiet stream."""


async def send_stream(handler: Endpoint, stream: Stream) -> None:
    """Send chunks as they come, waiting for a slow reader, until they or the client end.

    An error before the first chunk of a plain stream is the endpoint's to render. A later one ends
    server-sent events with an event ``error``, and breaks a plain stream off, so that nobody takes
    a part for the whole.
    """
    sender = _Sender(handler, stream)
    try:
        if handler.request.method == "HEAD":
            await sender.begin()
        else:
            await sender.run()
    except StreamClosedError:
        pass
    finally:
        await sender.close()
    if not handler.gone.done() and not sender.cut:
        handler.finish_stream(stream.content_type)


class _Sender:
    """One reply on its way."""

    def __init__(self, handler: Endpoint, stream: Stream) -> None:
        self._handler = handler
        self._stream = stream
        self._events = stream.content_type == SERVER_SENT
        self._chunks = stream.chunks.__aiter__()
        self._next: asyncio.Future[Chunk] | None = None
        self._lapsed: asyncio.Future[PlatformError] | None = None
        if handler.credential is not None:
            watch = lapsed(handler.services.authenticator, handler, handler.credential)
            self._lapsed = asyncio.ensure_future(watch)
        self._stuck: asyncio.Future[Any] | None = None
        if stream.stuck is not None:
            self._stuck = asyncio.ensure_future(stream.stuck.wait())
        self.cut = False
        """Whether the connection was broken off."""

    async def begin(self) -> None:
        """Send the headers."""
        handler = self._handler
        handler.set_header("Content-Type", self._stream.content_type)
        handler.set_header("Cache-Control", "no-cache")
        handler.set_header("X-Accel-Buffering", "no")
        if self._stream.filename:
            handler.set_attachment_header(self._stream.filename)
        if self._events:
            handler.write(b": welcome\n\n")
        await self._flush()

    async def run(self) -> None:
        """Send it all."""
        waiting = self._fetch()
        # Headers of events go out at once, since their reader waits for them. Bytes may still fail
        # with a status.
        if not self._events:
            await self._first_of(waiting)
            if waiting.done() and not isinstance(waiting.exception(), StopAsyncIteration):
                waiting.result()
        await self.begin()
        while not self.cut:
            await self._first_of(waiting, timeout=HEARTBEAT if self._events else None)
            if self._handler.gone.done():
                return
            if self._lapsed is not None and self._lapsed.done():
                await self._fail(self._lapsed.result())
                return
            if not waiting.done():
                self._handler.write(b": still here\n\n")
            else:
                try:
                    chunk = waiting.result()
                except StopAsyncIteration:
                    return
                except PlatformError as error:
                    await self._fail(error)
                    return
                except Exception:
                    await self._fail(PlatformError("Something went wrong inside the server."))
                    raise
                self._handler.write(_event(chunk) if self._events else chunk.data)
                waiting = self._fetch()
            await self._flush()

    async def close(self) -> None:
        """Let go of the source."""
        own = [each for each in (self._next, self._lapsed, self._stuck) if each is not None]
        for future in own:
            future.cancel()
        await asyncio.gather(*own, return_exceptions=True)
        close = getattr(self._stream.chunks, "aclose", None)
        if close is not None:
            await close()

    async def _fail(self, error: PlatformError) -> None:
        if self._events:
            details = {**error.details, **error.fields}
            data = {"code": error.code, "message": error.message, "details": details}
            self._handler.write(_event(Chunk(data, event="error")))
            await self._flush()
        else:
            self._break_off()

    async def _flush(self) -> None:
        """Wait until the client has taken what was written, or never will."""
        flushed = asyncio.ensure_future(self._handler.flush())
        if not flushed.done():
            await self._first_of(flushed, self._stuck)
        if flushed.done():
            flushed.result()
        else:
            self._break_off()

    async def _first_of(
        self, *awaited: asyncio.Future[Any] | None, timeout: float | None = None
    ) -> None:
        """Wait for one of these, or for the end of the client or of its credential."""
        every = {each for each in (*awaited, self._handler.gone, self._lapsed) if each is not None}
        await asyncio.wait(every, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def _break_off(self) -> None:
        self.cut = True
        stream = getattr(self._handler.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    def _fetch(self) -> asyncio.Future[Chunk]:
        self._next = asyncio.ensure_future(_next(self._chunks))
        return self._next


async def _next(chunks: Any) -> Chunk:
    chunk: Chunk = await chunks.__anext__()
    return chunk


def _event(chunk: Chunk) -> bytes:
    """Return one server-sent event (HTML standard, section 9.2.6); JSON text has no line breaks."""
    lines = b""
    if chunk.id is not None:
        lines += b"id: " + chunk.id.encode() + b"\n"
    if chunk.event is not None:
        lines += b"event: " + chunk.event.encode() + b"\n"
    return lines + b"data: " + encode(chunk.data) + b"\n\n"
