"""Stops a container that the rules are over for, once, and only where nothing came in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ..containers.engine_types import EngineContainer
from ..containers.known import Known
from ..containers.schemas import StopOptions
from ..containers.service import ContainerService
from ..errors import NotFound
from .clocks import Clocks
from .measures import Measures
from .notices import Notices
from .rules import Clock, Reason, Rules, Use

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """A container that runs and has rules, during one look."""

    known: Known
    engine: EngineContainer
    rules: Rules
    use: Use


class Ending:
    """Stops containers, in the way in which people stop them."""

    def __init__(
        self,
        clocks: Clocks,
        measures: Measures,
        containers: ContainerService,
        notices: Notices,
        now: Callable[[], datetime],
    ) -> None:
        self._clocks = clocks
        self._measures = measures
        self._containers = containers
        self._notices = notices
        self._now = now

    async def stop(self, each: Watched, clock: Clock, reason: Reason) -> None:
        """Stop a container, unless it is used or kept, was started again, or another server does.

        Raises
        ------
        Unavailable
            The engine or the store does not answer; the next look tries again.
        """
        access = self._containers.access
        people = self._containers.people
        owner = await people.account(people.owner)
        try:
            found = await access.fresh(owner, each.engine.id)
        except NotFound:
            return
        if not found.engine.running or started_at(found.engine) != clock.started_at:
            return
        if reason == "idle" and self._measures.has_terminal(each.engine):
            return
        if await self._clocks.claim(each.known.cid, clock, reason):
            # Whoever ends this server does not leave it half-done.
            await access.acted(self._stopped(each, clock, reason))

    async def _stopped(self, each: Watched, clock: Clock, reason: Reason) -> None:
        cid, name = each.known.cid, each.known.name
        owner = await self._containers.people.account(self._containers.people.owner)
        options = StopOptions()
        try:
            done = await self._containers.containers.stop(owner, each.engine.id, options, options)
        except BaseException:
            await self._clocks.give_up(cid)
            raise
        if not done.changed:
            # It ended by itself, or somebody was faster.
            await self._clocks.give_up(cid)
            return
        now = self._now()
        _log.info("%s was stopped: %s", name, reason)
        await self._clocks.stopped(cid, now, reason)
        ended = replace(clock, warned_at=None, stopped_at=now, reason=reason)
        self._notices.end(each.known, ended)


def started_at(engine: EngineContainer) -> datetime:
    """When a container was last started, as its engine tells it."""
    started = engine.detail.started_at if engine.detail else None
    return started or engine.created_at
