"""A request for GPUs, as the server has it that waits for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from .placement import Gpu, Wish


@dataclass(eq=False)
class Ticket:
    """A request of this server's, from when it is handed in to when it is granted or given up.

    Attributes
    ----------
    number
        Its place in the order of all that ever came; 0 before it is written down.
    place
        How many wait before it, itself included, as it was last counted; 0 before that.
    first
        When, on the monotonic clock, it had its first place, and which.
    """

    cid: int
    wish: Wish
    wait: bool
    cpu: int
    memory: int
    number: int = 0
    place: int = 0
    first: tuple[float, int] | None = None
    future: asyncio.Future[tuple[Gpu, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def stands(self, place: int) -> None:
        """Note its place now."""
        self.place = place
        if self.first is None:
            self.first = time.monotonic(), place

    @property
    def estimate(self) -> int | None:
        """Seconds that it may take, as fast as it went so far; None while nothing went."""
        if self.first is None or self.place >= self.first[1]:
            return None
        passed = self.first[1] - self.place
        return round((time.monotonic() - self.first[0]) / passed * self.place)
