"""How fast passwords may be guessed: refused before a single one is hashed.

Three things together, and none of them ever locks an account:

* an address has ten wrong passwords a minute, over all accounts;
* an account and an address together wait after a wrong one, twice as long each time, up to a cap;
* one address has one password hashed at a time, so that it can't have a hundred wrong before the
  first is counted.

Who comes from an address where the account has logged in before is hashed apart from strangers
(`Lane`), so that guesses of a thousand addresses don't make people wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ..errors import RateLimited
from .networks import counted_as

V = TypeVar("V")

FREE = 3
"""Wrong passwords before the first wait: people mistype."""
LONGEST = 60.0
"""Seconds that an account and an address wait at most."""
FORGIVEN = 900.0
"""Seconds after which a wrong password is forgotten."""
WAITING = 8
"""Logins of one address that may wait for one another."""
REMEMBERED = 50_000


class FailureCounter(Protocol):
    """Counts wrong passwords by address, where several servers may share the count."""

    @property
    def counting(self) -> bool:
        """False where the administrator has lifted the limit."""

    async def full(self, address: str) -> float | None:
        """Return seconds until the next try passes, None where it does now."""

    async def count(self, address: str) -> None:
        """Count a wrong one."""


@dataclass(slots=True)
class _Wrong:
    """Wrong passwords of one account from one address."""

    count: int = 0
    last: float = 0.0

    def wait(self, now: float) -> float:
        """Return seconds until the next try passes; 0 where it does now."""
        if self.count < FREE or now - self.last > FORGIVEN:
            return 0.0
        pause = min(LONGEST, 2.0 ** (self.count - FREE))
        return max(0.0, self.last + pause - now)


@dataclass(slots=True)
class _Queue:
    """Logins of one address."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class LoginThrottle:
    """Lets a login pass, or says when it will.

    Parameters
    ----------
    failures
        The count by address.
    """

    def __init__(self, failures: FailureCounter) -> None:
        self._failures = failures
        self._wrong: _Bounded[_Wrong] = _Bounded()
        self._good: _Bounded[bool] = _Bounded()
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[Attempt]:
        """Wait for this address's other logins, then pass.

        Raises
        ------
        RateLimited
            Too many were wrong, of this address or of this account from it.
        """
        address = counted_as(address)
        # No name is longer; what is typed may be.
        key = f"{address} {account[:64]}"
        queue = self._queues.setdefault(address, _Queue())
        if queue.users >= WAITING:
            raise RateLimited(1, "Too many logins at once from your address. Try again.")
        queue.users += 1
        try:
            async with queue.lock:
                await self._check(key, address)
                attempt = Attempt(known=self._good.get(key) is not None)
                try:
                    yield attempt
                finally:
                    if attempt.right:
                        self._wrong.drop(key)
                        self._good.put(key, True)
                    elif attempt.right is False:
                        wrong = self._wrong.get(key) or _Wrong()
                        wrong.count, wrong.last = wrong.count + 1, time.monotonic()
                        self._wrong.put(key, wrong)
                        await self._failures.count(address)
        finally:
            queue.users -= 1
            if not queue.users:
                self._queues.pop(address, None)

    async def count(self, address: str) -> None:
        """Count something as dear as a wrong password of an address."""
        await self._failures.count(address)

    async def _check(self, key: str, address: str) -> None:
        if not self._failures.counting:
            return
        seconds = await self._failures.full(address)
        if seconds is not None:
            raise RateLimited(
                seconds,
                "Too many wrong passwords from your address. "
                f"Try again in {max(1, round(seconds))} s.",
            )
        wrong = self._wrong.get(key)
        seconds = wrong.wait(time.monotonic()) if wrong is not None else 0.0
        if seconds:
            raise RateLimited(
                seconds,
                "Too many wrong passwords for this account. "
                f"Try again in {max(1, round(seconds))} s.",
            )


@dataclass(slots=True)
class Attempt:
    """One try.

    Parameters
    ----------
    known
        The account has logged in from this address before.
    right
        How it went, to be set; None where no password was looked at.
    """

    known: bool
    right: bool | None = None


class _Bounded(Generic[V]):
    """A dictionary that forgets what was touched longest ago."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str) -> V | None:
        return self._items.get(key)

    def put(self, key: str, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > REMEMBERED:
            self._items.popitem(last=False)

    def drop(self, key: str) -> None:
        self._items.pop(key, None)
