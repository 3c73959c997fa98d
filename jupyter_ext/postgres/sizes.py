"""How large the databases are: measured now and then, since PostgreSQL looks at every file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..errors import PlatformError
from ..store.types import utcnow
from .catalog import Catalog

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Size:
    """A measurement, in bytes."""

    size: int
    at: datetime


class Sizes:
    """The last measurement of each database.

    Parameters
    ----------
    interval
        Seconds between two of them.
    running
        Whether there is a server to be asked.
    """

    def __init__(self, catalog: Catalog, interval: float, running: Callable[[], bool]) -> None:
        self._catalog = catalog
        self._interval = interval
        self._running = running
        self._known: dict[str, Size] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Measure no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def of(self, name: str) -> Size | None:
        """Return the last measurement of a database; None before the first."""
        return self._known.get(name)

    def known(self) -> Mapping[str, Size]:
        """Return the last measurements of all."""
        return self._known

    def forget(self, name: str) -> None:
        """Know nothing of a database that is gone."""
        self._known.pop(name, None)

    async def measure(self, names: Collection[str] | None = None) -> None:
        """Measure now; all without `names`."""
        found, at = await self._catalog.sizes(names), utcnow()
        measured = {name: Size(size, at) for name, size in found.items()}
        self._known = measured if names is None else self._known | measured

    async def _watch(self) -> None:
        while True:
            try:
                if self._running():
                    await self.measure()
            except PlatformError as error:
                _log.debug("Databases could not be measured: %s", error)
            except Exception:
                _log.exception("Databases could not be measured")
            await asyncio.sleep(self._interval)
