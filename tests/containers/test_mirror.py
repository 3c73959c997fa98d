"""The mirror's rules: which answer counts, and how often the engine is asked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jupyter_ext.containers.engine_types import ContainerDetail, EngineContainer, EngineEvent
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.errors import NotFound, Unavailable

AT = datetime(2026, 1, 1, tzinfo=UTC)


def container(id_: str, status: str = "running", **more: object) -> EngineContainer:
    made = EngineContainer(id_, f"u.{id_}", status, "busybox", "sha256:1", AT)
    return replace(made, read_at=time.monotonic(), **more)  # type: ignore[arg-type]


class Engine:
    """An engine in memory, which the mirror takes for a driver."""

    def __init__(self) -> None:
        self.containers: dict[str, EngineContainer] = {}
        self.calls: Counter[str] = Counter()
        self.problem: Unavailable | None = None
        self.pause = 0.0
        self.gate: asyncio.Event | None = None
        self._events: asyncio.Queue[EngineEvent | None] = asyncio.Queue()

    def set(self, id_: str, status: str = "running", **more: object) -> None:
        self.containers[id_] = container(id_, status, **more)

    def say(self, action: str, id_: str, kind: str = "container", **about: str) -> None:
        self._events.put_nowait(EngineEvent(kind, action, id_, about, 0))

    def fail(self, problem: Unavailable | None) -> None:
        self.problem = problem
        if problem is not None:
            self._events.put_nowait(None)

    async def ping(self) -> None:
        self.calls["ping"] += 1
        if self.problem is not None:
            raise self.problem

    async def events(self) -> AsyncIterator[EngineEvent]:
        self._events = asyncio.Queue()
        yield EngineEvent("", "", "", {}, 0)
        while (event := await self._events.get()) is not None:
            yield event

    async def list_containers(self, *, mirror: bool = False) -> list[EngineContainer]:
        self.calls["list"] += 1
        asked = time.monotonic()
        found = [replace(c, detail=None, read_at=asked) for c in self.containers.values()]
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def inspect(self, id_: str, *, mirror: bool = False) -> EngineContainer:
        self.calls[id_] += 1
        asked = time.monotonic()
        found = self.containers.get(id_)
        await asyncio.sleep(self.pause)
        if self.problem is not None:
            raise self.problem
        if found is None:
            raise NotFound("container", id_)
        return replace(found, detail=found.detail or ContainerDetail(), read_at=asked)


class Watched:
    """A mirror that runs, and what it told."""

    def __init__(self, **options: float) -> None:
        self.engine = Engine()
        self.told: list[str] = []
        self.engines: list[object] = []
        self.images = 0
        self.mirror = Mirror(self.engine, self.told.append, **options)  # type: ignore[arg-type]
        self.mirror.on_images.append(self.image)
        self.mirror.on_engine.append(self.engines.append)
        self.task: asyncio.Task[None] | None = None

    def image(self) -> None:
        self.images += 1

    async def start(self) -> Watched:
        self.task = asyncio.create_task(self.mirror.run())
        await self.mirror.first_try()
        await asyncio.sleep(0)
        return self

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def status(self, id_: str) -> str | None:
        known = self.mirror.containers.get(id_)
        return known.status if known else None


@pytest.fixture
def watched(jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Watched]:
    async def make() -> Watched:
        return Watched(ping_every=0.05, list_every=60)

    watched = jp_asyncio_loop.run_until_complete(make())
    yield watched
    jp_asyncio_loop.run_until_complete(watched.stop())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def settle(seconds: float = 0.05) -> None:
    await asyncio.sleep(seconds)


async def test_a_list_fills_it_without_one_inspect(watched: Watched) -> None:
    for number in range(50):
        watched.engine.set(f"c{number}")
    await watched.start()
    assert len(watched.mirror.containers) == 50
    assert set(watched.engine.calls) <= {"ping", "list"}
    assert watched.mirror.reached
    assert watched.mirror.stale_since is None
    assert watched.engines == [None]


async def test_an_event_causes_one_inspect_at_once(watched: Watched) -> None:
    await watched.start()
    watched.engine.set("a")
    watched.engine.say("start", "a")
    await settle()
    assert (watched.status("a"), watched.engine.calls["a"]) == ("running", 1)
    assert watched.told == ["a"]


async def test_many_events_share_an_inspect(watched: Watched) -> None:
    await watched.start()
    watched.engine.pause = 0.02
    watched.engine.set("a", "created")
    for action in ("create", "start", "pause", "unpause", "rename", "update"):
        watched.engine.say(action, "a")
    await until(lambda: watched.engine.calls["a"] == 1)
    watched.engine.set("a", "running")
    watched.engine.say("start", "a")
    watched.engine.say("update", "a")
    await until(lambda: watched.status("a") == "running")
    assert watched.engine.calls["a"] == 2


async def test_an_unchanged_container_is_not_told(watched: Watched) -> None:
    watched.engine.set("a")
    await watched.start()
    watched.told.clear()
    watched.engine.say("start", "a")
    await settle()
    # Its details came; the next time nothing does.
    watched.told.clear()
    watched.engine.say("start", "a")
    await settle()
    assert watched.told == []


async def test_a_destroyed_one_is_gone_and_stays_so(watched: Watched) -> None:
    watched.engine.set("a")
    await watched.start()
    late = container("a")
    watched.engine.say("destroy", "a")
    await settle()
    assert watched.status("a") is None
    watched.mirror.put(late)
    watched.mirror.refresh("a")
    await settle()
    assert watched.status("a") is None
    assert watched.told == ["a", "a"]


async def test_an_inspect_that_finds_nothing_drops(watched: Watched) -> None:
    watched.engine.set("a")
    await watched.start()
    watched.engine.containers.clear()
    watched.engine.say("die", "a")
    await settle()
    assert watched.status("a") is None


async def test_the_answer_that_was_asked_for_later_counts(watched: Watched) -> None:
    await watched.start()
    old = container("a", "created")
    new = container("a", "running")
    assert watched.mirror.put(new) is new
    assert watched.mirror.put(old) is new
    assert watched.status("a") == "running"


async def test_a_write_is_read_at_once_though_a_list_is_under_way(watched: Watched) -> None:
    watched.engine.set("old")
    watched.engine.gate = asyncio.Event()
    watched.task = asyncio.create_task(watched.mirror.run())
    await settle()
    # The list is asked for and knows nothing of what happens now.
    watched.mirror.put(container("new"))
    watched.mirror.drop("old")
    watched.engine.gate.set()
    await watched.mirror.first_try()
    assert watched.status("new") == "running"
    assert watched.status("old") is None


async def test_events_during_the_first_list_are_not_lost(watched: Watched) -> None:
    watched.engine.set("a", "created")
    watched.engine.gate = asyncio.Event()
    watched.task = asyncio.create_task(watched.mirror.run())
    await settle()
    watched.engine.set("a", "running")
    watched.engine.say("start", "a")
    await settle()
    watched.engine.gate.set()
    await watched.mirror.first_try()
    assert watched.status("a") == "running"


async def test_a_list_finds_what_no_event_told(jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    watched = await Watched(ping_every=0.02, list_every=0.05).start()
    watched.engine.set("a")
    await until(lambda: watched.status("a") == "running")
    watched.engine.containers.clear()
    await until(lambda: watched.status("a") is None)
    await watched.stop()


async def test_details_are_kept_while_lists_agree(
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> None:
    watched = Watched(ping_every=0.02, list_every=0.05)
    watched.engine.set("a", image="sha256:1")
    await watched.start()
    await watched.mirror.detailed("a")
    await watched.mirror.detailed("a")
    await until(lambda: watched.engine.calls["list"] > 2)
    found = await watched.mirror.detailed("a")
    assert found.detail is not None
    assert watched.engine.calls["a"] == 1
    watched.engine.set("a", "exited")
    await until(lambda: watched.status("a") == "exited")
    await until(lambda: watched.engine.calls["a"] == 2)
    await watched.stop()


async def test_it_tells_when_it_is_old_and_comes_back(watched: Watched) -> None:
    watched.engine.set("a")
    await watched.start()
    await watched.mirror.detailed("a")
    watched.engine.fail(Unavailable("Gone.", "Start it."))
    await until(lambda: watched.mirror.stale_since is not None)
    assert watched.mirror.problem is not None
    assert watched.status("a") == "running"
    watched.engine.set("b")
    watched.engine.fail(None)
    await until(lambda: watched.mirror.stale_since is None)
    assert watched.mirror.problem is None
    assert watched.status("b") == "running"
    # What was missed can't be known, so details are read anew.
    assert watched.mirror.containers["a"].detail is None
    assert [type(item) for item in watched.engines] == [type(None), Unavailable, type(None)]


async def test_a_silent_loss_is_noticed_by_pings(watched: Watched) -> None:
    await watched.start()
    watched.engine.problem = Unavailable("It hangs.")
    await until(lambda: watched.mirror.stale_since is not None)


async def test_an_engine_that_was_never_there(watched: Watched) -> None:
    watched.engine.problem = Unavailable("Docker is not installed.", "Install it.")
    await watched.start()
    assert not watched.mirror.reached
    assert watched.mirror.problem is watched.engine.problem
    assert watched.mirror.stale_since is not None


async def test_the_first_try_does_not_wait_for_ever(watched: Watched) -> None:
    # The engine never answers: nothing but its own patience ends this.
    await watched.mirror.first_try(0.05)
    assert not watched.mirror.reached


async def test_images_and_networks(watched: Watched) -> None:
    watched.engine.set("a")
    watched.engine.set("b", "exited")
    await watched.start()
    watched.images = 0
    watched.engine.say("tag", "sha256:1", "image")
    watched.engine.say("commit", "a")
    watched.engine.say("connect", "net", "network", container="a")
    watched.engine.say("connect", "net", "network", container="b")
    watched.engine.say("connect", "net", "network", container="unknown")
    await settle()
    assert watched.images == 2
    # One that starts is connected on the way, and its start is told too.
    assert (watched.engine.calls["a"], watched.engine.calls["b"]) == (1, 0)


async def test_a_listener_that_fails_disturbs_nobody(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(id_: str) -> None:
        raise RuntimeError("listener")

    watched.mirror.on_change.insert(0, fail)
    watched.engine.set("a")
    await watched.start()
    assert watched.told == ["a"]
    assert watched.mirror.reached
    assert "listener" in caplog.text


async def test_details_of_what_is_not_there(watched: Watched) -> None:
    await watched.start()
    with pytest.raises(NotFound):
        await watched.mirror.detailed("nobody")


async def test_a_thousand_events_need_few_inspects_at_once(watched: Watched) -> None:
    await watched.start()
    running = most = 0
    inspect = watched.engine.inspect

    async def counted(id_: str, *, mirror: bool = False) -> EngineContainer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await inspect(id_, mirror=mirror)
        finally:
            running -= 1

    watched.engine.inspect = counted  # type: ignore[method-assign]
    watched.engine.pause = 0.001
    for number in range(1000):
        watched.engine.set(f"c{number}")
        watched.engine.say("start", f"c{number}")
    await until(lambda: len(watched.mirror.containers) == 1000)
    assert most <= 16
