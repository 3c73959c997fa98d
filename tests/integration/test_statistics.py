"""Statistics of real containers from this machine's cgroup files.

Files of the version of cgroups that this machine does not have are only tried as copies, in the
unit tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec, EngineContainer
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.containers.statistics import Sampler
from jupyter_ext.errors import NotFound

from ..engines.dockerd import Dockerd

pytestmark = pytest.mark.docker

IMAGE = "busybox:latest"


class Bench:
    """A driver, a mirror that is filled by hand, and a sampler."""

    def __init__(self, driver: DockerDriver) -> None:
        self.driver = driver
        self.mirror = Mirror(driver)
        self.sampler = Sampler(driver, self.mirror)

    async def run(self, name: str, script: str, **options: object) -> EngineContainer:
        spec = ContainerSpec(name, IMAGE, command=("sh", "-c", script), **options)  # type: ignore[arg-type]
        return self.mirror.put(await self.driver.run(spec))


@pytest.fixture
def bench(jp_asyncio_loop: asyncio.AbstractEventLoop, driver: DockerDriver) -> Iterator[Bench]:
    async def make() -> Bench:
        return Bench(driver)

    bench = jp_asyncio_loop.run_until_complete(make())
    yield bench
    bench.sampler.close()


async def test_numbers_are_the_containers_own(bench: Bench, name: str) -> None:
    busy = await bench.run(f"{name}.busy", "while true; do :; done", cpu=0.5, memory=64 << 20)
    idle = await bench.run(f"{name}.idle", "sleep 1000")
    script = "head -c 20000000 /dev/zero > /dev/shm/x; sleep 1000"
    big = await bench.run(f"{name}.big", script)
    await bench.sampler.sweep()
    await asyncio.sleep(2)
    samples = {sample.id: sample for sample in await bench.sampler.sweep()}
    assert set(samples) == {busy.id, idle.id, big.id}
    cpu = samples[busy.id].cpu_usage
    assert cpu is not None
    # Half a core, or less where the machine has no half for it.
    assert 5 < cpu < 65
    assert (samples[idle.id].cpu_usage or 0) < 5
    assert samples[busy.id].memory_limit == 64 << 20
    assert samples[idle.id].memory_limit > 64 << 20
    assert samples[big.id].memory_usage > 15_000_000 > samples[idle.id].memory_usage
    assert all(sample.pids >= 2 for sample in samples.values())


async def test_they_agree_with_the_engine(bench: Bench, name: str) -> None:
    made = await bench.run(name, "head -c 8000000 /dev/zero | tr '\\0' a > /root/f; sleep 1000")
    await asyncio.sleep(0.5)
    theirs = await bench.driver.stats_once(made.id)
    ours = await bench.sampler.now(made.id)
    assert ours.cpu_usage is not None
    assert theirs.cpu_usage is not None
    assert abs(ours.memory_usage - theirs.memory_usage) < 3_000_000
    assert ours.memory_limit == theirs.memory_limit
    assert ours.pids == theirs.pids
    assert abs(ours.rx_bytes - theirs.rx_bytes) < 5000
    assert ours.write_bytes == theirs.write_bytes


async def test_traffic_is_counted(bench: Bench, driver: DockerDriver, name: str) -> None:
    made = await bench.run(name, "nc -l -p 9 -e cat; sleep 1000")
    before = await bench.sampler.now(made.id)
    reader, writer = await asyncio.open_connection(made.networks["bridge"].ip, 9)
    writer.write(b"x" * 100_000)
    await reader.readexactly(100_000)
    writer.close()
    await writer.wait_closed()
    after = await bench.sampler.now(made.id)
    assert after.rx_bytes - before.rx_bytes > 100_000
    assert after.tx_bytes - before.tx_bytes > 100_000


async def test_the_hosts_network_is_not_the_containers(bench: Bench, name: str) -> None:
    made = await bench.run(name, "sleep 1000", network="host")
    sample = await bench.sampler.now(made.id)
    assert (sample.rx_bytes, sample.tx_bytes) == (0, 0)


async def test_a_group_of_ones_own(
    bench: Bench, docker_engine: Dockerd, driver: DockerDriver, name: str
) -> None:
    id_ = await asyncio.to_thread(
        docker_engine.docker,
        *("run", "-d", "--cgroup-parent", f"/{name}", IMAGE, "sleep", "1000"),
    )
    bench.mirror.put(await driver.inspect(id_))
    assert (await bench.sampler.now(id_)).pids == 1


async def test_one_that_stopped_is_not_measured(bench: Bench, name: str) -> None:
    made = await bench.run(name, "sleep 1000")
    assert len(await bench.sampler.sweep()) == 1
    await bench.driver.stop(made.id, 0)
    # The mirror may not have heard of it yet.
    assert await bench.sampler.sweep() == []
    bench.mirror.put(await bench.driver.inspect(made.id))
    with pytest.raises(NotFound):
        await bench.sampler.now(made.id)
    await bench.driver.start(made.id)
    bench.mirror.put(await bench.driver.inspect(made.id))
    assert len(await bench.sampler.sweep()) == 1


async def test_a_paused_one_is_measured(bench: Bench, name: str) -> None:
    made = await bench.run(name, "sleep 1000")
    await bench.driver.pause(made.id)
    bench.mirror.put(await bench.driver.inspect(made.id))
    assert (await bench.sampler.now(made.id)).pids == 2
    await bench.driver.unpause(made.id)


async def test_a_sweep_of_many_asks_the_engine_nothing(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How fast that makes it, `make bench` measures."""
    await asyncio.gather(*(bench.run(f"{name}.{n}", "sleep 1000") for n in range(30)))
    monkeypatch.setattr(
        bench.driver, "stats_once", lambda container: pytest.fail("the engine was asked")
    )
    for _ in range(3):
        assert len(await bench.sampler.sweep()) == 30
