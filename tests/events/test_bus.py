"""The bus: who sees what, what a slow reader costs, what can be heard again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.events import Bus, Event, Overflow, Subscription
from jupyter_ext.events import bus as module

ADMIN = Account("user-1", "admin", "admin")
ALICE = Account("user-2", "alice", "user")
BOB = Account("user-3", "bob", "user")


async def taken(subscription: Subscription, count: int) -> list[Any]:
    """Return the data of the next events."""
    return [(await asyncio.wait_for(anext(subscription), 5)).data for _ in range(count)]


def waiting(subscription: Subscription) -> list[Any]:
    """Return the data of what waits, without waiting."""
    found = []
    while (event := subscription.take()) is not None:
        found.append(event.data)
    return found


async def test_a_topic_reaches_those_who_asked_for_it() -> None:
    bus = Bus()
    both, one = bus.subscribe(ALICE, ["a", "b"]), bus.subscribe(ALICE, ["b"])
    bus.publish("a", 1)
    bus.publish("b", 2)
    bus.publish("c", 3)
    assert await taken(both, 2) == [1, 2]
    assert await taken(one, 1) == [2]


async def test_what_belongs_to_somebody_is_seen_by_them_and_administrators() -> None:
    bus = Bus()
    seen = {account.username: bus.subscribe(account, ["t"]) for account in (ADMIN, ALICE, BOB)}
    bus.publish("t", "alice's", owner=ALICE.id)
    bus.publish("t", "everybody's")
    assert waiting(seen["admin"]) == ["alice's", "everybody's"]
    assert waiting(seen["alice"]) == ["alice's", "everybody's"]
    assert waiting(seen["bob"]) == ["everybody's"]


async def test_ids_grow_by_one_and_name_the_boot() -> None:
    bus = Bus()
    first, second = bus.publish("t", 1), bus.publish("t", 2)
    assert first.id == f"{bus.boot}-1"
    assert second.id == bus.last_id == f"{bus.boot}-2"
    assert Bus().boot != bus.boot


async def test_a_reader_waits_until_something_happens() -> None:
    bus = Bus()
    subscription = bus.subscribe(ALICE, ["t"])
    reading = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    assert not reading.done()
    event = bus.publish("t", {"a": 1})
    assert await reading == event


async def test_a_newer_state_takes_the_place_of_an_older_one() -> None:
    bus = Bus()
    subscription = bus.subscribe(ALICE, ["t", "u"])
    bus.publish("t", "x1", key="x")
    bus.publish("t", "y1", key="y")
    bus.publish("t", "plain")
    bus.publish("u", "another topic's x", key="x")
    bus.publish("t", "x2", key="x")
    assert waiting(subscription) == ["y1", "plain", "another topic's x", "x2"]


async def test_a_state_that_was_taken_is_told_again_when_it_changes() -> None:
    bus = Bus()
    subscription = bus.subscribe(ALICE, ["t"])
    bus.publish("t", "x1", key="x")
    assert await taken(subscription, 1) == ["x1"]
    bus.publish("t", "x2", key="x")
    assert await taken(subscription, 1) == ["x2"]


async def test_what_is_for_one_alone_is_not_told_to_administrators() -> None:
    bus = Bus()
    admin, alice = (bus.subscribe(account, ["t"]) for account in (ADMIN, ALICE))
    bus.publish("t", "hers", owner=ALICE.id)
    bus.publish("t", "hers alone", owner=ALICE.id, alone=True)
    bus.publish("t", "the administrator's", owner=ADMIN.id, alone=True)
    assert waiting(admin) == ["hers", "the administrator's"]
    assert waiting(alice) == ["hers", "hers alone"]


async def test_a_reader_that_falls_behind_is_told_so_and_heard_of_no_more() -> None:
    bus = Bus()
    told: list[str] = []
    slow = bus.subscribe(ALICE, ["t"], limit=3, on_overflow=lambda: told.append("slow"))
    quick = bus.subscribe(ALICE, ["t"], limit=100)
    for number in range(10):
        bus.publish("t", number)
    await asyncio.sleep(0)
    assert told == ["slow"]
    with pytest.raises(Overflow):
        await anext(slow)
    assert waiting(quick) == list(range(10))
    quick.close()
    assert not bus.wanted("t")


async def test_states_alone_never_overflow_a_reader_of_few_things() -> None:
    bus = Bus()
    subscription = bus.subscribe(ALICE, ["t"], limit=2)
    for number in range(1000):
        bus.publish("t", number, key="x")
    assert waiting(subscription) == [999]


async def test_a_closed_subscription_ends_and_is_forgotten() -> None:
    bus = Bus()
    async with bus.subscribe(ALICE, ["t"]) as subscription:
        assert bus.wanted("t")
        reading = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
    assert not bus.wanted("t")
    with pytest.raises(StopAsyncIteration):
        await reading
    bus.publish("t", 1)
    assert [event async for event in subscription] == []


async def test_the_end_of_the_server_ends_all_after_what_waits() -> None:
    bus = Bus()
    subscription = bus.subscribe(ALICE, ["t"])
    bus.publish("t", "last words")
    bus.close()
    assert [event.data async for event in subscription] == ["last words"]
    assert [event async for event in bus.subscribe(ALICE, ["t"])] == []


async def test_what_was_missed_comes_before_what_comes() -> None:
    bus = Bus()
    seen = bus.publish("t", 0)
    bus.publish("t", 1)
    bus.publish("other", 2)
    bus.publish("t", "bob's", owner=BOB.id)
    subscription = bus.subscribe(ALICE, ["t"], after=seen.id)
    bus.publish("t", 3)
    assert waiting(subscription) == [1, 3]


async def test_nothing_missed_is_no_reset() -> None:
    bus = Bus()
    bus.publish("t", 0)
    assert waiting(bus.subscribe(ALICE, ["t"], after=bus.last_id)) == []


@pytest.mark.parametrize(
    "after",
    [
        "other-1",
        "{boot}-99",
        "{boot}-",
        "{boot}--1",
        "{boot}-x",
        "{boot}-²",
        "{boot}-" + "1" * 5000,
        "",
        "1",
        "-",
    ],
)
async def test_an_id_that_means_nothing_here_is_a_reset(after: str) -> None:
    bus = Bus()
    bus.publish("t", 0)
    subscription = bus.subscribe(ALICE, ["t"], after=after.format(boot=bus.boot))
    bus.publish("t", 1)
    events = [await anext(subscription), await anext(subscription)]
    assert [event.topic for event in events] == [module.RESET, "t"]
    # Whoever breaks off now resumes from here.
    assert events[0].id == f"{bus.boot}-1"


async def test_history_holds_so_many_events() -> None:
    bus = Bus(history=3)
    ids = [bus.publish("t", number).id for number in range(5)]
    assert bus.missed(ALICE, ["t"], ids[0]) is None
    missed = bus.missed(ALICE, ["t"], ids[1])
    assert missed is not None
    assert [event.data for event in missed] == [2, 3, 4]


async def test_history_goes_back_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        at = datetime(2026, 1, 1, tzinfo=UTC)

        @classmethod
        def now(cls, _: object) -> datetime:
            return cls.at

    monkeypatch.setattr(module, "datetime", Clock)
    bus = Bus(retention=60)
    ids = [bus.publish("t", number).id for number in range(2)]
    Clock.at += timedelta(seconds=61)
    bus.publish("t", 2)
    assert bus.missed(ALICE, ["t"], ids[0]) is None
    missed = bus.missed(ALICE, ["t"], ids[1])
    assert missed is not None
    assert [event.data for event in missed] == [2]


async def test_superseded_states_do_not_crowd_out_history() -> None:
    bus = Bus(history=3)
    first = bus.publish("t", "kept")
    second = bus.publish("t", "kept, too")
    for number in range(100):
        bus.publish("stats", number, key="alice", owner=ALICE.id)
    missed = bus.missed(ALICE, ["t", "stats"], first.id)
    assert missed is not None
    assert [event.data for event in missed] == ["kept, too", 99]
    assert [event.data for event in bus.missed(ALICE, ["t", "stats"], second.id) or ()] == [99]


async def test_a_thing_that_changes_hands_is_news_to_both() -> None:
    bus = Bus()
    alice = bus.subscribe(ALICE, ["t"])
    start = bus.last_id
    bus.publish("t", "removed", key="x", owner=ALICE.id)
    bus.publish("t", "changed", key="x", owner=BOB.id)
    assert waiting(alice) == ["removed"]
    assert [event.data for event in bus.missed(ALICE, ["t"], start) or ()] == ["removed"]
    assert [event.data for event in bus.missed(BOB, ["t"], start) or ()] == ["changed"]


async def test_publishing_costs_what_its_own_listeners_cost() -> None:
    """Ten thousand listeners of other topics change nothing."""
    bus = Bus()
    others = [bus.subscribe(ALICE, [f"topic-{number}"]) for number in range(10_000)]
    mine = bus.subscribe(ALICE, ["mine"], limit=20_000)
    for other in others:
        # Whoever looks at one of them fails.
        del other.account, other.topics
    for number in range(20_000):
        bus.publish("mine", number)
    assert len(waiting(mine)) == 20_000
    assert not any(waiting(other) for other in others)


async def test_who_hears_of_nothing_hears_the_end() -> None:
    bus = Bus()
    deaf = bus.subscribe(ALICE, [])
    bus.publish("t", 1)
    bus.close()
    assert [event async for event in deaf] == []
    deaf.close()


def test_an_event_knows_its_slot() -> None:
    at = datetime.now(UTC)
    state = Event("b-1", "t", {}, None, at, key="x")
    assert state.slot == Event("b-2", "t", {"new": 1}, None, at, key="x").slot
    assert Event("b-1", "t", {}, None, at).slot != Event("b-2", "t", {}, None, at).slot
