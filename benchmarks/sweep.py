"""One sweep of the statistics of 100 running containers, against asking the engine for them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.containers.statistics import Sampler
from tests.engines.dockerd import Dockerd

from .harness import Caller, engine, fill
from .rows import Row, at_most, median, percentile, told

COUNT = 100
TURNS = 3
SWEEPS = 40
AT_ONCE = 16
NAME = f"sweep of {COUNT} containers' statistics"


def run() -> list[Row]:
    """Measure as the server does, on a loop with the real mirror, and ask the engine in turns."""
    with engine() as docker:
        ids = fill(docker, COUNT, start=True)
        first, sweeps, asked = asyncio.run(_measure(docker, ids))
    theirs = f"engine's statistics of all, {AT_ONCE} at once, median"
    engines = median(asked)
    return [
        at_most(20, f"{NAME}, median", median(sweeps), "ms", theirs, engines),
        told(f"{NAME}, p99", percentile(sweeps, 99), "ms", theirs, engines),
        told(f"{NAME}, the first", first, "ms", theirs, engines),
    ]


async def _measure(docker: Dockerd, ids: list[str]) -> tuple[float, list[float], list[float]]:
    driver = DockerDriver(address=docker.url)
    mirror = Mirror(driver)
    following = asyncio.create_task(mirror.run())
    try:
        await mirror.first_try(30)
        assert mirror.containers.keys() == set(ids), mirror.problem
        sampler = Sampler(driver, mirror)
        first = await _sweep(sampler)
        sweeps: list[float] = []
        asked: list[float] = []
        for _ in range(TURNS):
            for _ in range(SWEEPS):
                sweeps.append(await _sweep(sampler))
                await asyncio.sleep(0.02)
            asked.append(await asyncio.to_thread(_ask, docker, ids))
        return first, sweeps, asked
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _sweep(sampler: Sampler) -> float:
    began = time.perf_counter()
    samples = await sampler.sweep()
    spent = 1000 * (time.perf_counter() - began)
    assert len(samples) == COUNT, len(samples)
    return spent


def _ask(docker: Dockerd, ids: list[str]) -> float:
    def one(container: str) -> None:
        with Caller.of_engine(docker) as caller:
            caller.call("GET", f"/containers/{container}/stats?stream=false")

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(one, ids))
    return 1000 * (time.perf_counter() - began)
