"""One pull for everybody who asks for the same image at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, Protocol

from .engine_types import PullProgress
from .references import ImageReference


class Watcher(Protocol):
    """An operation that tells how far it has come."""

    async def update(
        self,
        fraction: float | None = None,
        message: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Take the latest."""


class _Pull:
    """A pull that is going on, and whoever waits for it."""

    def __init__(self, progress: AsyncIterator[PullProgress]) -> None:
        self.waiting = 0
        self.latest: PullProgress | None = None
        self.news = asyncio.Event()
        self.task = asyncio.ensure_future(self._run(progress))
        self.task.add_done_callback(lambda _: self.news.set())

    async def _run(self, progress: AsyncIterator[PullProgress]) -> None:
        async for step in progress:
            self.latest = step
            # Everybody who waits holds the old event; the next step gets a new one.
            news, self.news = self.news, asyncio.Event()
            news.set()


class Pulls:
    """The pulls that are going on.

    Parameters
    ----------
    start
        The driver's pull of a reference.
    """

    def __init__(self, start: Callable[[ImageReference], AsyncIterator[PullProgress]]) -> None:
        self._start = start
        self._running: dict[str, _Pull] = {}

    async def join(self, reference: ImageReference, watcher: Watcher) -> None:
        """Pull, or wait for whoever pulls it already; ends early when the last who waits leaves.

        Raises
        ------
        PlatformError
            What the driver says.
        """
        key = str(reference)
        pull = self._running.get(key)
        if pull is None or pull.task.done():
            pull = self._running[key] = _Pull(self._start(reference))
        pull.waiting += 1
        try:
            while not pull.task.done():
                news = pull.news
                if pull.latest is not None:
                    await watcher.update(*_told(pull.latest))
                await news.wait()
            await asyncio.shield(pull.task)
            if pull.latest is not None:
                await watcher.update(*_told(pull.latest))
        finally:
            pull.waiting -= 1
            if pull.waiting == 0:
                if self._running.get(key) is pull:
                    del self._running[key]
                if not pull.task.done():
                    pull.task.cancel()


def _told(step: PullProgress) -> tuple[float | None, str, dict[str, Any]]:
    return step.fraction, step.message, {"layers": [asdict(layer) for layer in step.layers]}
