"""Moving windows in memory, in the terms of `limits`.

The library's own storage in memory starts a task and a thread's call for every request, to throw
out what has expired. Here a window is tidied when it is looked at, and all of them now and then.
Imported when first needed: `limits` takes a tenth of a second.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from limits.aio.storage import MemoryStorage

SWEEP_SECONDS = 60.0


@dataclass(slots=True)
class Window:
    """When the requests came that still count, oldest first."""

    seconds: float
    times: deque[float] = field(default_factory=deque)

    def tidy(self, now: float) -> None:
        """Forget those that don't count any more."""
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()


class MemoryWindows(MemoryStorage):
    """Counts in this process."""

    STORAGE_SCHEME = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, Window] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """Return how many are counted."""
        return len(self._windows)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, if the window has room."""
        now = time.time()
        window = self._window(key, expiry, now)
        window.tidy(now)
        if len(window.times) + amount > limit:
            return False
        window.times.extend([now] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest request came that counts, and how many do."""
        now = time.time()
        window = self._windows.get(key)
        if window is not None:
            window.tidy(now)
        if window is None or not window.times:
            return now, 0
        return window.times[0], len(window.times)

    async def clear(self, key: str) -> None:
        """Begin anew for one."""
        self._windows.pop(key, None)

    async def reset(self) -> int | None:
        """Begin anew for all."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def _window(self, key: str, seconds: float, now: float) -> Window:
        if now >= self._sweep_at:
            self._sweep(now)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(seconds)
        return window

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + SWEEP_SECONDS
        dead = [
            key
            for key, window in self._windows.items()
            if not window.times or window.times[-1] <= now - window.seconds
        ]
        for key in dead:
            del self._windows[key]
