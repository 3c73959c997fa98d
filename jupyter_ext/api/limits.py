"""How many requests a credential may send, counted by `limits` in memory or in Redis."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..accounts.networks import counted_as
from ..accounts.schemas import Credential
from .dialects import Dialect, RateLimit

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import MovingWindowRateLimiter

MEMORY = "memory://"
LOGINS = "logins"
"""What wrong passwords are counted under, and configured."""
LOGIN_LIMIT = RateLimit(10, 60, by_address=True)

Ask = Callable[[Any, str, str], Awaitable[tuple[bool, float, int]]]
STORAGE_SECONDS = 1.0
"""That Redis may take to count a request."""
RETRY_SECONDS = 10.0
"""That a Redis that failed is left alone, while this server counts by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a limit.

    Parameters
    ----------
    limit, remaining
        Requests in a window; a burst beyond them is not shown.
    reset
        When the window is over, in seconds since the epoch.
    passes
        Whether this request does.
    """

    limit: int
    remaining: int
    reset: float
    passes: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """As the documents name them."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.reset)),
        }

    @property
    def retry_after(self) -> float | None:
        """Seconds until the next request passes; None where this one does."""
        return None if self.passes else max(1.0, self.reset - time.time())


class RateLimiter:
    """Counts by dialect, and by credential or address.

    Parameters
    ----------
    configured
        By name of the dialect, over the documented limits: ``{"piglet": {"amount": 100, "seconds":
        60, "burst": 20}}``. An `amount` of 0 is no limit.
    storage
        ``memory://`` or ``redis://…``, which servers can share. While Redis does not answer, each
        server counts by itself.

    Raises
    ------
    ValueError
        The configuration can't be meant so.
    """

    def __init__(
        self,
        configured: Mapping[str, Mapping[str, Any]],
        storage: str,
        dialects: Sequence[Dialect],
    ) -> None:
        self._address = checked_storage(storage)
        self._limits = merged_limits(configured, dialects)
        self._starting: asyncio.Future[None] | None = None
        self._local: MovingWindowRateLimiter | None = None
        self._shared: MovingWindowRateLimiter | None = None
        self._shared_again = 0.0

    @cached_property
    def _items(self) -> dict[str, RateLimitItem]:
        from limits import RateLimitItemPerSecond

        return {
            name: RateLimitItemPerSecond(limit.amount + limit.burst, limit.seconds)
            for name, limit in self._limits.items()
        }

    async def hit(self, dialect: Dialect, credential: Credential, address: str) -> Left | None:
        """Count a request.

        Returns
        -------
        Left or None
            None where nothing limits it.
        """
        limit = self._limits[dialect.name]
        if not credential.limited or limit.amount <= 0:
            return None
        by_address = limit.by_address or credential.kind == "anonymous"
        who = f"ip:{counted_as(address)}" if by_address else credential.id
        passes, reset, remaining = await self._anywhere(self._count, dialect.name, who)
        return Left(limit.amount, max(0, remaining - limit.burst), reset, passes)

    @property
    def counting(self) -> bool:
        """Whether wrong passwords are limited."""
        return self._limits[LOGINS].amount > 0

    # -- wrong passwords: the count that `LoginThrottle` asks for ----------------------------------

    async def full(self, address: str) -> float | None:
        """Return seconds until this address may try the next password; None where it may now."""
        passes, reset, _ = await self._anywhere(self._look, LOGINS, f"ip:{counted_as(address)}")
        return None if passes else max(1.0, reset - time.time())

    async def count(self, address: str) -> None:
        """Count a wrong password of an address."""
        await self._anywhere(self._count, LOGINS, f"ip:{counted_as(address)}")

    # -- inside ------------------------------------------------------------------------------------

    async def _look(self, strategy: Any, name: str, who: str) -> tuple[bool, float, int]:
        item = self._items[name]
        if item.amount <= 0:
            return True, 0.0, 0
        passes = await strategy.test(item, name, who)
        reset, remaining = await strategy.get_window_stats(item, name, who)
        return passes, reset, remaining

    async def _anywhere(self, ask: Ask, name: str, who: str) -> tuple[bool, float, int]:
        """Ask Redis where it is and answers, and this server's own memory otherwise."""
        if self._local is None:
            await self.start()
        if self._shared is not None and time.monotonic() >= self._shared_again:
            counted = await self._shared_or_none(ask, self._shared, name, who)
            if counted is not None:
                return counted
        return await ask(self._local, name, who)

    async def _count(self, strategy: Any, name: str, who: str) -> tuple[bool, float, int]:
        item = self._items[name]
        passes = await strategy.hit(item, name, who)
        reset, remaining = await strategy.get_window_stats(item, name, who)
        return passes, reset, remaining

    async def _shared_or_none(
        self, ask: Ask, strategy: MovingWindowRateLimiter, name: str, who: str
    ) -> tuple[bool, float, int] | None:
        from limits.errors import StorageError

        try:
            async with asyncio.timeout(STORAGE_SECONDS):
                return await ask(strategy, name, who)
        except (StorageError, OSError, TimeoutError) as error:
            # A counter that is down must not take everything else down with it.
            _log.warning("Requests are counted by this server alone: Redis failed (%s)", error)
            self._shared_again = time.monotonic() + RETRY_SECONDS
            return None

    async def start(self) -> None:
        """Get ready; the first request does so otherwise."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)

    async def close(self) -> None:
        """Let go of Redis."""
        if self._shared is not None:
            storage: Any = self._shared.storage
            self._shared = None
            # The library has no word for it; its client has.
            await storage.bridge.get_connection().aclose()

    async def _start(self) -> None:
        # The library takes a tenth of a second to import: not on the loop, and not before somebody
        # is counted.
        with ThreadPoolExecutor(1, "jupyter_ext-import") as thread:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(thread, import_module, "limits.aio.strategies")
            await loop.run_in_executor(thread, import_module, f"{__package__}.windows")
        from limits.aio.strategies import MovingWindowRateLimiter

        from .windows import MemoryWindows

        if not self._address.startswith("memory:"):
            self._shared = self._redis()
        self._local = MovingWindowRateLimiter(MemoryWindows())

    def _redis(self) -> MovingWindowRateLimiter | None:
        from limits.aio.strategies import MovingWindowRateLimiter
        from limits.errors import ConfigurationError
        from limits.storage import storage_from_string

        try:
            storage = storage_from_string(
                f"async+{self._address}",
                wrap_exceptions=True,
                implementation="redispy",
                socket_timeout=STORAGE_SECONDS,
                socket_connect_timeout=STORAGE_SECONDS,
            )
        except (ConfigurationError, ValueError) as error:
            _log.error(
                "Requests are counted by this server alone, not in %s: %s. "
                "Is the extra installed? `pip install 'jupyter-ext[redis]'`",
                self._address.rpartition("@")[2],
                error,
            )
            return None
        return MovingWindowRateLimiter(storage)


def checked_storage(address: str) -> str:
    """Return an address that requests can be counted at.

    Raises
    ------
    ValueError
        It is none; the text names the trait.
    """
    if not address.startswith(("memory:", "redis")):
        raise ValueError(f"rate_limit_storage: {address!r} is neither memory:// nor redis://…")
    return address


def merged_limits(
    configured: Mapping[str, Any], dialects: Sequence[Dialect]
) -> dict[str, RateLimit]:
    """Return the limit of each dialect: what is configured over what is documented.

    Raises
    ------
    ValueError
        The configuration can't be meant so; the text names the trait, the dialect and the part.
    """
    names = [*(dialect.name for dialect in dialects), LOGINS]
    if unknown := set(configured) - set(names):
        raise ValueError(
            f"rate_limits: nothing is called {min(map(str, unknown))!r}, only {', '.join(names)}"
        )
    documented = {dialect.name: dialect.limit for dialect in dialects} | {LOGINS: LOGIN_LIMIT}
    return {
        name: _merged(name, limit, configured.get(name, {})) for name, limit in documented.items()
    }


def _merged(name: str, documented: RateLimit, configured: Any) -> RateLimit:
    if not isinstance(configured, Mapping):
        raise ValueError(f"rate_limits: {name} can't be {configured!r}, only a dictionary")
    known = {field.name: getattr(documented, field.name) for field in fields(RateLimit)}
    for part, value in configured.items():
        if part not in known:
            raise ValueError(f"rate_limits: {name} has no {part!r}, only {', '.join(known)}")
        number = type(value) is int and value >= (1 if part == "seconds" else 0)
        if not (isinstance(value, bool) if part == "by_address" else number):
            raise ValueError(f"rate_limits: {part} of {name} can't be {value!r}")
    return RateLimit(**{**known, **configured})
