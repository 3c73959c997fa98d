"""Background work that looks at something again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .errors import PlatformError


class Watcher:
    """Looks, pauses, and looks again; of what fails in the same way each time it tells once.

    Parameters
    ----------
    look
        Looks once.
    pause
        Waits until the next look is due.
    failure
        What the log says where a look failed: ``"The swarm could not be read"``.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        pause: Callable[[], Awaitable[None]],
        log: logging.Logger,
        failure: str,
    ) -> None:
        self._look = look
        self._pause = pause
        self._log = log
        self._failure = failure
        self._problem = ""
        self._task: asyncio.Task[None] | None = None

    def start(self, *, at_once: bool = False) -> None:
        """Begin, after a pause or at once; nothing where it has begun already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(at_once))

    async def stop(self) -> None:
        """Look no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, at_once: bool) -> None:
        if not at_once:
            await self._pause()
        while True:
            try:
                await self._look()
                self._problem = ""
            except PlatformError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    self._log.warning("%s: %s", self._failure, error)
            except Exception:
                self._log.exception(self._failure)
            await self._pause()
