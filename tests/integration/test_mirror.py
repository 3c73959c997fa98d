"""The mirror of a real engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec, EnginePort
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.errors import Away, Unavailable

from ..engines import images
from ..engines.dockerd import Dockerd
from ..engines.scratch import free_port

pytestmark = pytest.mark.docker

IMAGE = "busybox:latest"


class Watched:
    """A mirror that runs, and when it told what."""

    def __init__(self, driver: DockerDriver) -> None:
        self.driver = driver
        self.told: list[tuple[float, str, str | None]] = []
        self.engines: list[Unavailable | None] = []
        self.images = 0
        self.mirror = Mirror(driver, self.change, on_engine=self.engines.append)
        self.mirror.on_images.append(self.image)
        self.task = asyncio.ensure_future(self.mirror.run())

    def change(self, id_: str) -> None:
        known = self.mirror.containers.get(id_)
        self.told.append((time.time(), id_, known.status if known else None))

    def image(self) -> None:
        self.images += 1

    def status(self, id_: str) -> str | None:
        known = self.mirror.containers.get(id_)
        return known.status if known else None

    async def until(self, condition: Callable[[], bool], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def watching(loop: asyncio.AbstractEventLoop, driver: DockerDriver) -> Iterator[Watched]:
    async def start() -> Watched:
        watched = Watched(driver)
        await watched.mirror.first_try()
        return watched

    watched = loop.run_until_complete(start())
    yield watched
    loop.run_until_complete(watched.stop())


@pytest.fixture
def watched(jp_asyncio_loop: asyncio.AbstractEventLoop, driver: DockerDriver) -> Iterator[Watched]:
    yield from watching(jp_asyncio_loop, driver)


@pytest.fixture
def own_watched(
    jp_asyncio_loop: asyncio.AbstractEventLoop, own_driver: DockerDriver
) -> Iterator[Watched]:
    yield from watching(jp_asyncio_loop, own_driver)


async def docker(engine: Dockerd, *words: str) -> str:
    return await asyncio.to_thread(engine.docker, *words)


async def test_what_the_docker_command_does_is_seen(
    docker_engine: Dockerd, watched: Watched, name: str
) -> None:
    id_ = await docker(docker_engine, "run", "-d", "--init", "--name", name, IMAGE, "sleep", "1000")
    await watched.until(lambda: watched.status(id_) == "running")
    await docker(docker_engine, "exec", name, "true")
    await docker(docker_engine, "rename", name, f"{name}.b")
    await watched.until(lambda: watched.mirror.containers[id_].name == f"{name}.b")
    await docker(docker_engine, "pause", id_)
    await watched.until(lambda: watched.status(id_) == "paused")
    await docker(docker_engine, "unpause", id_)
    await watched.until(lambda: watched.status(id_) == "running")
    await docker(docker_engine, "network", "create", name)
    await docker(docker_engine, "network", "connect", name, id_)
    await watched.until(lambda: name in watched.mirror.containers[id_].networks)
    await docker(docker_engine, "stop", "--time", "1", id_)
    await watched.until(lambda: watched.status(id_) == "exited")
    await docker(docker_engine, "rm", id_)
    await watched.until(lambda: watched.status(id_) is None)
    await docker(docker_engine, "network", "rm", name)


async def test_a_container_of_the_docker_command_shows_up_at_once(
    docker_engine: Dockerd, watched: Watched, name: str
) -> None:
    """Between the engine's word that it started and ours are less than 200 ms."""
    started: dict[str, float] = {}

    def note(event: object) -> None:
        if getattr(event, "action", "") == "start":
            started[event.id] = event.time_ns / 1e9  # type: ignore[attr-defined]

    watched.mirror.on_event.append(note)
    for number in range(20):
        await docker(
            docker_engine, "run", "-d", "--name", f"{name}.{number}", IMAGE, "sleep", "100"
        )
    await watched.until(lambda: len(started) == 20)
    await watched.until(lambda: all(watched.status(id_) == "running" for id_ in started))
    seen: dict[str, float] = {}
    for at, id_, status in watched.told:
        if status == "running":
            seen.setdefault(id_, at)
    delays = sorted(seen[id_] - at for id_, at in started.items())
    assert delays[-1] < 0.2


