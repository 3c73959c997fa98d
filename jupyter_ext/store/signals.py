"""Servers of one store tell each other of changes: counters, looked at twice a second."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import event, select

from ..errors import PlatformError
from .base import Counter

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from .database import Store

INTERVAL = 0.5
"""Seconds between two looks, so that a revoked key dies everywhere within one."""

_PREFIX = "changed:"

_log = logging.getLogger(__name__)


class Signals:
    """One small query for all that other servers may have changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._callbacks: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._seen: dict[str, int] | None = None
        self._task: asyncio.Task[None] | None = None

    def on_change(self, name: str, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop after any server, this one included, raised `name`.

        It is also called while the store does not answer: nobody knows then, so what is
        remembered of it must be forgotten.
        """
        self._callbacks[name].append(callback)

    async def raise_(self, session: AsyncSession, name: str) -> None:
        """Tell this server at once and the others soon, when the caller's transaction commits."""
        from .database import next_number

        await next_number(session, _PREFIX + name)
        event.listen(session.sync_session, "after_commit", lambda _: self._call(name), once=True)

    def start(self) -> None:
        """Begin to look."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Look no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> None:
        """Look once."""
        async with self._store.read() as session:
            rows = await session.execute(
                select(Counter.name, Counter.value).where(Counter.name.startswith(_PREFIX))
            )
            now = {name.removeprefix(_PREFIX): value for name, value in rows}
        before, self._seen = self._seen, now
        if before is None:
            # What is remembered by now may be older than this first look.
            before = dict.fromkeys(now, -1)
        for name, value in now.items():
            if before.get(name) != value:
                self._call(name)

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except PlatformError as error:
                if self._seen is not None:
                    _log.warning("Changes by other servers are not seen: %s", error)
                self._seen = None
                for name in list(self._callbacks):
                    self._call(name)
            await asyncio.sleep(INTERVAL)

    def _call(self, name: str) -> None:
        for callback in self._callbacks[name]:
            try:
                callback()
            except Exception:
                _log.exception("A change of %s could not be followed", name)
