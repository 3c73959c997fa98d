"""HTTP to an engine, also to one that breaks off or talks nonsense."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from jupyter_ext.containers.docker_errors import EngineFault
from jupyter_ext.containers.docker_http import EngineStream, open_stream
from jupyter_ext.containers.docker_sockets import UnixDialer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.asynccontextmanager
async def engine(folder: Path, talk: Talk) -> AsyncIterator[UnixDialer]:
    """Run an engine that says what the test wants."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "s")
    async with server:
        yield UnixDialer(str(folder / "s"))
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await asyncio.sleep(0)


def saying(*parts: bytes, wait: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.005)
        await asyncio.sleep(wait)

    return talk


async def everything(stream: EngineStream) -> bytes:
    async with stream:
        return await stream.read_all(1 << 20)


@pytest.mark.parametrize(
    "parts",
    [
        (OK + b"Content-Length: 5\r\n\r\nhello, and what is not ours",),
        (OK + b"Content-Length: 5\r\n\r\nhe", b"llo"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5;x=y\r\nhe", b"llo\r", b"\n0\r\n\r\n"),
        (OK + b"\r\nhel", b"lo"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"content-length:5\r\n\r\nhello"),
    ],
)
async def test_bodies_of_all_kinds(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    async with engine(tmp_path, saying(*parts)) as dialer:
        assert await everything(await open_stream(dialer, "GET", "/x")) == b"hello"


async def test_objects_come_line_by_line(tmp_path: Path) -> None:
    body = (OK + b"\r\n" + b'{"a": 1}\n{"a"', b": 2}\r\n\n", b'{"a": 3}')
    async with (
        engine(tmp_path, saying(*body)) as dialer,
        await open_stream(dialer, "GET", "/x") as stream,
    ):
        assert [item["a"] async for item in stream.objects()] == [1, 2, 3]


async def test_exact_reads(tmp_path: Path) -> None:
    async with (
        engine(tmp_path, saying(OK + b"\r\nabc", b"defgh")) as dialer,
        await open_stream(dialer, "GET", "/x") as stream,
    ):
        assert await stream.read_exactly(2) == b"ab"
        assert await stream.read_exactly(4) == b"cdef"
        assert await stream.read_exactly(9) == b"gh"


async def test_a_refusal_has_its_status_and_words(tmp_path: Path) -> None:
    body = b'{"message": "no such thing"}'
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with engine(tmp_path, saying(head + body)) as dialer:
        with pytest.raises(EngineFault, match="404: no such thing"):
            await open_stream(dialer, "GET", "/x")


@pytest.mark.parametrize(
    "words",
    [b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x00" * 99],
)
async def test_nonsense_is_a_lost_connection(tmp_path: Path, words: bytes) -> None:
    async with engine(tmp_path, saying(words)) as dialer:
        with pytest.raises(OSError, match="broke off"):
            await open_stream(dialer, "GET", "/x")


@pytest.mark.parametrize("size", [b"zz\r\n", b"\r\n", b"fffff"])
async def test_a_body_that_breaks_off_ends(tmp_path: Path, size: bytes) -> None:
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"
    async with engine(tmp_path, saying(head + size)) as dialer:
        stream = await open_stream(dialer, "GET", "/x")
        assert await everything(stream) == b"he"
        assert not stream.complete


async def test_a_head_that_does_not_come_is_a_time_out(tmp_path: Path) -> None:
    async with engine(tmp_path, saying(wait=5)) as dialer:
        with pytest.raises(TimeoutError):
            await open_stream(dialer, "GET", "/x", deadline=0.1)


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await open_stream(UnixDialer(str(tmp_path / "none")), "GET", "/x")


async def test_what_is_sent(tmp_path: Path) -> None:
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async def parts() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b""
        yield b"defg"

    async with engine(tmp_path, talk) as dialer:
        stream = await open_stream(dialer, "PUT", "/y?z=1", headers={"A": "b"}, body=parts())
        assert await everything(stream) == b""
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /y?z=1 HTTP/1.1\r\n")
    assert b"A: b" in head
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


async def test_both_ways_after_an_upgrade(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\nfirst")
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.write(b"bye")

    async with (
        engine(tmp_path, talk) as dialer,
        await open_stream(dialer, "POST", "/x", upgrade=True) as stream,
    ):
        assert await stream.read() == b"first"
        await stream.write(b"abc")
        assert await stream.read() == b"ABC"
        assert stream.end_writing()
        assert await stream.read() == b"bye"
        assert await stream.read() == b""


async def test_closing_ends_a_read_that_waits(tmp_path: Path) -> None:
    async with engine(tmp_path, saying(OK + b"\r\n", wait=5)) as dialer:
        stream = await open_stream(dialer, "GET", "/x")
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0.02)
        stream.close()
        assert await asyncio.wait_for(reading, 4) == b""


async def test_a_line_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_ext.containers.docker_http.LINE_LIMIT", 1000)
    async with (
        engine(tmp_path, saying(OK + b"\r\n", b"x" * 900, b"x" * 900)) as dialer,
        await open_stream(dialer, "GET", "/x") as stream,
    ):
        with pytest.raises(EngineFault, match="no end"):
            async for _ in stream.objects():
                pass