async def test_execs_cause_no_inspects(docker_engine: Dockerd, watched: Watched, name: str) -> None:
    id_ = await docker(docker_engine, "run", "-d", "--name", name, IMAGE, "sleep", "1000")
    await watched.until(lambda: watched.status(id_) == "running")
    heard: list[object] = []
    watched.mirror.on_event.append(heard.append)
    for _ in range(5):
        await docker(docker_engine, "exec", name, "true")
    await asyncio.sleep(0.2)
    assert heard == []


async def test_a_write_is_read_at_once(watched: Watched, name: str) -> None:
    port = free_port()
    spec = ContainerSpec(name, IMAGE, command=("sleep", "1000"), ports={"80/tcp": EnginePort(port)})
    made = watched.mirror.put(await watched.driver.run(spec))
    assert watched.status(made.id) == "running"
    await watched.driver.stop(made.id, 0)
    await watched.until(lambda: watched.status(made.id) == "exited")
    # The answer from before the stop does not undo it.
    watched.mirror.put(made)
    assert watched.status(made.id) == "exited"
    detail = (await watched.mirror.detailed(made.id)).detail
    assert detail is not None
    assert detail.published["80/tcp"] == EnginePort(port)


async def test_images_are_told(docker_engine: Dockerd, watched: Watched, name: str) -> None:
    watched.images = 0
    images.load_busybox(docker_engine, f"{name}:1")
    await watched.until(lambda: watched.images > 0)
    watched.images = 0
    await docker(docker_engine, "rmi", f"{name}:1")
    await watched.until(lambda: watched.images > 0)


async def test_many_containers_come_by_one_call(
    docker_engine: Dockerd, driver: DockerDriver, name: str
) -> None:
    made = [await driver.create(ContainerSpec(f"{name}.{n}", IMAGE)) for n in range(30)]
    inspected = 0
    inspect = driver.inspect

    async def counted(container: str, *, mirror: bool = False) -> object:
        nonlocal inspected
        inspected += 1
        return await inspect(container, mirror=mirror)

    driver.inspect = counted  # type: ignore[method-assign, assignment]
    await asyncio.sleep(1.1)
    watched = Watched(driver)
    await watched.mirror.first_try()
    assert {container.id for container in made} <= set(watched.mirror.containers)
    # Events of the second before are told again, and those of the last containers only.
    await asyncio.sleep(0.3)
    assert inspected <= 15
    await watched.stop()


async def test_it_comes_back_by_itself_after_a_hang(
    own_engine: Dockerd, own_watched: Watched, name: str
) -> None:
    assert own_watched.mirror.stale_since is None
    with own_engine.hanging():
        await own_watched.until(lambda: own_watched.mirror.stale_since is not None, 12)
        assert own_watched.mirror.reached
    await own_watched.until(lambda: own_watched.mirror.stale_since is None)
    await docker(own_engine, "run", "-d", "--name", name, IMAGE, "sleep", "1000")
    await own_watched.until(lambda: len(own_watched.mirror.containers) == 1)
    assert [type(item) for item in own_watched.engines] == [type(None), Away, type(None)]


async def test_it_comes_back_by_itself_after_a_stop(
    own_engine: Dockerd, own_watched: Watched, name: str
) -> None:
    id_ = await docker(own_engine, "run", "-d", "--name", name, IMAGE, "sleep", "1000")
    await own_watched.until(lambda: own_watched.status(id_) == "running")
    own_engine.halt()
    await own_watched.until(lambda: own_watched.mirror.stale_since is not None, 5)
    problem = own_watched.mirror.problem
    assert problem is not None
    assert "systemctl start docker" in problem.cure
    # What is known stays readable.
    assert id_ in own_watched.mirror.containers
    own_engine.start()
    await own_watched.until(lambda: own_watched.mirror.stale_since is None)
    assert own_watched.status(id_) == "exited"
