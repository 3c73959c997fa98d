"""Looks at this machine's GPUs: which there are, and how busy they are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..store.database import Store
from ..store.types import utcnow
from ..watcher import Watcher
from .inventory import SIGNAL, Found
from .ledger import DeviceLedger
from .nvml import Reading
from .records import LOCAL_DEVICE
from .schemas import GpuMeasure

INTERVAL = 5.0
"""Seconds between two readings."""

INVENTORY_INTERVAL = 60.0
"""Seconds between two looks at which GPUs there are."""

HISTORY = 720
"""Readings that are kept: an hour of them."""

_log = logging.getLogger(__name__)


class GpuDriver(Protocol):
    """Whoever knows the GPUs of this machine."""

    async def found(self) -> list[Found]:
        """Return the GPUs that there are; raises `Unavailable`."""

    async def readings(self) -> dict[str, Reading]:
        """Return by UUID how busy they are; raises `Unavailable`."""

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True, slots=True)
class Past:
    """A reading, and when it was taken."""

    at: datetime
    reading: Reading


class GpuWatch:
    """Keeps what was read, for everybody who asks."""

    def __init__(self, store: Store, ledger: DeviceLedger, driver: GpuDriver) -> None:
        self._store = store
        self._ledger = ledger
        self._driver = driver
        self._changed = asyncio.Event()
        self.version = 0
        """Counts what happened, so that whoever looks away for a moment misses nothing."""
        self._found: list[Found] | None = None
        self._looked = 0.0
        self._history: dict[str, deque[Past]] = {}
        self._uuids: dict[int, str] = {}
        """Of this machine's GPUs, by number."""
        self._watcher = Watcher(
            self.look, self._pause, _log, "The GPUs of this machine can't be read"
        )

    def start(self) -> None:
        """Begin to look."""
        self._store.signals.on_change(SIGNAL, self._tell)
        self._watcher.start(at_once=True)

    async def stop(self) -> None:
        """Look no more."""
        await self._watcher.stop()
        self._driver.close()

    def past(self, uuid: str) -> list[Past]:
        """Return the readings of a GPU in the last hour, oldest first."""
        return list(self._history.get(uuid, ()))

    def now(self, uuid: str) -> Reading:
        """Return the last reading of a GPU; empty where there is none that is fresh."""
        past = self._history.get(uuid)
        if not past or (utcnow() - past[-1].at).total_seconds() > 3 * INTERVAL:
            return Reading()
        return past[-1].reading

    def measures(self, gids: Iterable[int] | None = None) -> list[GpuMeasure]:
        """Return how busy GPUs are, by number; all of this machine where none are named."""
        found = []
        for gid in self._uuids if gids is None else gids:
            now = self.now(self._uuids.get(gid, ""))
            found.append(
                GpuMeasure(
                    gid=gid,
                    utilization=now.utilization,
                    memory_used=now.memory_used,
                    temperature=now.temperature,
                    power=now.power,
                )
            )
        return found

    async def look(self) -> None:
        """Look once.

        Raises
        ------
        Unavailable
            The driver or the store does not answer.
        """
        if self._found is None or time.monotonic() - self._looked > INVENTORY_INTERVAL:
            await self._take_inventory()
        if not self._found:
            return
        at = utcnow()
        readings = await self._driver.readings()
        for uuid, reading in readings.items():
            self._history.setdefault(uuid, deque(maxlen=HISTORY)).append(Past(at, reading))
        self._tell()

    async def change(self, seen: int) -> int:
        """Wait until somebody got a GPU or gave one back, or they were read again.

        Parameters
        ----------
        seen
            The version that the caller knows.

        Returns
        -------
        int
            The version now.
        """
        while self.version == seen:
            await self._changed.wait()
        return self.version

    def _tell(self) -> None:
        # Whoever waits now is woken; whoever comes waits for the next time.
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _take_inventory(self) -> None:
        found = sorted(await self._driver.found(), key=lambda gpu: gpu.uuid)
        if found != self._found:
            async with self._store.write() as session:
                await self._ledger.set_gpus(session, LOCAL_DEVICE, found)
                gpus, _ = await self._ledger.gpus(session)
            self._uuids = {gpu.gid: gpu.uuid for gpu in gpus if gpu.device == LOCAL_DEVICE}
            _log.info("GPUs of this machine: %s", ", ".join(gpu.model for gpu in found) or "none")
        self._found, self._looked = found, time.monotonic()

    async def _pause(self) -> None:
        await asyncio.sleep(INTERVAL if self._found else INVENTORY_INTERVAL)
