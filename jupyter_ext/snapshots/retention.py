"""What was there before restores is kept for a while; the newest of each user stays.

What could not be removed of a snapshot that failed goes with the next look.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from ..errors import PlatformError
from ..store.types import utcnow
from .book import SnapshotBook
from .manager import SnapshotManager
from .settings import SnapshotSettings

if TYPE_CHECKING:
    from ..containers.people import People

LOOK_SECONDS = 3600.0
"""Between two looks, where no restore is a reason for one."""

_log = logging.getLogger(__name__)


class Retention:
    """Deletes what restores have kept and is overdue."""

    def __init__(
        self,
        book: SnapshotBook,
        manager: SnapshotManager,
        people: People,
        settings: SnapshotSettings,
    ) -> None:
        self._book = book
        self._manager = manager
        self._people = people
        self._settings = settings
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Delete no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def soon(self) -> None:
        """Look now: there is one more."""
        self._due.set()

    async def look(self) -> None:
        """Delete what failed or is overdue; what can't be now is tried again with the next look."""
        await self._manager.remove_left()
        since = utcnow() - timedelta(days=self._settings.keep_before_days)
        for note in await self._book.overdue(since, self._settings.most_before):
            try:
                owner = await self._people.account(note.owner)
                # Where a server dies meanwhile, the next one goes on.
                deleting = await self._manager.remove(owner, note)
                await deleting.wait()
            except PlatformError as error:
                _log.info("The snapshot %s is not deleted yet: %s", note.mark, error)

    async def _watch(self) -> None:
        while True:
            self._due.clear()
            try:
                await self.look()
            except PlatformError as error:
                _log.warning("Old snapshots could not be looked for: %s", error)
            except Exception:
                _log.exception("Old snapshots are not looked after")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), LOOK_SECONDS)
