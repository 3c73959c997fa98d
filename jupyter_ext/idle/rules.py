"""When a container is warned of and stopped: functions of what was measured and of the rules alone.

Time counts as idle only where it was measured and nothing was above a threshold. What was not
measured, while the server was down or the engine away, moves the clock on instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from ..accounts.quota_limits import Ruling

Reason = Literal["idle", "lifetime"]

NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts for a container's owner.

    Parameters
    ----------
    idle
        How long it may be without use; None is for ever.
    lifetime
        How long it may run, used or not; None is for ever.
    warning
        How long before a stop it is warned of.
    keep
        How long a stop may be postponed at once; None is as long as one likes.
    """

    idle: timedelta | None = None
    lifetime: timedelta | None = None
    warning: timedelta = timedelta(minutes=10)
    keep: timedelta | None = timedelta(hours=24)

    @classmethod
    def of(cls, rulings: Mapping[str, Ruling]) -> Rules:
        """Read what is set."""

        def length(name: str) -> timedelta | None:
            seconds = rulings[name].amount
            return None if seconds is None else timedelta(seconds=seconds)

        return cls(
            length("idle_minutes"),
            length("lifetime_minutes"),
            length("idle_warning_minutes") or NOTHING,
            length("keep_minutes"),
        )

    @property
    def any(self) -> bool:
        """Whether they ever stop anything."""
        return self.idle is not None or self.lifetime is not None


class Use(Enum):
    """What was measured of a container."""

    BUSY = "busy"
    QUIET = "quiet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Clock:
    """What is remembered of a container that runs.

    Parameters
    ----------
    started_at
        Its start, as the engine tells it; another one is another clock.
    since
        From when it counts as idle; what was before the first look was not measured.
    seen_at
        When it was last measured.
    kept_until
        Before which it is not stopped as idle.
    warned_at
        When its owner was last warned, None where there is no reason to.
    stopped_at, reason
        When and why it was stopped by the rules.
    """

    started_at: datetime
    since: datetime
    seen_at: datetime
    kept_until: datetime | None = None
    warned_at: datetime | None = None
    stopped_at: datetime | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class End:
    """When a container is to be stopped, why, and how long before it is warned of."""

    at: datetime
    reason: Reason
    lead: timedelta


class Step(Enum):
    """What is to be done now."""

    NOTHING = "nothing"
    CALM = "calm"
    """There is no reason any more to warn of it."""
    WARN = "warn"
    STOP = "stop"


def merged(started_at: datetime, now: datetime, *known: Clock | None) -> Clock:
    """Return the clock of a start from what is remembered of it in several places.

    Measures only ever move a clock on, so the latest counts, whoever took it; of all else the last
    one counts that is given.
    """
    same = [clock for clock in known if clock is not None and clock.started_at == started_at]
    if not same:
        return Clock(started_at, now, now)
    return replace(
        same[-1],
        since=max(clock.since for clock in same),
        seen_at=max(clock.seen_at for clock in same),
    )


def observed(clock: Clock, use: Use, now: datetime, longest_gap: timedelta) -> Clock:
    """Take in a measure.

    Parameters
    ----------
    longest_gap
        Between two measures, beyond which the time between them was not measured.
    """
    if use is Use.UNKNOWN:
        return clock
    if use is Use.BUSY:
        return replace(clock, since=max(clock.since, now), seen_at=max(clock.seen_at, now))
    gap = now - clock.seen_at
    missed = gap if gap > longest_gap else NOTHING
    since = max(clock.since, min(clock.since + missed, now))
    return replace(clock, since=since, seen_at=max(clock.seen_at, now))


def used(clock: Clock, at: datetime, now: datetime) -> Clock:
    """Take in that it was used at a moment; one in the future is none."""
    return replace(clock, since=max(clock.since, min(at, now)))


def ends_of(rules: Rules, clock: Clock, now: datetime) -> list[End]:
    """Return when a container is to be stopped as things are, the first end first.

    Nobody is stopped without the whole warning: where rules were made stricter, or the server was
    away, the end comes later.
    """
    ends: list[End] = []
    if rules.idle is not None:
        idle = clock.since + rules.idle
        kept = idle if clock.kept_until is None else max(idle, clock.kept_until)
        ends.append(End(kept, "idle", min(rules.warning, rules.idle / 2)))
    if rules.lifetime is not None:
        over = clock.started_at + rules.lifetime
        ends.append(End(over, "lifetime", min(rules.warning, rules.lifetime / 2)))
    warned = clock.warned_at or now
    moved = [replace(end, at=max(end.at, warned + end.lead)) for end in ends]
    return sorted(moved, key=lambda end: end.at)


def next_step(rules: Rules, clock: Clock, use: Use, now: datetime) -> tuple[Step, End | None]:
    """Say what is to be done now, and the end that it is about."""
    near = [end for end in ends_of(rules, clock, now) if now >= end.at - end.lead]
    if not near:
        return (Step.NOTHING if clock.warned_at is None else Step.CALM), None
    # What is not known to be idle runs on, and a warning of it stays.
    for end in near:
        if end.reason == "idle" and use is not Use.QUIET:
            continue
        if end.lead and clock.warned_at is None:
            return Step.WARN, end
        return (Step.STOP if now >= end.at else Step.NOTHING), end
    return Step.NOTHING, None
