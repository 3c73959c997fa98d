"""Which containers people have terminals in, through this server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Sessions:
    """Open terminals and commands, by the engine's id of their container."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._ended: set[str] = set()

    @contextmanager
    def open(self, container: str) -> Iterator[None]:
        """Count one for as long as the block lasts."""
        self._open[container] += 1
        try:
            yield
        finally:
            self._open -= Counter({container: 1})
            self._ended.add(container)

    def take_ended(self) -> set[str]:
        """Return the containers in which one has ended since this was last asked."""
        ended, self._ended = self._ended, set()
        return ended

    def has(self, container: str) -> bool:
        """Whether one is open."""
        return self._open[container] > 0
