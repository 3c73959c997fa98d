"""Engines that hang, stop, crash or are not there."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.errors import Unavailable

from ..engines.dockerd import Dockerd
from ..engines.steps import at_once

pytestmark = pytest.mark.docker

#: Seconds within which nobody may be kept waiting by an engine that hangs.
PROMISE = 5.0


def sleeper(name: str) -> ContainerSpec:
    return ContainerSpec(name, "busybox:latest", command=("sleep", "1000"))


async def settled(driver: DockerDriver) -> None:
    """Wait until the engine is believed in again."""
    deadline = time.monotonic() + 10
    while True:
        try:
            await driver.list_containers()
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            return


def docker_threads() -> int:
    return sum(thread.name.startswith("docker-") for thread in threading.enumerate())


async def test_a_hung_engine_is_unavailable_within_the_promise(
    own_engine: Dockerd, own_driver: DockerDriver, name: str
) -> None:
    made = await own_driver.run(sleeper(name))
    with own_engine.hanging():
        begun = time.monotonic()
        calls = [
            own_driver.inspect(made.id),
            own_driver.list_containers(),
            own_driver.stop(made.id),
            own_driver.run(sleeper(f"{name}.b")),
            own_driver.logs(made.id),
            own_driver.exec(made.id, ["true"]),
            own_driver.list_images(),
            own_driver.stats_once(made.id),
            own_driver.changes(made.id),
            anext(own_driver.pull("busybox")),
            own_driver.ping(),
            *(own_driver.inspect(made.id) for _ in range(50)),
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - begun < PROMISE
        assert all(isinstance(result, Unavailable) for result in results), results
        error = results[0]
        assert isinstance(error, Unavailable)
        assert "does not answer" in error.what
        assert "systemctl start docker" in error.cure
        # Now that it is known, nobody waits at all.
        with pytest.raises(Unavailable):
            at_once(own_driver.inspect(made.id))
    await settled(own_driver)


@pytest.mark.slow
@pytest.mark.slow
async def test_hanging_again_and_again_leaves_no_threads(
    own_engine: Dockerd, own_driver: DockerDriver, name: str
) -> None:
    await own_driver.ping()
    most = own_driver.workers * 6 + own_driver.readers
    for _ in range(3):
        with own_engine.hanging():
            calls = [own_driver.inspect(name) for _ in range(40)]
            await asyncio.gather(*calls, return_exceptions=True)
            assert docker_threads() <= most
        await settled(own_driver)
    assert docker_threads() <= most


async def test_what_a_hung_engine_makes_late_is_removed(
    own_engine: Dockerd, own_driver: DockerDriver, name: str
) -> None:
    await own_driver.list_containers()
    with own_engine.hanging(), pytest.raises(Unavailable):
        await own_driver.run(sleeper(name))
    await settled(own_driver)
    # It reads the request that waited in its socket only now.
    await asyncio.sleep(4)
    assert await own_driver.list_containers() == []
    assert (await own_driver.run(sleeper(name))).status == "running"


async def test_a_cancelled_run_leaves_nothing_behind(own_driver: DockerDriver, name: str) -> None:
    for pause in (0.0, 0.01, 0.05, 0.15):
        making = asyncio.ensure_future(own_driver.run(sleeper(name)))
        await asyncio.sleep(pause)
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await asyncio.sleep(1)
        deadline = time.monotonic() + 10
        while await own_driver.list_containers():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


async def test_streams_end_when_the_engine_crashes(
    own_engine: Dockerd, own_driver: DockerDriver, name: str
) -> None:
    spec = ContainerSpec(name, "busybox:latest", command=("sh", "-c", "echo x; sleep 1000"))
    made = await own_driver.run(spec)
    logs = own_driver.follow_logs(made.id)
    assert await anext(logs)
    session = await own_driver.exec(made.id, ["sleep", "1000"])
    reading = asyncio.ensure_future(session.read())
    own_engine.kill()
    assert await asyncio.wait_for(reading, PROMISE) is None
    with pytest.raises(Unavailable, match="broke off"):
        await anext(logs)
    with pytest.raises(Unavailable):
        await own_driver.list_containers()
    own_engine.start()
    # It is not hanging, so nobody has to wait until it is believed in again.
    assert len(await own_driver.list_containers()) == 1
    await session.close()


async def test_a_stopped_engine_is_told_of(own_engine: Dockerd, own_driver: DockerDriver) -> None:
    await own_driver.list_containers()
    own_engine.halt()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await own_driver.list_containers()
    assert time.monotonic() - begun < PROMISE
    own_engine.start()
    await own_driver.list_containers()


async def test_no_engine_at_all(tmp_path: Path) -> None:
    driver = DockerDriver(address=f"unix://{tmp_path}/none.sock")
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="Docker"):
            await driver.list_containers()
        assert time.monotonic() - begun < PROMISE
    await driver.close()


async def test_an_engine_that_talks_nonsense(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 9\r\n\r\n<nothing>")
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "s")
    driver = DockerDriver(address=f"unix://{tmp_path}/s")
    async with server:
        await driver.ping()
        with pytest.raises(Unavailable):
            await driver.list_containers()
        with pytest.raises(Unavailable):
            await driver.stats_once("x")
    await driver.close()


async def test_an_engine_of_another_age(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.12\r\nContent-Length: 2\r\n\r\nOK")
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "s")
    driver = DockerDriver(address=f"unix://{tmp_path}/s")
    async with server:
        with pytest.raises(Unavailable, match="too old"):
            await driver.list_containers()
    await driver.close()
