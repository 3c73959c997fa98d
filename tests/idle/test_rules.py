"""The decision: a function of what was measured and of the rules alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jupyter_ext.idle.rules import (
    Clock,
    Rules,
    Step,
    Use,
    ends_of,
    merged,
    next_step,
    observed,
    used,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
GAP = timedelta(minutes=2)
EASY = settings(
    # A busy machine is no finding, and a folder of examples would stay behind.
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

lengths = st.timedeltas(MINUTE, timedelta(days=2))
rules = st.builds(
    Rules,
    idle=st.none() | lengths,
    lifetime=st.none() | lengths,
    warning=st.timedeltas(timedelta(), HOUR),
    keep=st.none() | lengths,
)
uses = st.sampled_from(Use)


@st.composite
def clocks(draw: st.DrawFn) -> tuple[Clock, datetime]:
    """Draw a clock that can be, and a moment at which it is looked at."""
    since = START + draw(st.timedeltas(timedelta(), timedelta(days=1)))
    seen = since + draw(st.timedeltas(timedelta(), timedelta(days=1)))
    now = seen + draw(st.timedeltas(timedelta(), timedelta(days=1)))
    kept = draw(st.none() | st.timedeltas(timedelta(), timedelta(days=3)))
    warned = draw(st.none() | st.timedeltas(timedelta(), now - START))
    clock = Clock(
        START,
        since,
        seen,
        None if kept is None else START + kept,
        None if warned is None else START + warned,
    )
    return clock, now


@EASY
@given(rules, clocks(), uses)
def test_what_is_not_known_to_be_idle_is_never_stopped_as_idle(
    rules: Rules, at: tuple[Clock, datetime], use: Use
) -> None:
    step, end = next_step(rules, *at[:1], use, at[1])
    if step in (Step.WARN, Step.STOP):
        assert end is not None
        assert end.reason == "lifetime" or use is Use.QUIET


@EASY
@given(rules, clocks(), uses)
def test_a_stop_has_its_reason(rules: Rules, at: tuple[Clock, datetime], use: Use) -> None:
    clock, now = at
    step, end = next_step(rules, clock, use, now)
    if step is not Step.STOP:
        return
    assert end is not None
    assert now >= end.at
    if end.reason == "idle":
        assert rules.idle is not None
        assert now - clock.since >= rules.idle
        assert clock.kept_until is None or now >= clock.kept_until
    else:
        assert rules.lifetime is not None
        assert now - clock.started_at >= rules.lifetime
    if end.lead:
        # The warning came, and so long ago as it must.
        assert clock.warned_at is not None
        assert now - clock.warned_at >= end.lead


@EASY
@given(rules, clocks(), uses)
def test_nothing_is_done_without_rules(rules: Rules, at: tuple[Clock, datetime], use: Use) -> None:
    assume(not rules.any)
    assert next_step(rules, *at[:1], use, at[1])[0] in (Step.NOTHING, Step.CALM)
    assert ends_of(rules, *at) == []


@EASY
@given(rules, clocks(), uses)
def test_a_warning_stays_or_is_taken_back_never_repeated(
    rules: Rules, at: tuple[Clock, datetime], use: Use
) -> None:
    step, _ = next_step(rules, *at[:1], use, at[1])
    assert step is not (Step.CALM if at[0].warned_at is None else Step.WARN)


@EASY
@given(clocks(), uses)
def test_no_measure_moves_a_clock_back_or_beyond_now(at: tuple[Clock, datetime], use: Use) -> None:
    clock, now = at
    after = observed(clock, use, now, GAP)
    assert clock.since <= after.since <= now
    assert clock.seen_at <= after.seen_at <= now
    if use is Use.BUSY:
        assert after.since == now
    if use is Use.UNKNOWN:
        assert after == clock


@EASY
@given(st.lists(st.tuples(uses, st.timedeltas(timedelta(seconds=1), HOUR)), max_size=60))
def test_idle_time_is_what_was_measured_as_idle(looks: list[tuple[Use, timedelta]]) -> None:
    clock, now, seen, measured = Clock(START, START, START), START, START, timedelta()
    for use, pause in looks:
        now += pause
        if use is Use.BUSY:
            measured = timedelta()
        elif use is Use.QUIET and now - seen <= GAP:
            measured += now - seen
        if use is not Use.UNKNOWN:
            seen = now
        clock = observed(clock, use, now, GAP)
        assert clock.seen_at - clock.since == measured


@EASY
@given(clocks(), st.timedeltas(-HOUR, HOUR))
def test_use_in_the_future_is_use_now(at: tuple[Clock, datetime], off: timedelta) -> None:
    clock, now = at
    assert clock.since <= used(clock, now + off, now).since <= now


@EASY
@given(clocks(), clocks())
def test_servers_agree_whoever_is_asked_first(
    one: tuple[Clock, datetime], two: tuple[Clock, datetime]
) -> None:
    a, b, now = one[0], two[0], max(one[1], two[1])
    ab, ba = merged(START, now, a, b), merged(START, now, b, a)
    assert (ab.since, ab.seen_at) == (ba.since, ba.seen_at)
    assert (ab.kept_until, ab.warned_at) == (b.kept_until, b.warned_at)
    # Another start is another clock.
    assert merged(now, now, a, b) == Clock(now, now, now) or now == START


@pytest.mark.parametrize(
    ("minutes", "use", "step"),
    [
        (49, Use.QUIET, Step.NOTHING),
        (50, Use.QUIET, Step.WARN),
        (50, Use.UNKNOWN, Step.NOTHING),
        (600, Use.QUIET, Step.WARN),
    ],
)
def test_it_is_warned_of_before_it_is_stopped(minutes: int, use: Use, step: Step) -> None:
    clock = Clock(START, START, START)
    now = START + minutes * MINUTE
    assert next_step(Rules(idle=HOUR), clock, use, now)[0] is step


def test_what_runs_too_long_ends_though_it_is_used() -> None:
    now = START + 3 * HOUR
    clock = Clock(START, now, now, kept_until=now + HOUR, warned_at=now - HOUR)
    step, end = next_step(Rules(idle=HOUR, lifetime=2 * HOUR), clock, Use.BUSY, now)
    assert step is Step.STOP
    assert end is not None
    assert end.reason == "lifetime"


def test_a_lifetime_ends_also_where_idleness_is_not_known() -> None:
    now = START + 3 * HOUR
    clock = Clock(START, START, START, warned_at=now - HOUR)
    step, end = next_step(Rules(idle=HOUR, lifetime=2 * HOUR), clock, Use.UNKNOWN, now)
    assert step is Step.STOP
    assert end is not None
    assert end.reason == "lifetime"


def test_without_a_warning_it_is_stopped_at_once() -> None:
    now = START + HOUR
    clock = Clock(START, START, now)
    bare = Rules(idle=HOUR, warning=timedelta())
    assert next_step(bare, clock, Use.QUIET, now)[0] is Step.STOP
    assert next_step(bare, clock, Use.QUIET, now - MINUTE)[0] is Step.NOTHING
