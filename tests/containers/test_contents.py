"""What containers print, hold, run and use."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import Any

import pytest

from jupyter_ext.api.route import Stream, Upload
from jupyter_ext.containers.engine_types import EngineMount
from jupyter_ext.containers.schemas import (
    ExecQuery,
    LogsQuery,
    MetricsQuery,
    NewContainer,
    PathQuery,
    StopOptions,
)
from jupyter_ext.containers.terminal import serve_terminal
from jupyter_ext.containers.views import Container
from jupyter_ext.errors import Conflict, Forbidden, InvalidRequest, NotFound, TooLarge

from .conftest import ALICE, BOB, World

PLAIN = StopOptions()


async def make(world: World) -> Container:
    made = await world.containers.create(ALICE, NewContainer(name="web", image="busybox"))
    assert isinstance(made, Container)
    return made


async def test_logs(world: World) -> None:
    await make(world)
    world.engine.printed = [("stdout", b"one\n"), ("stderr", b"two\n")]
    assert await world.contents.logs(ALICE, "web", LogsQuery()) == {"logs": "one\ntwo\n"}
    with pytest.raises(NotFound):
        await world.contents.logs(BOB, "web", LogsQuery())


async def test_followed_logs_keep_letters_whole(world: World) -> None:
    await make(world)
    sign = "é".encode()
    world.engine.printed = [("stdout", sign[:1]), ("stderr", b"x"), ("stdout", sign[1:])]
    stream = await world.contents.logs(ALICE, "web", LogsQuery(follow=True))
    assert isinstance(stream, Stream)
    chunks = [(chunk.event, chunk.data) async for chunk in stream.chunks]
    assert chunks == [
        ("log", {"stream": "stderr", "text": "x"}),
        ("log", {"stream": "stdout", "text": "é"}),
        ("end", {"ended": True}),
    ]


async def test_a_subscription_to_logs(world: World) -> None:
    made = await make(world)
    world.engine.printed = [("stdout", b"one")]
    data = {"topic": "container-logs", "cid": made.cid, "tail": 5}
    assert await world.contents.log_snapshot(ALICE, data) == {"cid": made.cid}
    frames = [frame async for frame in world.contents.log_frames(ALICE, data)]
    assert frames == [
        {"cid": made.cid, "text": "one", "stream": "stdout"},
        {"cid": made.cid, "ended": True},
    ]


@pytest.mark.parametrize(
    "data", [{}, {"cid": None}, {"cid": True}, {"cid": 1, "tail": -1}, {"cid": 1, "tail": "x"}]
)
async def test_a_wrong_subscription_to_logs(world: World, data: dict[str, Any]) -> None:
    await make(world)
    with pytest.raises(InvalidRequest):
        await world.contents.log_snapshot(ALICE, data)


async def test_changes(world: World) -> None:
    await make(world)
    assert await world.contents.changes(ALICE, "web") == {
        "total": 2,
        "size": 5,
        "truncated": False,
        "items": [
            {"path": "/etc/old", "kind": "deleted", "size": None},
            {"path": "/new", "kind": "added", "size": 5},
        ],
    }
    with pytest.raises(NotFound):
        await world.contents.changes(BOB, "web")


async def test_an_archive(world: World) -> None:
    await make(world)
    stream = await world.contents.read_archive(ALICE, "web", PathQuery(path="/data"))
    assert stream.filename == "data.tar"
    assert b"".join([chunk.data async for chunk in stream.chunks]) == b"onetwo"
    with pytest.raises(NotFound, match="There is no /other"):
        await world.contents.read_archive(ALICE, "web", PathQuery(path="/other"))


async def test_an_archive_that_is_too_long(world: World) -> None:
    await make(world)
    world.defaults.archive_limit = 4
    stream = await world.contents.read_archive(ALICE, "web", PathQuery(path="/data"))
    with pytest.raises(TooLarge):
        [chunk async for chunk in stream.chunks]


async def test_the_engine_touches_no_users_folder_as_root(world: World) -> None:
    made = await make(world)
    mount = EngineMount("/home/alice", "/data")
    world.engine._set(made.id, mounts=(mount,))
    world.service.mirror.put(await world.engine.inspect(made.id))
    upload = Upload(io.BytesIO(b"tar"), 3, "application/x-tar")
    with pytest.raises(Forbidden, match="terminal"):
        await world.contents.read_archive(ALICE, "web", PathQuery(path="/data"))
    with pytest.raises(Forbidden):
        await world.contents.write_archive(ALICE, "web", PathQuery(path="/data"), upload)
    assert not any("archive" in call for call in world.engine.calls)


class Talk:
    """A channel with a person who says what the test says."""

    def __init__(self, *said: Any) -> None:
        self.said = deque(said)
        self.heard: list[Any] = []

    async def receive(self) -> Any:
        if self.said:
            return self.said.popleft()
        await asyncio.Event().wait()
        return None

    async def send(self, message: Any) -> None:
        self.heard.append(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError("the edge closes")


class Echo:
    """A process that prints what is typed, until it reads ``exit``."""

    id = "exec"

    def __init__(self) -> None:
        self.printed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sizes: list[tuple[int, int]] = []

    async def read(self) -> tuple[Any, bytes] | None:
        data = await self.printed.get()
        return None if data is None else ("stdout", data)

    async def write(self, data: bytes) -> None:
        await self.printed.put(None if data == b"exit" else data)

    async def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    async def close_stdin(self) -> None: ...

    async def close(self) -> None: ...

    async def exit_code(self) -> int | None:
        return 0


async def test_a_terminal_speaks_jupyters_protocol() -> None:
    process, person = (
        Echo(),
        Talk(
            ["set_size", 40, 120, 800, 600],
            ["set_size", "wide", None],
            ["unknown"],
            "nonsense",
            ["stdin", "é"],
            ["stdin", "exit"],
        ),
    )
    await asyncio.wait_for(serve_terminal(person, process), 5)
    assert person.heard == [["setup", {}], ["stdout", "é"], ["exit", 0], ["disconnect", 1]]
    assert process.sizes == [(40, 120)]


async def test_a_terminal_in_a_stopped_container(world: World) -> None:
    await make(world)
    await world.containers.stop(ALICE, "web", PLAIN, PLAIN)
    with pytest.raises(Conflict, match="Start it"):
        await world.contents.exec(ALICE, Talk(), "web", ExecQuery())
    with pytest.raises(NotFound):
        await world.contents.exec(BOB, Talk(), "web", ExecQuery())


async def test_metrics(world: World) -> None:
    made = await make(world)
    now = await world.service.usage.metrics(ALICE, "web", MetricsQuery())
    assert now["cid"] == made.cid
    assert now["cpu_usage"] == 12.5
    assert (now["memory_usage"], now["memory_limit"]) == (1000, 2000)
    assert now["network"] == {"rx_bytes": 1, "tx_bytes": 2}
    assert now["block"] == {"read_bytes": 3, "write_bytes": 4}
    assert (now["pids"], now["gpus"]) == (5, [])
    assert "history" not in now
    await world.service.sampler.sweep()
    then = await world.service.usage.metrics(ALICE, "web", MetricsQuery(duration=60))
    assert then["history"][0]["memory_usage"] == 1000
    with pytest.raises(NotFound):
        await world.service.usage.metrics(BOB, "web", MetricsQuery())


async def test_a_stopped_container_uses_nothing(world: World) -> None:
    await make(world)
    await world.containers.stop(ALICE, "web", PLAIN, PLAIN)
    now = await world.service.usage.metrics(ALICE, "web", MetricsQuery())
    assert (now["cpu_usage"], now["memory_usage"], now["pids"]) == (0.0, 0, 0)


async def test_a_subscription_to_measures(world: World) -> None:
    made = await make(world)
    data = {"topic": "container-stats", "cid": made.cid}
    told = await world.service.usage.snapshot(ALICE, data)
    assert list(told["history"]) == [str(made.cid)]
    frames = world.service.usage.frames(ALICE, data)
    first = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0.05)
    await world.service.sampler.sweep()
    frame = await asyncio.wait_for(first, 5)
    assert [item["cid"] for item in frame["items"]] == [made.cid]
    await frames.aclose()  # type: ignore[attr-defined]
    assert not world.bus.wanted("container-stats")
    with pytest.raises(NotFound):
        await world.service.usage.snapshot(BOB, data)
    with pytest.raises(InvalidRequest):
        await world.service.usage.snapshot(ALICE, {"cid": []})
    assert await world.service.usage.snapshot(BOB, {}) == {"history": {}}
