"""What is well, what is missing, how busy the machine is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from .._version import __version__
from ..accounts.schemas import Account
from ..devices.schemas import GpuMeasure
from ..errors import Unavailable
from . import host
from .metrics import Metric
from .schemas import Problem, Resources, Status, System

Probe = Callable[[], tuple[str, Problem | None]]
"""Answers at once, from memory: a service's state, and its problem where it has one."""

T = TypeVar("T")

READING_DEADLINE = 5.0
"""Seconds."""

CPU_WINDOW = 1.0
"""Seconds between two readings of the processor's counters, at least."""


class SystemManager:
    """Puts the probes of all domains together.

    Parameters
    ----------
    folder
        Where the state lies; its disk is the one that is reported.
    probes
        By name of the service.
    gpus
        Returns how busy this machine's are.
    """

    def __init__(
        self,
        folder: Path,
        probes: Mapping[str, Probe],
        gpus: Callable[[], list[GpuMeasure]] = list,
    ) -> None:
        self._folder = folder
        self._probes = dict(probes)
        self._gpus = gpus
        self._started = time.monotonic()
        self._cpu_read = 0.0
        self._cpu = 0.0
        # A disk may hang (a dead network share); its reader must not hold up the loop or its
        # default executor.
        self._reader = ThreadPoolExecutor(1, "jupyter_ext-host")
        psutil.cpu_percent()

    async def status(self, caller: Account) -> Status:
        """Return the state of every service, from memory."""
        services: dict[str, str] = {}
        problems: list[Problem] = []
        for name, probe in self._probes.items():
            services[name], problem = probe()
            if problem is not None:
                problems.append(problem)
        return Status(
            status=_health(problems),
            version=__version__,
            uptime=int(time.monotonic() - self._started),
            services=services,
            problems=problems,
        )

    async def metrics(self) -> list[Metric]:
        """Return how all is, as a number for each answer that there could be."""
        services = [probe() for probe in self._probes.values()]
        health = _health([problem for _, problem in services if problem is not None])
        states = [((each,), float(each == health)) for each in HEALTHS]
        return [Metric("status", "How the server is: 1 at what is so", ("status",), states)]

    async def system(self, caller: Account) -> System:
        """Return what the machine has."""
        return await self._read(host.describe, self._folder)

    async def resources(self, caller: Account) -> Resources:
        """Return how busy the machine is."""
        found = await self._read(host.measure, self._folder, self._cpu_percent())
        return found.model_copy(update={"gpus": self._gpus()})

    async def _read(self, reading: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._reader, partial(reading, *arguments))
        try:
            return await asyncio.wait_for(work, READING_DEADLINE)
        except TimeoutError:
            raise Unavailable(
                f"The disk of {self._folder} does not answer.", "Is a network share gone?"
            ) from None

    def _cpu_percent(self) -> float:
        # psutil measures since the last call; two callers within a moment would read noise.
        if time.monotonic() - self._cpu_read >= CPU_WINDOW:
            self._cpu, self._cpu_read = psutil.cpu_percent(), time.monotonic()
        return self._cpu


HEALTHS = ("healthy", "degraded", "unhealthy")


def _health(problems: list[Problem]) -> str:
    if any(problem.critical for problem in problems):
        return "unhealthy"
    return "degraded" if problems else "healthy"
