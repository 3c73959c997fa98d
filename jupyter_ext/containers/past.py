"""What a container used over the last hour."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a container's past; `cpu_usage` is the mean since the point before."""

    at: datetime
    cpu_usage: float
    memory_usage: int


class Past:
    """A container's last hour in three arrays: 20 bytes a point, whatever happens."""

    __slots__ = ("_cpu", "_memory", "_times")

    def __init__(self) -> None:
        self._times = array("d")
        self._cpu = array("f")
        self._memory = array("Q")

    def add(self, at: float, cpu: float, memory: int, keep: float) -> None:
        """Add a point, and forget those that are older than `keep` seconds."""
        self._times.append(at)
        self._cpu.append(cpu)
        self._memory.append(memory)
        # Some at a time, since forgetting moves all that is kept.
        if self._times[0] < at - keep * 1.1:
            old = bisect_left(self._times, at - keep)
            for column in (self._times, self._cpu, self._memory):
                del column[:old]

    @property
    def last(self) -> float:
        """When the newest point was."""
        return self._times[-1] if self._times else 0.0

    def since(self, start: float, points: int) -> list[Moment]:
        """Return the points since `start`, thinned out to at most `points` by taking means."""
        first = bisect_left(self._times, start)
        count = len(self._times) - first
        step = max(1, -(-count // max(1, points)))
        moments = []
        for begin in range(first, len(self._times), step):
            end = min(begin + step, len(self._times))
            moments.append(
                Moment(
                    datetime.fromtimestamp(self._times[end - 1], UTC),
                    round(sum(self._cpu[begin:end]) / (end - begin), 3),
                    max(self._memory[begin:end]),
                )
            )
        return moments
