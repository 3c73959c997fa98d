"""What containers use: now, and over the last hour."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..errors import NotFound, PlatformError, Unavailable
from .cgroups import CgroupReader, Counters, Target
from .engine_types import EngineContainer, Sample
from .past import Moment, Past
from .sweeper import Sweeper

if TYPE_CHECKING:
    from .docker_driver import DockerDriver
    from .mirror import Mirror

_log = logging.getLogger(__name__)

#: Seconds between two measures for the first CPU of a container that was never measured.
FIRST_GAP = 0.2
#: Seconds between two measures below which the CPU between them means nothing.
SHORTEST = 0.01
#: Measures through the engine at once; each takes it one to two seconds.
REMOTE_AT_ONCE = 16


class Sampler:
    """Measures all running containers, often while somebody watches and seldom otherwise.

    Parameters
    ----------
    driver, mirror
        The engine and what runs on it.
    reader
        Where the numbers come from on this machine; an engine elsewhere is asked itself.
    live_every, past_every
        Seconds between two measures while somebody watches, and between two points of the past.
    remote_every
        The same for an engine elsewhere, to which measures that nobody watches are a burden.
    keep
        Seconds of past.
    """

    def __init__(
        self,
        driver: DockerDriver,
        mirror: Mirror,
        *,
        reader: CgroupReader | None = None,
        live_every: float = 2.0,
        past_every: float = 10.0,
        remote_every: float = 60.0,
        keep: float = 3600.0,
    ) -> None:
        self._driver = driver
        self._mirror = mirror
        self._sweeper = Sweeper(reader)
        self._live_every = live_every
        self._past_every = past_every
        self._remote_every = remote_every
        self._keep = keep
        self._before: dict[str, tuple[float, int]] = {}
        self._at_point: dict[str, tuple[float, int]] = {}
        self._samples: dict[str, Sample] = {}
        self._past: dict[str, Past] = {}
        self._absent: set[str] = set()
        self._watchers = 0
        self._woken = asyncio.Event()
        self._sweeping = asyncio.Lock()
        #: Called with the samples of each sweep.
        self.on_samples: list[Callable[[list[Sample]], None]] = []

    # -- for others

    async def run(self) -> None:
        """Measure until cancelled."""
        try:
            while True:
                begun = time.monotonic()
                try:
                    await self.sweep()
                except Exception:
                    _log.exception("Containers could not be measured.")
                every = self._live_every if self._watchers else self.seldom
                self._woken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.1, begun + every - time.monotonic())):
                        await self._woken.wait()
        finally:
            self.close()

    @property
    def seldom(self) -> float:
        """Seconds between two measures that nobody watches."""
        return self._past_every if self._driver.local else self._remote_every

    def close(self) -> None:
        """Let the thread end that reads the kernel's files, and close them."""
        self._sweeper.close()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Measure often while somebody watches."""
        self._watchers += 1
        if self._watchers == 1:
            self._woken.set()
        try:
            yield
        finally:
            self._watchers -= 1

    def latest(self, container: str) -> Sample | None:
        """Return the newest sample of a container."""
        return self._samples.get(container)

    async def now(self, container: str) -> Sample:
        """Measure one container now; where it was never measured its CPU takes a moment.

        Raises
        ------
        NotFound
            It does not run.
        Unavailable
            It can't be measured, since the engine does not answer.
        """
        known = self._mirror.containers.get(container)
        if known is None or not known.running:
            raise NotFound("running container", container)
        sample = await self._one(known)
        if sample.cpu_usage is None:
            await asyncio.sleep(FIRST_GAP)
            sample = await self._one(known)
        self._samples[container] = sample
        return sample

    def past(self, container: str, seconds: float, points: int = 360) -> list[Moment]:
        """Return a container's last `seconds` as at most `points` points."""
        past = self._past.get(container)
        return past.since(time.time() - seconds, points) if past is not None else []

    # -- inside

    async def sweep(self) -> list[Sample]:
        """Measure all running containers once and tell who listens."""
        async with self._sweeping:
            running = [c for c in self._mirror.containers.values() if c.running]
            measured = await self._measure(running, all_=True)
            now, at = time.time(), datetime.now(UTC)
            samples = [self._sample(id_, at, now, found) for id_, found in measured.items()]
            samples += await self._remote(self._to_ask(running, measured))
            self._samples = {sample.id: sample for sample in samples}
            for sample in samples:
                self._remember(sample, now, measured.get(sample.id))
            self._forget(now)
        for listener in list(self.on_samples):
            listener(samples)
        return samples

    async def _measure(
        self, containers: Sequence[EngineContainer], *, all_: bool = False
    ) -> dict[str, Counters]:
        if not self._driver.local:
            return {}
        return await self._sweeper.sweep([target_of(c) for c in containers], all_=all_)

    def _to_ask(self, running: Sequence[EngineContainer], measured: Container[str]) -> list[str]:
        """Return the containers whose use only the engine can tell."""
        absent = [c.id for c in running if c.id not in measured and c.status != "restarting"]
        before, self._absent = self._absent, set(absent)
        # Here, one that is missing once has most likely just ended.
        return [id_ for id_ in absent if id_ in before] if self._driver.local else absent

    async def _one(self, container: EngineContainer) -> Sample:
        measured = await self._measure([container])
        if found := measured.get(container.id):
            return self._sample(container.id, datetime.now(UTC), time.time(), found)
        return await self._driver.stats_once(container.id)

    async def _remote(self, containers: list[str]) -> list[Sample]:
        """Ask the engine about containers, several at a time."""
        limit = asyncio.Semaphore(REMOTE_AT_ONCE)

        async def one(container: str) -> Sample | None:
            async with limit:
                try:
                    return await self._driver.stats_once(container)
                except Unavailable:
                    raise
                except PlatformError:
                    return None

        with contextlib.suppress(Unavailable):
            found = await asyncio.gather(*(one(container) for container in containers))
            return [sample for sample in found if sample is not None]
        return []

    def _sample(self, id_: str, at: datetime, now: float, found: Counters) -> Sample:
        before, latest = self._before.get(id_), self._samples.get(id_)
        if before is not None and latest is not None and 0 <= now - before[0] < SHORTEST:
            # Without its CPU it would look like a start, and what went before be forgotten.
            cpu = latest.cpu_usage
        else:
            cpu = _usage(before, now, found.cpu)
            self._before[id_] = (now, found.cpu)
        return Sample(
            id=id_,
            at=at,
            cpu_usage=cpu,
            memory_usage=found.memory,
            memory_limit=found.limit,
            rx_bytes=found.rx,
            tx_bytes=found.tx,
            read_bytes=found.read,
            write_bytes=found.written,
            pids=found.pids,
        )

    def _remember(self, sample: Sample, now: float, found: Counters | None) -> None:
        past = self._past.setdefault(sample.id, Past())
        # A little less than the whole time, since no sweep comes exactly on time.
        if now - past.last < self._past_every * 0.9:
            return
        cpu = sample.cpu_usage
        if found is not None:
            cpu = _usage(self._at_point.get(sample.id), now, found.cpu)
            self._at_point[sample.id] = (now, found.cpu)
        if cpu is not None:
            past.add(now, cpu, sample.memory_usage, self._keep)

    def _forget(self, now: float) -> None:
        """Forget containers that are gone, and the past of those that stopped long ago."""
        known = self._mirror.containers
        for id_ in [i for i in self._before if i not in self._samples]:
            # A restarted container counts from nothing again.
            self._before.pop(id_, None)
            self._at_point.pop(id_, None)
        for id_, past in list(self._past.items()):
            if id_ not in known or (past.last and past.last < now - self._keep):
                del self._past[id_]


def target_of(container: EngineContainer) -> Target:
    """Return what the reader of cgroup files must know of a container."""
    detail = container.detail
    return Target(
        container.id,
        pid=detail.pid if detail else 0,
        parent=detail.cgroup_parent if detail else "",
        own_network="host" not in container.networks,
    )


def _usage(before: tuple[float, int] | None, now: float, cpu: int) -> float | None:
    """Return per cent of one core between two measures, None where there is no sound first one."""
    if before is None or now - before[0] < SHORTEST or cpu < before[1]:
        return None
    return round((cpu - before[1]) / (now - before[0]) / 1e7, 3)
