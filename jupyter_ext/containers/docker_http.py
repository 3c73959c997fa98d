"""HTTP to the engine on the loop, for what streams: it uses no thread and ends with its socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from .docker_errors import EngineFault
from .docker_sockets import CONNECT_DEADLINE, Dialer

#: Bytes of a line of JSON at most.
LINE_LIMIT = 16 << 20

_ENDS = (OSError, EOFError, ValueError)


class EngineStream:
    """One request and its answer, on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self._left: int | None = None
        self._chunked = False
        self._ended = False
        #: Whether the answer came to its proper end, and did not break off.
        self.complete = False
        #: Makes the error for an answer that can't be understood.
        self.failure: Callable[[str], Exception] = lambda words: EngineFault(0, words)
        self._rest = b""

    async def read(self) -> bytes:
        """Wait for the next bytes of the answer; ``b""`` at its end or when it was closed."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        if self._ended:
            return b""
        data = b""
        with contextlib.suppress(*_ENDS):
            data = await (self._read_chunk() if self._chunked else self._read_plain())
        if not data:
            self._ended = True
        return data

    async def _read_plain(self) -> bytes:
        if self._left is None:
            return await self._reader.read(65536)
        data = await self._reader.read(min(65536, self._left)) if self._left else b""
        self._left -= len(data)
        self.complete = self._left == 0
        return data

    async def _read_chunk(self) -> bytes:
        if not self._left:
            if self._left == 0:
                await self._reader.readline()
            size = await self._reader.readline()
            self._left = int(size.split(b";")[0], 16)
            if self._left == 0:
                self.complete = True
                return b""
        data = await self._reader.read(min(65536, self._left))
        self._left -= len(data)
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Wait for `count` bytes; fewer only at the end."""
        parts: list[bytes] = []
        while count > 0 and (data := await self.read()):
            self._rest = data[count:]
            parts.append(data[:count])
            count -= len(parts[-1])
        return b"".join(parts)

    async def objects(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON objects of the answer, one a line."""
        pending = b""
        while data := await self.read():
            *lines, pending = (pending + data).split(b"\n")
            if len(pending) > LINE_LIMIT:
                raise self.failure("a line of its answer has no end")
            for line in lines:
                if line.strip():
                    yield self._object(line)
        if pending.strip():
            yield self._object(pending)

    def _object(self, text: bytes) -> dict[str, Any]:
        found = None
        with contextlib.suppress(ValueError):
            found = json.loads(text)
        if not isinstance(found, dict):
            raise self.failure("its answer can't be understood")
        return found

    async def only_object(self, limit: int = 1 << 20) -> dict[str, Any]:
        """Read the whole answer, which is one JSON object."""
        return self._object(await self.read_all(limit))

    async def read_all(self, limit: int) -> bytes:
        """Read the whole answer, up to `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        while size < limit and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)[:limit]

    async def write(self, data: bytes) -> None:
        """Send bytes after the request, where the connection was upgraded."""
        self._writer.write(data)
        await self._writer.drain()

    def end_writing(self) -> bool:
        """Say that no more will be sent; False where the connection can't say it (TLS)."""
        if self._writer.is_closing() or not self._writer.can_write_eof():
            return False
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        return True

    def close(self) -> None:
        """Close the connection, which is how every stream ends."""
        self._ended = True
        self._writer.transport.abort()

    async def __aenter__(self) -> EngineStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def open_stream(
    dialer: Dialer,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | AsyncIterator[bytes] | None = None,
    upgrade: bool = False,
    deadline: float | None = 10.0,
) -> EngineStream:
    """Send a request and return its answer once its head is there.

    Parameters
    ----------
    body
        Bytes, or an iterator that is sent as it comes.
    upgrade
        Ask for a plain connection in both directions after the head.
    deadline
        Seconds until the head of the answer; None where it may take as long as sending the body.

    Raises
    ------
    EngineFault
        The engine refuses, with its status and words.
    OSError
        The engine can't be reached; `TimeoutError` where it does not answer in time.
    """
    async with asyncio.timeout(CONNECT_DEADLINE):
        reader, writer = await dialer.open()
    stream = EngineStream(reader, writer)
    try:
        async with asyncio.timeout(deadline):
            writer.write(_head(method, path, dict(headers or {}), body, upgrade=upgrade))
            if isinstance(body, bytes):
                writer.write(body)
            go = asyncio.Event()
            head = asyncio.ensure_future(_read_head(stream, reader, go))
            try:
                if body is not None and not isinstance(body, bytes):
                    await _send_body(writer, body, head, go)
                await head
            finally:
                head.cancel()
        if stream.status >= 400:
            async with asyncio.timeout(5):
                words = await stream.read_all(1 << 16)
            raise EngineFault(stream.status, _message(words))
    except BaseException:
        stream.close()
        raise
    return stream


def _head(method: str, path: str, headers: dict[str, str], body: object, *, upgrade: bool) -> bytes:
    headers = {"Host": "docker", "User-Agent": "jupyter-ext", **headers}
    headers |= {"Connection": "Upgrade", "Upgrade": "tcp"} if upgrade else {"Connection": "close"}
    if isinstance(body, bytes):
        headers["Content-Length"] = str(len(body))
    elif body is not None:
        # The engine refuses before a long body is sent, or while it is, and not only after.
        headers |= {"Transfer-Encoding": "chunked", "Expect": "100-continue"}
    elif method != "GET":
        headers["Content-Length"] = "0"
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _send_body(
    writer: asyncio.StreamWriter,
    body: AsyncIterator[bytes],
    head: asyncio.Future[None],
    go: asyncio.Event,
) -> None:
    """Send a body once the engine wants it, and only as long as it has not answered."""
    going = asyncio.ensure_future(go.wait())
    await asyncio.wait((head, going), timeout=1, return_when=asyncio.FIRST_COMPLETED)
    going.cancel()
    if head.done():
        return
    sending = asyncio.ensure_future(_send_chunks(writer, body))
    try:
        await asyncio.wait((head, sending), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()


async def _send_chunks(writer: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    async for data in body:
        if data:
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            try:
                await writer.drain()
            except OSError:
                # The engine's answer, if there is one, says why it did not want more.
                return
    writer.write(b"0\r\n\r\n")


async def _read_head(stream: EngineStream, reader: asyncio.StreamReader, go: asyncio.Event) -> None:
    try:
        while stream.status in (0, 100):
            if stream.status == 100:
                go.set()
            first = await reader.readline()
            stream.status = int(first.split(b" ", 2)[1])
            stream.headers = {}
            while line := (await reader.readline()).strip():
                name, _, value = line.decode("latin-1").partition(":")
                stream.headers[name.strip().lower()] = value.strip()
    except (ValueError, IndexError) as error:
        # Nothing at all is how a dying engine answers.
        raise ConnectionResetError("the engine broke off before it answered") from error
    headers = stream.headers
    if stream.status in (101, 204, 304) or "content-length" in headers:
        stream._left = int(headers.get("content-length", 0)) if stream.status != 101 else None
    elif "chunked" in headers.get("transfer-encoding", "").lower():
        stream._chunked = True


def _message(words: bytes) -> str:
    try:
        return str(json.loads(words)["message"])
    except (ValueError, KeyError, TypeError):
        return words.decode(errors="replace").strip()
