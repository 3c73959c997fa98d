"""GPUs as `GpusPanel` knows them: now, and over the last ten minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from ..client.events import Frame
from ..client.things import Thing
from ..errors import PlatformError
from .feed import LiveFeed

WINDOW_SECONDS = 600.0
"""That the charts show."""

Point = tuple[float, int | None, int | None]
"""Seconds since 1970, per cent of use, bytes of memory."""


@dataclass
class GpuState:
    """All that the panel of GPUs shows."""

    topics = ("gpus",)
    gpus: list[Thing] = field(default_factory=list)
    waiting: int = 0
    past: dict[int, list[Point]] = field(default_factory=dict)
    trouble: str = ""

    def begin(self, topic: str, snapshot: Thing) -> None:
        """Take all GPUs as they are now."""
        self.gpus = [Thing(gpu) for gpu in snapshot.get("gpus") or []]
        self.waiting = int(snapshot.get("waiting") or 0)
        now = time.time()
        for gpu in self.gpus:
            point = (now, gpu.get("utilization"), gpu.get("memory_used"))
            self._keep(gpu["gid"], [*self.past.get(gpu["gid"], ()), point])

    def apply(self, frame: Frame) -> bool:
        """Take a change; whether it was one."""
        if frame.type not in self.topics:
            return False
        self.begin(frame.type, frame.data)
        return True

    def remember(self, gpu: Thing) -> None:
        """Take what a GPU did before anybody looked."""
        points = [
            (
                datetime.fromisoformat(sample["at"]).timestamp(),
                sample.get("utilization"),
                sample.get("memory_used"),
            )
            for sample in gpu.get("history") or []
        ]
        self._keep(gpu["gid"], points)

    def _keep(self, gid: int, points: list[Point]) -> None:
        since = time.time() - WINDOW_SECONDS
        self.past[gid] = [point for point in points if point[0] >= since]


class GpuFeed(LiveFeed[GpuState]):
    """Follows the GPUs."""

    about = "gpus"

    def _subscribed(self) -> None:
        """Fill in what happened while nobody looked."""
        for gpu in list(self.state.gpus):
            try:
                found = self._client.gpus.get(gpu["gid"])
            except PlatformError:
                continue  # it is gone by now, and its chart begins now
            with self.lock:
                self.state.remember(found)
