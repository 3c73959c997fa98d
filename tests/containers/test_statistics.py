"""The sampler: CPU between two measures, the last hour, and who is asked how often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jupyter_ext.containers.cgroups import Counters, Target
from jupyter_ext.containers.engine_types import EngineContainer, EngineNetwork, Sample
from jupyter_ext.containers.past import Past
from jupyter_ext.containers.statistics import Sampler, target_of
from jupyter_ext.errors import NotFound, Unavailable

from ..engines.steps import until

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Machine:
    """Containers, a mirror and a driver of them, and what their files say."""

    def __init__(self) -> None:
        self.containers: dict[str, EngineContainer] = {}
        self.local = True
        self.cpu: dict[str, int] = {}
        self.asked: list[str] = []
        self.closed = False
        self.problem: Exception | None = None

    def add(self, id_: str, status: str = "running", cpu: int | None = 0) -> None:
        self.containers[id_] = EngineContainer(id_, id_, status, "busybox", "sha256:1", AT)
        if cpu is not None:
            self.cpu[id_] = cpu

    # as a reader
    def sweep(self, targets: Iterable[Target]) -> dict[str, Counters]:
        known = [target.id for target in targets if target.id in self.cpu]
        return {id_: Counters(self.cpu[id_], 100, 1000, 1, 2, 3, 4, 5) for id_ in known}

    def keep_only(self, containers: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    # as a driver
    async def stats_once(self, id_: str) -> Sample:
        self.asked.append(id_)
        if self.problem is not None:
            raise self.problem
        return Sample(id_, datetime.now(UTC), 12.5, 7, 8)

    def sampler(self, **options: float) -> Sampler:
        return Sampler(self, self, reader=self, **options)  # type: ignore[arg-type]


@pytest.fixture
def machine() -> Iterator[Machine]:
    yield Machine()


async def test_cpu_is_what_was_used_between_two_measures(machine: Machine) -> None:
    machine.add("a", cpu=1_000_000_000)
    sampler = machine.sampler()
    began = time.monotonic()
    [first] = await sampler.sweep()
    measured = time.monotonic()
    assert first.cpu_usage is None
    assert (first.memory_usage, first.memory_limit, first.pids) == (100, 1000, 5)
    await asyncio.sleep(0.1)
    machine.cpu["a"] += 100_000_000
    shortest = time.monotonic() - measured
    [second] = await sampler.sweep()
    longest = time.monotonic() - began
    assert second.cpu_usage is not None
    assert 9 / longest < second.cpu_usage < 11 / shortest
    assert sampler.latest("a") == second


async def test_of_two_measures_at_once_the_second_has_the_cpu_of_the_first(
    machine: Machine,
) -> None:
    machine.add("a", cpu=1_000_000_000)
    sampler = machine.sampler()
    await sampler.sweep()
    await asyncio.sleep(0.02)
    [sample] = await sampler.sweep()
    [again] = await sampler.sweep()
    assert again.at > sample.at
    assert again.cpu_usage == sample.cpu_usage == 0


async def test_a_restart_does_not_make_it_negative(machine: Machine) -> None:
    machine.add("a", cpu=1_000_000_000)
    sampler = machine.sampler()
    await sampler.sweep()
    machine.cpu["a"] = 5
    await asyncio.sleep(0.02)
    [sample] = await sampler.sweep()
    assert sample.cpu_usage is None


async def test_only_what_runs_is_measured(machine: Machine) -> None:
    machine.add("a")
    machine.add("b", "exited")
    machine.add("c", "paused")
    assert {sample.id for sample in await machine.sampler().sweep()} == {"a", "c"}


async def test_one_container_now(machine: Machine) -> None:
    machine.add("a", cpu=1_000_000)
    sampler = machine.sampler()
    sample = await sampler.now("a")
    assert sample.cpu_usage == 0
    with pytest.raises(NotFound):
        await sampler.now("nobody")
    machine.add("b", "exited")
    with pytest.raises(NotFound):
        await sampler.now("b")


async def test_an_engine_elsewhere_is_asked(machine: Machine) -> None:
    machine.add("a", cpu=None)
    machine.local = False
    sampler = machine.sampler()
    [sample] = await sampler.sweep()
    assert (sample.cpu_usage, machine.asked) == (12.5, ["a"])
    assert (await sampler.now("a")).memory_usage == 7


async def test_an_engine_here_is_asked_only_for_what_stays_unseen(machine: Machine) -> None:
    machine.add("a", cpu=None)
    sampler = machine.sampler()
    assert await sampler.sweep() == []
    assert machine.asked == []
    assert len(await sampler.sweep()) == 1
    assert machine.asked == ["a"]


@pytest.mark.parametrize("problem", [Unavailable("Gone."), NotFound("container", "a")])
async def test_an_engine_that_cannot_tell_is_no_failure(
    machine: Machine, problem: Exception
) -> None:
    machine.add("a", cpu=None)
    machine.local, machine.problem = False, problem
    assert await machine.sampler().sweep() == []


async def test_the_past_grows_at_its_own_pace(machine: Machine) -> None:
    machine.add("a")
    sampler = machine.sampler(past_every=0.1)
    began = time.monotonic()
    for _ in range(30):
        machine.cpu["a"] += 1_000_000
        await sampler.sweep()
        await asyncio.sleep(0.02)
    points = sampler.past("a", 3600)
    assert 2 <= len(points) <= (time.monotonic() - began) / 0.1 + 2
    assert all(0 < point.cpu_usage < 20 for point in points)
    assert all(point.memory_usage == 100 for point in points)
    assert sampler.past("nobody", 3600) == []
    del machine.containers["a"]
    await sampler.sweep()
    assert sampler.past("a", 3600) == []
    assert sampler.latest("a") is None


async def test_it_measures_often_while_somebody_watches(machine: Machine) -> None:
    machine.add("a")
    sampler = machine.sampler(live_every=0.1, past_every=60)
    heard: list[list[Sample]] = []
    sampler.on_samples.append(heard.append)
    running = asyncio.create_task(sampler.run())
    await until(lambda: heard)
    await asyncio.sleep(0.3)
    assert len(heard) == 1
    with sampler.watching(), sampler.watching():
        # Without them not before the minute is over.
        await until(lambda: len(heard) >= 4)
    count = len(heard)
    await asyncio.sleep(0.4)
    assert len(heard) <= count + 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: machine.closed)


async def test_a_failure_does_not_end_it(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.add("a")
    sampler = machine.sampler(live_every=0.1)
    calls = 0

    def fail(samples: list[Sample]) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("listener")

    sampler.on_samples.append(fail)
    running = asyncio.create_task(sampler.run())
    with sampler.watching():
        await until(lambda: calls > 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "listener" in caplog.text


def test_what_is_known_of_a_container_is_passed_on() -> None:
    networks = {"host": EngineNetwork()}
    made = EngineContainer("a", "a", "running", "x", "y", AT, networks=networks)
    assert target_of(made) == Target("a", own_network=False)
    assert target_of(replace(made, networks={})).own_network


def test_the_past_forgets() -> None:
    past = Past()
    for second in range(10_000):
        past.add(float(second), 1.0, second, 3600)
    points = past.since(0, 100_000)
    assert 3600 <= len(points) <= 4000
    assert points[-1].memory_usage == 9999


def test_the_past_is_thinned_out_by_means_and_peaks() -> None:
    past = Past()
    for second in range(1000):
        past.add(float(second), float(second % 2) * 10, second, 3600)
    points = past.since(0, 100)
    assert len(points) == 100
    assert all(point.cpu_usage == pytest.approx(5) for point in points)
    assert points[0].memory_usage == 9
    assert len(past.since(990, 100)) == 10
    assert past.since(5000, 100) == []
    assert Past().since(0, 10) == []
