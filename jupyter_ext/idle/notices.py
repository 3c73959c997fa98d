"""Tells people how long their containers have been idle: in their details, and by events."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

from ..containers import views
from ..containers.keeper import TOPIC
from ..containers.known import Known
from ..containers.replies import IdleItem
from ..containers.service import ContainerService
from ..events.bus import Bus
from .rules import Clock, Reason, Rules, ends_of

BECAUSE: dict[Reason, str] = {
    "idle": "nobody uses it",
    "lifetime": "it has run as long as a container may",
}


class Notices:
    """What was told last, so that nothing is told twice."""

    def __init__(self, containers: ContainerService, bus: Bus) -> None:
        self._containers = containers
        self._bus = bus
        self._shown: dict[int, Clock] = {}

    def show(self, known: Known, rules: Rules, clock: Clock, now: datetime) -> None:
        """Show a container that runs, and warn of it where it was not warned of before."""
        ends = ends_of(rules, clock, now)
        end = ends[0] if ends else None
        self._put(
            known,
            clock,
            {
                "since": views.moment(clock.since),
                "stops_at": views.moment(end.at) if end else None,
                "kept_until": views.moment(clock.kept_until),
                "warned_at": views.moment(clock.warned_at),
                "stopped_at": None,
                "reason": end.reason if end else None,
            },
        )
        before, self._shown[known.cid] = self._shown.get(known.cid), clock
        if before is None or end is None or clock.warned_at is None:
            return
        if before.warned_at != clock.warned_at:
            text = f"{known.name} is stopped at {end.at:%H:%M} UTC, since {BECAUSE[end.reason]}."
            if end.reason == "idle":
                text += f" `pig container keep {known.name}` keeps it running."
            self._publish(known, "idle_warning", end.reason, text, stops_at=views.moment(end.at))

    def end(self, known: Known, clock: Clock) -> None:
        """Show a container that does not run, or is under no rules any more."""
        engine = self._containers.engines.containers.get(known.engine_id or "")
        if engine is None:
            return
        runs = engine.running
        by_rules = not runs and clock.stopped_at is not None
        self._put(known, clock, _stopped(clock) if by_rules else None)
        before, self._shown[known.cid] = self._shown.get(known.cid), clock
        if before is None or before.stopped_at is not None or clock.stopped_at is None:
            return
        if clock.reason is not None:
            text = f"{known.name} was stopped, since {BECAUSE[clock.reason]}."
            at = views.moment(clock.stopped_at)
            self._publish(known, "idle_stopped", clock.reason, text, stopped_at=at)

    def keep_only(self, cids: Container[int]) -> None:
        """Forget containers that are gone."""
        idle = self._containers.directory.idle
        for cid in [cid for cid in self._shown if cid not in cids]:
            del self._shown[cid]
            idle.pop(cid, None)

    # -- inside ----------------------------------------------------------------------------------

    def _put(self, known: Known, clock: Clock, item: IdleItem | None) -> None:
        idle = self._containers.directory.idle
        before = idle.get(known.cid)
        if item is None:
            idle.pop(known.cid, None)
        else:
            idle[known.cid] = item
        # How long it has been idle changes all the time, and nobody looks at that all the time.
        if _telling(before) != _telling(item) and known.engine_id is not None:
            self._containers.keeper.tell(known.engine_id)

    def _publish(
        self, known: Known, event: str, reason: Reason, text: str, **moments: str | None
    ) -> None:
        data: dict[str, Any] = {
            "event": event,
            "id": known.engine_id,
            "cid": known.cid,
            "name": known.name,
            "reason": reason,
            "message": text,
            **moments,
        }
        self._bus.publish(TOPIC, data, owner=known.owner)


def _stopped(clock: Clock) -> IdleItem:
    return {
        "since": None,
        "stops_at": None,
        "kept_until": None,
        "warned_at": None,
        "stopped_at": views.moment(clock.stopped_at),
        "reason": clock.reason,
    }


def _telling(item: IdleItem | None) -> object:
    return item and (item["kept_until"], item["warned_at"], item["stopped_at"])
