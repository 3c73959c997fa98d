"""Turns at something scarce, so that nobody's crowd keeps somebody else waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..errors import RateLimited

BUSY = "Too many people log in at this moment. Try again in a few seconds."


class Turns:
    """One at a time; names take turns, however many wait under one of them.

    Parameters
    ----------
    limit
        How many may wait. Beyond it the last of the longest queue is sent away, so that a name that
        nobody crowds always gets in.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._busy = False

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn of `name`.

        Raises
        ------
        RateLimited
            Too many wait.
        """
        if self._busy:
            await self._wait(name)
        self._busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, name: str) -> None:
        if sum(map(len, self._queues.values())) >= self._limit:
            self._make_room(name)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(name, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was this one's turn: the next one's now.
                self._next()
            raise

    def _make_room(self, name: str) -> None:
        longest = max(self._queues, key=lambda each: len(self._queues[each]))
        if len(self._queues[longest]) <= len(self._queues.get(name, ())) + 1:
            raise RateLimited(5, BUSY)
        last = self._queues[longest].pop()
        if not last.done():
            last.set_exception(RateLimited(5, BUSY))

    def _next(self) -> None:
        while self._queues:
            name, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[name] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False
