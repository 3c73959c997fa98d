"""Replies that go on: how they go out, and every way in which they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from jupyter_ext.api import lapse, streams
from jupyter_ext.errors import Conflict, NotFound
from jupyter_ext.events import manager

from .house import ALICE, House, until


def client(key: str = "alice", **options: Any) -> httpx.AsyncClient:
    options.setdefault("timeout", 10)
    return httpx.AsyncClient(headers={"X-API-Key": f"jx_{key}"}, trust_env=False, **options)


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """Return name and data of server-sent events."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields:
            found.append((fields.get("event"), json.loads(fields["data"])))
    return found


async def read(url: str, **options: Any) -> httpx.Response:
    async with client() as http:
        return await http.get(url, **options)


async def broken(*pieces: Any, error: Exception) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece
    raise error


async def endless(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece
    await asyncio.sleep(3600)


async def test_events_go_out_as_they_come(house: House, url: str) -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[Any]:
        yield {"text": "line\nbreak"}
        await more.wait()
        yield {"n": 2}

    house.stage.source = source
    async with client() as http, http.stream("GET", f"{url}/stream") as reply:
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert reply.headers["Cache-Control"] == "no-cache"
        assert reply.headers["X-Accel-Buffering"] == "no"
        parts = reply.aiter_text()
        text = ""
        while "line" not in text:
            text += await anext(parts)
        more.set()
        text += "".join([part async for part in parts])
    assert events_of(text) == [(None, {"text": "line\nbreak"}), (None, {"n": 2})]
    assert house.stage.closed == ["stream"]


async def test_a_quiet_stream_shows_that_it_lives(
    house: House, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    house.stage.source = endless
    async with client() as http, http.stream("GET", f"{url}/stream") as reply:
        lines = [line async for line, _ in _zip(reply.aiter_lines(), 8)]
    assert lines.count(": still here") >= 3
    assert not [line for line in lines if line and not line.startswith(":")]


async def _zip(lines: AsyncIterator[str], count: int) -> AsyncIterator[tuple[str, int]]:
    for number in range(count):
        yield await anext(lines), number


async def test_an_error_ends_events_with_its_words(house: House, url: str) -> None:
    house.stage.source = lambda: broken({"n": 1}, error=NotFound("container", "x"))
    reply = await read(f"{url}/stream")
    assert events_of(reply.text) == [
        (None, {"n": 1}),
        (
            "error",
            {
                "code": "NOT_FOUND",
                "message": "No container goes by 'x'.",
                "details": {"container": "x"},
            },
        ),
    ]


async def test_a_fault_inside_ends_events_without_its_words(house: House, url: str) -> None:
    house.stage.source = lambda: broken({"n": 1}, error=ValueError("a secret"))
    reply = await read(f"{url}/stream")
    assert events_of(reply.text)[-1][1]["code"] == "INTERNAL_ERROR"
    assert "secret" not in reply.text


async def test_bytes_come_as_they_are(house: House, url: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    house.stage.content_type = "application/x-tar"
    house.stage.source = source
    reply = await read(f"{url}/stream")
    assert reply.headers["Content-Type"] == "application/x-tar"
    assert reply.content == b"x" * 1_000_000


async def test_bytes_may_be_none(house: House, url: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        return
        yield b""

    house.stage.content_type = "application/x-tar"
    house.stage.source = source
    reply = await read(f"{url}/stream")
    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize(
    ("error", "status"), [(Conflict("container", "x"), 409), (ValueError("a secret"), 500)]
)
async def test_bytes_that_fail_before_the_first_fail_with_a_status(
    house: House, url: str, error: Exception, status: int
) -> None:
    house.stage.content_type = "application/x-tar"
    house.stage.source = lambda: broken(error=error)
    reply = await read(f"{url}/stream")
    assert reply.status_code == reply.json()["code"] == status
    assert "secret" not in reply.text
    assert house.stage.closed == ["stream"]


@pytest.mark.parametrize("error", [Conflict("container", "x"), ValueError("a secret")])
async def test_bytes_that_fail_half_way_do_not_look_whole(
    house: House, url: str, error: Exception
) -> None:
    house.stage.content_type = "application/x-tar"
    house.stage.source = lambda: broken(b"half", error=error)
    with pytest.raises(httpx.RemoteProtocolError):
        await read(f"{url}/stream")
    await until(lambda: house.stage.closed)


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-tar"])
async def test_head_of_an_endless_stream_ends(house: House, url: str, kind: str) -> None:
    house.stage.content_type = kind
    house.stage.source = lambda: endless({"n": 1})
    async with client() as http:
        reply = await http.head(f"{url}/stream")
        assert (reply.status_code, reply.content) == (200, b"")
        assert reply.headers["Content-Type"] == kind
        assert (await http.head(f"{url}/events")).status_code == 200
    assert not house.bus.wanted("things")


async def test_the_source_is_left_when_the_client_goes(house: House, url: str) -> None:
    house.stage.source = lambda: endless({"n": 1})
    async with client() as http, http.stream("GET", f"{url}/stream") as reply:
        await anext(reply.aiter_text())
    await until(lambda: house.stage.closed)
    async with client() as http, http.stream("GET", f"{url}/events") as reply:
        await anext(reply.aiter_text())
        assert house.bus.wanted("things")
    await until(lambda: not house.bus.wanted("things"))


async def test_a_revoked_key_ends_its_streams(
    house: House, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapse, "RECHECK_SECONDS", 0.05)
    async with client() as http, http.stream("GET", f"{url}/events") as reply:
        parts = reply.aiter_text()
        await anext(parts)
        del house.keys.known["alice"]
        text = "".join([part async for part in parts])
    name, data = events_of(text)[-1]
    assert (name, data["code"]) == ("error", "UNAUTHORIZED")
    assert "revoked" in data["message"]


async def test_the_end_of_the_server_ends_them(house: House, url: str) -> None:
    async with client() as http, http.stream("GET", f"{url}/events") as reply:
        parts = reply.aiter_text()
        await anext(parts)
        house.bus.publish("things", {"last": "words"})
        house.bus.close()
        text = "".join([part async for part in parts])
    assert events_of(text) == [("things", {"last": "words"})]


async def test_watching_is_no_activity(house: House, url: str) -> None:
    before = house.app.web_app.last_activity()
    async with client() as http, http.stream("GET", f"{url}/events") as reply:
        house.bus.publish("things", {})
        parts = reply.aiter_text()
        text = ""
        while "things" not in text:
            text += await anext(parts)
    await until(lambda: not house.bus.wanted("things"))
    assert house.app.web_app.last_activity() == before


class Lazy:
    """A client that asks for a stream and never reads it."""

    def __init__(self, port: int, path: str) -> None:
        self.port = port
        self.path = path

    async def __aenter__(self) -> asyncio.StreamReader:
        # A small buffer, which stops to read when it is full.
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1024)
        head = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        self.writer.write(f"{head}X-API-Key: jx_alice\r\n\r\n".encode())
        assert b"200" in await reader.readline()
        return reader

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()


async def test_a_reader_that_does_not_read_slows_nobody_and_is_cut_off(
    house: House, url: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe = house.bus.subscribe
    monkeypatch.setattr(
        house.bus, "subscribe", lambda *args, **more: subscribe(*args, **more, limit=50)
    )
    path = f"{house.base_url}api/v1/events"
    async with Lazy(port, path) as reader:
        await until(lambda: house.bus.wanted("things"))
        async with client() as http, http.stream("GET", f"{url}/events") as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            for number in range(400):
                house.bus.publish("things", {"n": number, "text": "x" * 100_000})
                async with asyncio.timeout(5):
                    while f'"n":{number},' not in await anext(lines):
                        pass
        # Both are gone: one has left, the other was cut off.
        await until(lambda: not house.bus.wanted("things"))
        async with asyncio.timeout(10):
            while await reader.read(1 << 20):
                pass


async def test_an_account_may_have_so_many_streams(
    house: House, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "STREAMS", 2)
    async with client() as http:
        first = await http.send(http.build_request("GET", f"{url}/events"), stream=True)
        second = await http.send(http.build_request("GET", f"{url}/events"), stream=True)
        assert (first.status_code, second.status_code) == (200, 200)
        third = await http.get(f"{url}/events")
        assert third.status_code == 429
        assert "2 streams" in third.json()["error"]["message"]
        async with client("bob") as other, other.stream("GET", f"{url}/events") as reply:
            assert reply.status_code == 200
        await first.aclose()
        async with asyncio.timeout(10):
            while True:
                async with http.stream("GET", f"{url}/events") as reply:
                    if reply.status_code == 200:
                        break
                await asyncio.sleep(0.01)
        await second.aclose()
    await until(lambda: not house.bus.wanted("things"))


async def test_what_belongs_to_others_is_not_sent(house: House, url: str) -> None:
    async with client("bob") as http, http.stream("GET", f"{url}/events?topics=things") as reply:
        parts = reply.aiter_text()
        await anext(parts)
        house.bus.publish("things", {"of": "alice"}, owner=ALICE.id)
        house.bus.publish("others", {"of": "another topic"})
        house.bus.publish("things", {"of": "all"})
        house.bus.close()
        text = "".join([part async for part in parts])
    assert events_of(text) == [("things", {"of": "all"})]
