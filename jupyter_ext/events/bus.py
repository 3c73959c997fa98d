"""The bus: whoever publishes never waits, and a slow reader harms nobody but itself.

An event that has a key is a state: a newer one of the same topic and key takes its place, in the
queue of a reader who has not yet taken it and in the history alike. A reader that falls behind all
the same is told so (`Overflow`) and starts anew.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..accounts.schemas import Account

HISTORY_EVENTS = 10_000
QUEUE_EVENTS = 5_000
"""An engine that comes back tells of all its containers at once; a reader may be that far behind.
"""
RESET = "reset"
"""Topic of the event that says: what you missed is not known any more, ask for the state anew."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    id
        ``<boot>-<number>``: the numbers of one boot grow by one.
    owner
        Account id of whom it concerns; None concerns everybody. Administrators see all.
    key
        Of a state that a newer event replaces.
    alone
        Whether administrators don't see it: they are told in other words.
    """

    id: str
    topic: str
    data: Any
    owner: str | None
    at: datetime
    key: str | None = None
    alone: bool = False

    def visible_to(self, account: Account) -> bool:
        """Whether `account` may see it."""
        if self.owner is None or self.owner == account.id:
            return True
        return account.is_admin and not self.alone

    @property
    def slot(self) -> object:
        """What two events share of which the newer makes the older worthless."""
        return self.id if self.key is None else (self.topic, self.key, self.owner)


class Overflow(Exception):
    """The reader was too slow: its queue is full of events that can't be dropped."""


class Subscription:
    """An async iterator of the events that one account asked for; close it in the end."""

    def __init__(
        self,
        bus: Bus,
        account: Account,
        topics: frozenset[str],
        limit: int,
        on_overflow: Callable[[], object] | None,
    ) -> None:
        self._bus = bus
        self.account = account
        self.topics = topics
        self._limit = limit
        self._on_overflow = on_overflow
        self._waiting: OrderedDict[object, Event] = OrderedDict()
        self._ready = asyncio.Event()
        self._overflown = False
        self._closed = False

    def offer(self, event: Event) -> None:
        """Take an event that the account may see."""
        if self._closed or self._overflown:
            return
        # The newer state goes to the end: order of events is kept, only the older state is left
        # out.
        self._waiting.pop(event.slot, None)
        if len(self._waiting) >= self._limit:
            self._overflow()
        else:
            self._waiting[event.slot] = event
        self._ready.set()

    def _overflow(self) -> None:
        # What waits is in the history as well, where whoever resumes finds it.
        self._waiting.clear()
        self._overflown = True
        self._bus.forget(self)
        if self._on_overflow is not None:
            # Not from inside of `publish`, which must never fail.
            asyncio.get_running_loop().call_soon(self._on_overflow)

    def take(self) -> Event | None:
        """Return the next event if one waits."""
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def close(self) -> None:
        """End the iteration."""
        self._closed = True
        self._waiting.clear()
        self._bus.forget(self)
        self._ready.set()

    def end(self) -> None:
        """End the iteration after what waits already."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event.

        Raises
        ------
        Overflow
            The reader was too slow.
        """
        while not self._waiting:
            if self._overflown:
                raise Overflow
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popitem(last=False)[1]

    async def __aenter__(self) -> Subscription:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class Bus:
    """Hands events to those who may see them, and remembers them for a while.

    Parameters
    ----------
    retention
        Seconds that history goes back, at most.
    history
        Events that history holds, at most.
    """

    def __init__(self, *, retention: float = 3600.0, history: int = HISTORY_EVENTS) -> None:
        self.boot = secrets.token_hex(4)
        self._number = 0
        self._retention = timedelta(seconds=retention)
        self._capacity = history
        self._history: OrderedDict[object, tuple[int, Event]] = OrderedDict()
        # The newest event that history had to let go of, but for superseded states, which nobody
        # misses.
        self._forgotten = 0
        self._subscriptions: dict[str, dict[Subscription, None]] = {}
        self._all: set[Subscription] = set()
        self._closed = False

    @property
    def last_id(self) -> str:
        """Id of the newest event."""
        return f"{self.boot}-{self._number}"

    def publish(
        self,
        topic: str,
        data: Any,
        *,
        owner: str | None = None,
        key: str | None = None,
        alone: bool = False,
    ) -> Event:
        """Tell everybody whom it concerns. On the loop, at once, without waiting for anybody.

        Parameters
        ----------
        data
            JSON; not changed afterwards by anybody.
        owner, key, alone
            As in `Event`.
        """
        self._number += 1
        event = Event(self.last_id, topic, data, owner, datetime.now(UTC), key, alone)
        self._remember(event)
        for subscription in tuple(self._subscriptions.get(topic, ())):
            if event.visible_to(subscription.account):
                subscription.offer(event)
        return event

    def _remember(self, event: Event) -> None:
        history = self._history
        history.pop(event.slot, None)
        history[event.slot] = (self._number, event)
        oldest = event.at - self._retention
        while history:
            number, first = next(iter(history.values()))
            if len(history) <= self._capacity and first.at >= oldest:
                break
            history.popitem(last=False)
            self._forgotten = number

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens: what is costly to know need not be published otherwise."""
        return bool(self._subscriptions.get(topic))

    def subscribe(
        self,
        account: Account,
        topics: Collection[str],
        *,
        after: str | None = None,
        limit: int = QUEUE_EVENTS,
        on_overflow: Callable[[], object] | None = None,
    ) -> Subscription:
        """Listen from now on, or from after an event that the caller has seen.

        Parameters
        ----------
        after
            Id of the last event seen. Where history does not reach back to it (another boot, too
            long ago), the first event is of topic ``reset``.
        limit
            Events that may wait for the reader.
        on_overflow
            Called once when more would have to wait: a reader that does not read never gets as far
            as `Overflow`.
        """
        subscription = Subscription(self, account, frozenset(topics), limit, on_overflow)
        self._all.add(subscription)
        for topic in subscription.topics:
            self._subscriptions.setdefault(topic, {})[subscription] = None
        if after is not None:
            missed = self.missed(account, subscription.topics, after)
            for event in [self._reset()] if missed is None else missed:
                subscription.offer(event)
        if self._closed:
            subscription.end()
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Stop handing events to a subscription."""
        self._all.discard(subscription)
        for topic in subscription.topics:
            listeners = self._subscriptions.get(topic)
            if listeners is not None:
                listeners.pop(subscription, None)
                if not listeners:
                    del self._subscriptions[topic]

    def close(self) -> None:
        """End every subscription, those to come included: the server stops."""
        self._closed = True
        for subscription in tuple(self._all):
            subscription.end()

    def missed(self, account: Account, topics: Collection[str], after: str) -> list[Event] | None:
        """Return what came after an event, oldest first; None where history does not reach it."""
        seen = self._number_of(after)
        if seen is None or seen < self._forgotten:
            return None
        found: list[Event] = []
        for number, event in reversed(self._history.values()):
            if number <= seen:
                break
            if event.topic in topics and event.visible_to(account):
                found.append(event)
        found.reverse()
        return found

    def _number_of(self, event_id: str) -> int | None:
        boot, _, number = event_id.partition("-")
        # Longer ones are none of ours, and numbers of a million digits take long to read.
        if boot != self.boot or not (number.isascii() and number.isdecimal()) or len(number) > 18:
            return None
        return int(number) if int(number) <= self._number else None

    def _reset(self) -> Event:
        return Event(self.last_id, RESET, {}, None, datetime.now(UTC))
