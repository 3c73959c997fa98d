"""How large the databases are: measured now and then, since PostgreSQL looks at every file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..errors import PlatformError
from ..store.types import utcnow
from .catalog import Catalog
from .claims import Claims
from .size_quota import SizeQuota

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

    tidy
        Removes what is no database's; done as often as they are measured.

    Attributes
    ----------
    quota
        What they mean for their owners.
    """

    def __init__(
        self,
        catalog: Catalog,
        claims: Claims,
        quota: SizeQuota,
        interval: float,
        running: Callable[[], bool],
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        self._catalog = catalog
        self._claims = claims
        self.quota = quota
        self._interval = interval
        self._running = running
        self._tidy = tidy
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

    async def measure(self, names: Collection[str]) -> Mapping[str, int]:
        """Measure some now."""
        found = await self._catalog.sizes(names)
        self.note(found)
        return found

    def note(self, found: Mapping[str, int]) -> None:
        """Know what somebody measured just now."""
        at = utcnow()
        self._known |= {name: Size(size, at) for name, size in found.items()}

    def same(self, name: str, source: str) -> bool:
        """Take a copy for as large as what it was copied from; return whether that is known."""
        known = self._known.get(source)
        if known is not None:
            self._known[name] = known
        return known is not None

    async def known_or_measured(self, name: str) -> int:
        """Return the bytes of a database, 0 where there is none."""
        known = self._known.get(name)
        return known.size if known is not None else (await self.measure([name])).get(name, 0)

    async def sweep(self) -> None:
        """Measure all now, and have what they use together counted."""
        # Asked first: what is still being made is not as large yet as it is counted.
        settled = await self._claims.settled()
        found, at = await self._catalog.sizes(), utcnow()
        self._known = {name: Size(size, at) for name, size in found.items()}
        await self._claims.measured({name: found[name] for name in settled if name in found})
        await self.quota.follow()

    async def _watch(self) -> None:
        while True:
            for work in (self.sweep, self._tidy) if self._running() else ():
                try:
                    await work()
                except PlatformError as error:
                    _log.debug("Databases could not be looked after: %s", error)
                except Exception:
                    _log.exception("Databases could not be looked after")
            await asyncio.sleep(self._interval)
