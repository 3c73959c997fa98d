"""How late the event loop is: whatever blocks it delays everybody."""

from __future__ import annotations

import asyncio
from collections import deque

from .metrics import Metric

INTERVAL = 0.5
WINDOW = 60.0
"""Seconds that the largest lag is remembered for."""


class LoopLag:
    """Sleeps again and again, and sees how much longer that takes."""

    def __init__(self) -> None:
        self._found: deque[float] = deque(maxlen=round(WINDOW / INTERVAL))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._measure())

    async def stop(self) -> None:
        """Measure no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def metrics(self) -> list[Metric]:
        """Return the last lag and the largest of the last minute."""
        last = self._found[-1] if self._found else 0.0
        return [
            Metric.one("loop_lag_seconds", "How late the event loop was last", last),
            Metric.one(
                "loop_lag_max_seconds",
                "How late the event loop was at most in the last minute",
                max(self._found, default=0.0),
            ),
        ]

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(INTERVAL)
            self._found.append(max(0.0, loop.time() - before - INTERVAL))
