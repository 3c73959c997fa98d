"""Whether the engine is there, for people who look at the panel and for programs that ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..errors import Unavailable
from ..system.schemas import Problem

if TYPE_CHECKING:
    from ..events.bus import Bus
    from .mirror import Mirror
    from .mounts import MountPolicy

TOPIC = "engine"


class EngineWatch:
    """Tells when the engine comes and goes."""

    def __init__(self, mirror: Mirror, bus: Bus, mounts: MountPolicy) -> None:
        self._mirror = mirror
        self._mounts = mounts
        self._bus = bus
        mirror.on_engine.append(self._changed)

    def _changed(self, problem: Unavailable | None) -> None:
        self._bus.publish(TOPIC, _state(problem), key=TOPIC)

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """Whether the engine is there, the cure where not, and which folders it may be given."""
        await self._mirror.first_try()
        return {**_state(self._mirror.problem), "mount_roots": self._mounts.roots(caller)}

    def probe(self) -> tuple[str, Problem | None]:
        """The engine's state for the status of the whole server, from memory."""
        problem = self._mirror.problem
        if problem is not None:
            return "stopped", Problem(service="docker", what=problem.what, cure=problem.cure)
        return ("running" if self._mirror.fresh else "starting"), None


def _state(problem: Unavailable | None) -> dict[str, Any]:
    return {
        "available": problem is None,
        "what": problem.what if problem else "",
        "cure": problem.cure if problem else "",
    }
