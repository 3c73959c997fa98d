"""What containers used between two looks, from the samples that everybody shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..containers.engine_types import Sample


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over a while.

    Parameters
    ----------
    cpu
        Per cent of one core.
    network
        Bytes per second, both directions together.
    """

    cpu: float
    network: float


@dataclass(slots=True)
class _Window:
    first: Sample
    last: Sample
    work: float = 0.0
    """Per cent of a core times seconds."""


class Meter:
    """Adds samples up, however often they come: often while somebody watches, seldom otherwise."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def add(self, samples: Sequence[Sample]) -> None:
        """Take the samples of a sweep; who is not among them was not measured or has ended."""
        windows: dict[str, _Window] = {}
        for sample in samples:
            window = self._windows.get(sample.id)
            if window is None or _restarted(window.last, sample) or sample.cpu_usage is None:
                windows[sample.id] = _Window(sample, sample)
                continue
            window.work += sample.cpu_usage * _seconds(window.last.at, sample.at)
            window.last = sample
            windows[sample.id] = window
        self._windows = windows

    def mean(self, container: str) -> Measured | None:
        """Return the means since `forget`; None where there was no measure."""
        window = self._windows.get(container)
        seconds = _seconds(window.first.at, window.last.at) if window else 0.0
        if window is None or seconds <= 0:
            return None
        traffic = _traffic(window.last) - _traffic(window.first)
        return Measured(window.work / seconds, traffic / seconds)

    def forget(self, container: str) -> None:
        """Begin anew with the last measure."""
        if (window := self._windows.get(container)) is not None:
            self._windows[container] = _Window(window.last, window.last)


def _seconds(first: datetime, last: datetime) -> float:
    return max(0.0, (last - first).total_seconds())


def _traffic(sample: Sample) -> int:
    return sample.rx_bytes + sample.tx_bytes


def _restarted(before: Sample, sample: Sample) -> bool:
    """Whether its counters began anew."""
    return sample.rx_bytes < before.rx_bytes or sample.tx_bytes < before.tx_bytes
