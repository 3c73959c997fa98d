"""What is done at an engine while nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..errors import Unavailable
from .breaker import Breaker

_log = logging.getLogger(__name__)


class Chores:
    """Small work in the background, and tidying up that an engine owes.

    Parameters
    ----------
    where
        The engine's address, for the log.
    breaker
        Says when the engine answers again.
    """

    def __init__(self, where: str, breaker: Breaker) -> None:
        self._where = where
        self._breaker = breaker
        self._tasks: set[asyncio.Task[Any]] = set()
        self._owed: list[Callable[[], Awaitable[None]]] = []
        breaker.on_close.append(self._pay)

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something run that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("What was to be done later at %s failed: %s", self._where, error)

    def tidy(self, work: Callable[[], Awaitable[None]]) -> None:
        """Tidy up as soon as the engine answers, which may be now."""
        self._owed.append(work)
        if not self._breaker.open:
            self._pay()

    def _pay(self) -> None:
        owed, self._owed = self._owed, []
        for work in owed:
            self.run(self._try(work))

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Unavailable:
            # Tried again when the engine is back.
            self._owed.append(work)

    async def close(self) -> None:
        """End all that runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
