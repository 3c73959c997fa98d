"""What every service is to the manager, whoever keeps it running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..system.schemas import Problem
from .schemas import Action

ALL_ACTIONS: tuple[Action, ...] = ("start", "stop", "restart")


@dataclass(frozen=True, slots=True)
class State:
    """How a service is, from memory.

    Parameters
    ----------
    memory
        Bytes, where who runs it tells; otherwise the process is asked.
    actions
        What it can do now.
    since
        When it was started, in seconds since 1970, where that is not when its process was.
    """

    status: str
    pid: int | None = None
    port: int | None = None
    problem: Problem | None = None
    memory: int | None = None
    actions: tuple[Action, ...] = ALL_ACTIONS
    opens: bool = False
    since: float | None = None


class Unit(Protocol):
    """One service.

    Its acts raise `Conflict` where it can't do that, and `Unavailable` where it fails.
    """

    name: str
    kind: str

    def state(self) -> State:
        """Return how it is, at once."""

    async def refresh(self) -> None:
        """Ask whoever runs it, where that is not this server."""

    async def start(self) -> None:
        """Start it; one that runs goes on as it is."""

    async def stop(self) -> None:
        """Stop it; one that is stopped stays so."""

    async def restart(self) -> None:
        """Stop it where it runs, and start it."""

    async def logs(self, tail: int, since: datetime | None) -> Sequence[str]:
        """Return the end of its log."""


def problem_text(problem: Problem | None) -> str | None:
    """Return a problem as a sentence or two."""
    return f"{problem.what} {problem.cure}".strip() if problem is not None else None
