"""Docker's driver against a real engine: a container's life, and how the engine refuses."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import (
    ContainerSpec,
    ContainerUpdate,
    EngineMount,
    EnginePort,
)
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound

from ..engines.dockerd import Dockerd
from ..engines.scratch import free_port

pytestmark = pytest.mark.docker

IMAGE = "busybox:latest"
SLEEP = ("sleep", "1000")


def sleeper(name: str, **options: object) -> ContainerSpec:
    return ContainerSpec(name, IMAGE, command=SLEEP, **options)  # type: ignore[arg-type]


async def test_the_library_is_loaded_with_the_first_call_only() -> None:
    program = (
        "import sys, jupyter_ext.containers.docker_driver as d; d.DockerDriver();"
        "sys.exit(any(m in sys.modules for m in ('docker', 'requests', 'paramiko')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_info(driver: DockerDriver) -> None:
    info = await driver.info()
    assert info.version
    assert info.api_version == driver.link.version
    assert info.cpus > 0
    assert not info.rootless


async def test_a_containers_life(driver: DockerDriver, name: str, tmp_path: Path) -> None:
    port = free_port()
    made = await driver.run(
        sleeper(
            name,
            environment={"A": "b=c"},
            ports={"80/tcp": EnginePort(port), "81/tcp": None},
            labels={"jupyter_ext.owner": "alice"},
            mounts=(EngineMount(str(tmp_path), "/work", read_only=True),),
            cpu=0.5,
            memory=64 << 20,
            pids_limit=50,
            shm_size=16 << 20,
            restart_policy="unless-stopped",
            user="1000:1000",
            security_options=("no-new-privileges",),
            log_max_size=1 << 20,
            log_max_files=2,
        )
    )
    detail = made.detail
    assert detail is not None
    assert (made.name, made.status, made.image) == (name, "running", IMAGE)
    assert made.ports == {"80/tcp": port, "81/tcp": None}
    assert made.labels["jupyter_ext.owner"] == "alice"
    assert made.mounts == (EngineMount(str(tmp_path), "/work", read_only=True),)
    assert detail.environment["A"] == "b=c"
    assert (detail.cpu, detail.memory, detail.pids_limit) == (0.5, 64 << 20, 50)
    assert (detail.shm_size, detail.user, detail.command) == (16 << 20, "1000:1000", SLEEP)
    assert detail.restart_policy == "unless-stopped"
    assert detail.pid > 0
    assert detail.started_at is not None
    assert made.networks["bridge"].ip

    listed = {c.id: c for c in await driver.list_containers()}[made.id]
    for field in (
        "name",
        "status",
        "image",
        "image_id",
        "created_at",
        "ports",
        "networks",
        "mounts",
    ):
        assert getattr(listed, field) == getattr(made, field), field
    assert listed.labels == made.labels

    assert not await driver.start(made.id)
    assert await driver.stop(made.id, 0)
    assert not await driver.stop(made.id, 0)
    stopped = await driver.inspect(made.id)
    assert (stopped.status, stopped.ports) == ("exited", {})
    assert stopped.detail is not None
    assert stopped.detail.published["80/tcp"] == EnginePort(port)
    assert stopped.detail.exit_code in (137, 143)
    assert stopped.detail.finished_at is not None

    assert await driver.start(made.id)
    await driver.restart(made.id, 0)
    await driver.pause(made.id)
    assert (await driver.inspect(made.id)).status == "paused"
    await driver.unpause(made.id)
    await driver.rename(made.id, f"{name}.new")
    assert (await driver.inspect(f"{name}.new")).id == made.id
    await driver.kill(made.id)
    await driver.remove(made.id, force=True)
    with pytest.raises(NotFound):
        await driver.inspect(made.id)


async def test_create_does_not_start(driver: DockerDriver, name: str) -> None:
    made = await driver.create(sleeper(name))
    assert made.status == "created"
    assert await driver.start(made.id)


async def test_limits_can_be_changed(driver: DockerDriver, name: str) -> None:
    made = await driver.run(sleeper(name, cpu=1, memory=64 << 20))
    change = ContainerUpdate(cpu=0.25, memory=32 << 20, pids_limit=20, restart_policy="always")
    detail = (await driver.update(made.id, change)).detail
    assert detail is not None
    assert (detail.cpu, detail.memory, detail.pids_limit) == (0.25, 32 << 20, 20)
    assert detail.restart_policy == "always"
    await driver.update(made.id, ContainerUpdate(restart_policy="no"))


async def test_busy_port_leaves_nothing_behind(
    driver: DockerDriver, docker_engine: Dockerd, name: str
) -> None:
    port = free_port()
    first = await driver.run(sleeper(name, ports={"80/tcp": EnginePort(port)}))
    with pytest.raises(Conflict, match=f"Port {port} is taken") as caught:
        await driver.run(sleeper(f"{name}.b", ports={"80/tcp": EnginePort(port)}))
    assert (caught.value.kind, caught.value.name) == ("port", str(port))
    assert [c.id for c in await driver.list_containers()] == [first.id]


async def test_a_port_that_another_program_has_leaves_nothing_behind(
    driver: DockerDriver, name: str
) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(Conflict, match=f"Port {port} is taken"):
            await driver.run(sleeper(name, ports={"80/tcp": EnginePort(port)}))
    assert not await driver.list_containers()


async def test_a_program_that_is_not_there_leaves_nothing_behind(
    driver: DockerDriver, name: str
) -> None:
    with pytest.raises(InvalidRequest, match="executable file not found"):
        await driver.run(ContainerSpec(name, IMAGE, command=("nothing-here",), init=False))
    assert not await driver.list_containers()


async def test_a_gpu_that_the_engine_cannot_give_leaves_nothing_behind(
    driver: DockerDriver, name: str
) -> None:
    if shutil.which("nvidia-container-runtime-hook"):
        pytest.skip("this engine can give GPUs")
    with pytest.raises(Exception, match="nvidia-container-toolkit"):
        await driver.run(sleeper(name, gpus=("GPU-1",)))
    assert not await driver.list_containers()


async def test_a_folder_that_is_not_there(driver: DockerDriver, name: str) -> None:
    with pytest.raises(InvalidRequest, match="does not exist"):
        await driver.run(sleeper(name, mounts=(EngineMount("/no/such/folder", "/x"),)))


async def test_what_is_not_there(driver: DockerDriver, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        await driver.run(ContainerSpec(name, "no-such-image:1"))
    assert (caught.value.kind, caught.value.name) == ("image", "no-such-image:1")
    for call in (driver.inspect(name), driver.start(name), driver.remove(name)):
        with pytest.raises(NotFound) as caught:
            await call
        assert (caught.value.kind, caught.value.name) == ("container", name)


async def test_a_name_that_is_taken(driver: DockerDriver, name: str) -> None:
    await driver.create(sleeper(name))
    with pytest.raises(Conflict) as caught:
        await driver.create(sleeper(name))
    assert (caught.value.kind, caught.value.name) == ("container", name)


async def test_a_running_one_is_not_removed_unless_forced(driver: DockerDriver, name: str) -> None:
    made = await driver.run(sleeper(name))
    with pytest.raises(Conflict, match="running"):
        await driver.remove(made.id)
    await driver.remove(made.id, force=True)


async def test_a_name_is_free_when_remove_returns(driver: DockerDriver, name: str) -> None:
    for _ in range(3):
        made = await driver.run(sleeper(name))
        # Whoever comes second waits for the first, since the name is taken until then.
        first, second = await asyncio.gather(
            driver.remove(made.id, force=True),
            driver.remove(made.id, force=True),
            return_exceptions=True,
        )
        assert first is None or isinstance(first, NotFound)
        assert second is None or isinstance(second, NotFound)
        await driver.create(sleeper(name))
        await driver.remove(name)


async def test_a_name_that_is_about_to_be_free_is_waited_for(
    driver: DockerDriver, docker_engine: Dockerd, name: str
) -> None:
    removed = asyncio.to_thread(
        docker_engine.docker, "run", "--rm", "--name", name, IMAGE, "sleep", "0.3"
    )
    ending = asyncio.ensure_future(removed)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        await asyncio.sleep(0.005)
        if any(c.status in ("exited", "dead") for c in await driver.list_containers()):
            break
        if ending.done():
            break
    made = await driver.create(sleeper(name))
    assert made.status == "created"
    await ending


async def test_a_container_that_starts_keeps_no_thread_of_others(
    driver: DockerDriver, name: str
) -> None:
    starts = [asyncio.ensure_future(driver.run(sleeper(f"{name}.{n}"))) for n in range(12)]
    lists = 0
    while not all(start.done() for start in starts):
        await driver.list_containers()
        lists += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*starts)
    # One that waited for a thread would have waited for the end of a start.
    assert lists > len(starts)


async def test_the_loop_never_waits(driver: DockerDriver, name: str) -> None:
    """It turns while each of twenty is made; how long a turn is, `make bench` measures."""
    await driver.ping()
    turn = 0

    async def make(number: int) -> int:
        begun = turn
        await driver.run(sleeper(f"{name}.{number}"))
        return turn - begun

    making = asyncio.gather(*(make(number) for number in range(20)))
    while not making.done():
        turn += 1
        await asyncio.sleep(0.001)
    # A start takes a tenth of a second and more; a loop that waits for it does not turn at all.
    assert min(await making) >= 5


async def test_networks_keep_containers_apart(driver: DockerDriver, name: str) -> None:
    await driver.ensure_network(name)
    await driver.ensure_network(name)
    made = await driver.run(sleeper(name, network=name))
    assert list(made.networks) == [name]


async def test_an_oom_in_an_exec_is_told_by_an_event_only(
    driver: DockerDriver, docker_engine: Dockerd, name: str
) -> None:
    made = await driver.run(sleeper(name, memory=16 << 20))
    events = driver.events()
    heard: list[str] = []

    async def listen() -> None:
        async for event in events:
            heard.append(event.action)
            if event.action == "oom":
                return

    listening = asyncio.ensure_future(listen())
    session = await driver.exec(made.id, ["sh", "-c", "x=$(cat /dev/zero | tr '\\0' a)"])
    await asyncio.wait_for(listening, 30)
    await session.close()
    assert (await driver.inspect(made.id)).status == "running"


async def test_slow_stops_hold_nothing_up(driver: DockerDriver, name: str) -> None:
    """Without an init, a shell that sleeps takes no notice of being asked to stop."""
    options = {"command": ("sleep", "1000"), "init": False}
    spec = [ContainerSpec(f"{name}.{n}", IMAGE, **options) for n in range(10)]  # type: ignore[arg-type]
    made = [await driver.run(one) for one in spec]
    stops = [asyncio.ensure_future(driver.stop(one.id, 60)) for one in made]
    await asyncio.sleep(0.2)
    await asyncio.wait_for(driver.run(sleeper(name)), 5)
    assert not any(stop.done() for stop in stops)
    for one in made:
        await driver.kill(one.id)
    assert await asyncio.gather(*stops) == [True] * 10
