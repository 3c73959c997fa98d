"""Takes backups at the times of the configuration, and those that are owed after a restore.

What was missed while no server ran is made up for by one backup.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict, PlatformError
from ..store.database import Store
from ..store.types import utcnow
from .archiving import Archiving
from .backup_info import BackupKind
from .backup_taking import failed
from .backups import BackupManager
from .due_times import DueTimes

OWED = "owed"
"""Among the kinds: the one that must follow a restore of the whole cluster."""

RETRY = timedelta(minutes=5)
"""Between two attempts at one that is owed."""

LONGEST = 30.0
"""Seconds between two looks at most: the clock may be set."""

_log = logging.getLogger(__name__)


class BackupSchedule:
    """Begins scheduled backups, of several servers of a store one."""

    def __init__(
        self,
        store: Store,
        archiving: Archiving,
        backups: BackupManager,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self._store = store
        self._dues = DueTimes(store)
        self._archiving = archiving
        self._backups = backups
        self._now = now
        self._times = archiving.settings.schedule
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look at the clock."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Begin no more backups."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> list[BackupKind]:
        """Begin what is due, and return of which kinds it was.

        Raises
        ------
        PlatformError
            The store, the cluster or pgBackRest is away.
        """
        if not self._archiving.has_cluster or not self._archiving.cluster.made:
            return []
        begun: list[BackupKind] = []
        # Whatever is due at once, the largest of them holds the others.
        for name in self._names():
            last = await self._dues.last(name, self._now())
            due = self._due(name, last)
            if due is None or due > self._now():
                continue
            if begun:
                await self._skip(name, last)
                continue
            kind = BackupKind.INCREMENTAL if name == OWED else BackupKind(name)
            if await self._begin(name, kind, last):
                begun.append(kind)
        return begun

    # -- inside --------------------------------------------------------------------------------

    async def _watch(self) -> None:
        remembered = False
        while True:
            try:
                if not remembered:
                    await self._archiving.remember()
                    remembered = True
                await self.look()
            except PlatformError as error:
                _log.warning("Scheduled backups are not taken: %s", error)
            except Exception:
                _log.exception("Scheduled backups are not looked after")
            await asyncio.sleep(await self._pause())

    async def _pause(self) -> float:
        """Return seconds until the next is due."""
        try:
            lasts = {name: await self._dues.last(name, self._now()) for name in self._names()}
        except PlatformError:
            return LONGEST
        dues = [self._due(name, last) for name, last in lasts.items()]
        waits = [(due - self._now()).total_seconds() for due in dues if due is not None]
        return min(max(min(waits, default=LONGEST), 0.5), LONGEST)

    def _names(self) -> list[str]:
        """Return what may be due, the largest first."""
        names = [kind.value for kind in BackupKind if kind in self._times]
        return [*names, OWED] if self._archiving.owes else names

    def _due(self, name: str, last: datetime) -> datetime | None:
        if name == OWED:
            return last + RETRY
        from cronsim import CronSim

        return next(CronSim(self._times[name], last), None)

    async def _skip(self, name: str, last: datetime) -> None:
        try:
            async with self._store.write() as session:
                await self._dues.claim(session, name, last, self._now())
        except Conflict:
            return

    async def _begin(self, name: str, kind: BackupKind, last: datetime) -> bool:
        async def also(session: AsyncSession) -> None:
            await self._dues.claim(session, name, last, self._now())

        try:
            await self._backups.take_scheduled(kind, also)
        except Conflict:
            return False
        except PlatformError as error:
            await self._archiving.complain(failed(error))
            await self._skip(name, last)
            raise
        return True
