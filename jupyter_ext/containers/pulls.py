"""One pull for everybody who asks for the same image at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, Protocol

from ..accounts.schemas import Account
from ..errors import RateLimited
from .image_types import PullProgress
from .references import ImageReference

RETRY_SECONDS = 10.0


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
        self.waiting: Counter[str] = Counter()
        """How often each account waits."""
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
    limit
        Images that an account may pull at once; 0 is no limit.
    """

    def __init__(
        self,
        start: Callable[[ImageReference], AsyncIterator[PullProgress]],
        limit: Callable[[Account], int] = lambda account: 0,
    ) -> None:
        self._start = start
        self._limit = limit
        self._running: dict[str, _Pull] = {}

    def check(self, account: Account, reference: ImageReference) -> None:
        """Refuse one more image; one that the account waits for already is none more.

        Raises
        ------
        RateLimited
            Naming the limit and what is being pulled.
        """
        limit = self._limit(account)
        mine = sorted(key for key, pull in self._running.items() if pull.waiting[account.id])
        if limit and len(mine) >= limit and str(reference) not in mine:
            raise RateLimited(
                RETRY_SECONDS,
                f"You are pulling {', '.join(mine)}, and {limit} images at once is the limit. "
                "Wait for one to end, or cancel it.",
            )

    async def join(self, account: Account, reference: ImageReference, watcher: Watcher) -> None:
        """Pull, or wait for whoever pulls it already; ends early when the last who waits leaves.

        Raises
        ------
        RateLimited
            The account pulls as many as it may.
        PlatformError
            What the driver says.
        """
        self.check(account, reference)
        key = str(reference)
        pull = self._running.get(key)
        if pull is None or pull.task.done():
            pull = self._running[key] = _Pull(self._start(reference))
        pull.waiting[account.id] += 1
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
            pull.waiting[account.id] -= 1
            if not pull.waiting.total():
                if self._running.get(key) is pull:
                    del self._running[key]
                if not pull.task.done():
                    pull.task.cancel()


def _told(step: PullProgress) -> tuple[float | None, str, dict[str, Any]]:
    return step.fraction, step.message, {"layers": [asdict(layer) for layer in step.layers]}
