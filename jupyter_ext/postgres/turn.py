"""One restore at a time, in the order in which they came, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import Unavailable
from ..store.types import utcnow

if TYPE_CHECKING:
    from ..operations.running import Progress

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks at whether somebody waits."""


class Turn:
    """Held by whoever restores: two at once would take the same new timeline and the same room."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._what = ""
        self._since: datetime | None = None

    @property
    def taken(self) -> bool:
        """Whether somebody has it."""
        return self._lock.locked()

    @asynccontextmanager
    async def of(self, what: str, progress: Progress | None = None) -> AsyncIterator[None]:
        """Have it, after those who came before; `progress` says what is waited for.

        Parameters
        ----------
        what
            Who has it, in words that everybody may read.
        """
        if self.taken and progress is not None:
            await progress.update(message=self._told())
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            self._what, self._since = what, utcnow()
            yield
        finally:
            self._lock.release()

    async def while_alone(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Do what somebody's own code can make slow, and break it off when others waited for long.

        Parameters
        ----------
        seconds
            For which it may go on though others wait.

        Raises
        ------
        Unavailable
            It took longer.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=LOOK_SECONDS)
                if loop.time() > until and self._waiting and not task.done():
                    raise Unavailable(
                        f"It took more than {seconds:g} s, and others wait for their turn.",
                        "Restore again while nobody waits, or have the administrator raise "
                        "BackupSettings.loading_seconds.",
                    )
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _told(self) -> str:
        since = f"{self._since:%H:%M:%S} UTC" if self._since is not None else "now"
        first = {0: "", 1: "; one more comes first"}.get(
            self._waiting, f"; {self._waiting} more come first"
        )
        return f"Waiting for the end of {self._what}, which began at {since}{first}"
