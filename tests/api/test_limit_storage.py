"""Where requests are counted: in memory, in Redis, and what happens when Redis is gone."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from jupyter_ext.accounts.schemas import Account, Credential
from jupyter_ext.api import limits as module
from jupyter_ext.api.dialects import DIALECTS, PIGLET
from jupyter_ext.api.limits import RateLimiter
from jupyter_ext.api.windows import MemoryWindows

from ..engines import redis, scratch
from ..engines.steps import at_once

ALICE = Credential("key:1", "api-key", Account("user-2", "alice", "user"), limited=True)
FOUR = {"piglet": {"amount": 3, "burst": 1, "seconds": 60}}


async def passes(limiter: RateLimiter, count: int) -> list[bool]:
    """Count requests; whether each passed."""
    found = []
    for _ in range(count):
        left = await limiter.hit(PIGLET, ALICE, "127.0.0.1")
        assert left is not None
        found.append(left.passes)
    return found


@pytest.fixture(scope="module")
def counter() -> Iterator[redis.Redis]:
    """A Redis."""
    with redis.redis() as running:
        yield running


async def test_servers_that_share_a_redis_count_together(counter: redis.Redis) -> None:
    one, other = (RateLimiter(FOUR, counter.url, DIALECTS) for _ in range(2))
    assert await passes(one, 2) == [True, True]
    assert await passes(other, 3) == [True, True, False]
    left = await one.hit(PIGLET, ALICE, "127.0.0.1")
    assert left is not None
    assert (left.passes, left.limit, left.remaining) == (False, 3, 0)
    assert time.time() < left.reset <= time.time() + 61
    for limiter in (one, other):
        await limiter.close()


async def test_a_redis_that_ends_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    with redis.redis() as doomed:
        limiter = RateLimiter(FOUR, doomed.url, DIALECTS)
        assert await passes(limiter, 1) == [True]
        doomed.stop()
        with caplog.at_level(logging.WARNING):
            # By itself the server counts from none.
            assert await passes(limiter, 5) == [True, True, True, True, False]
        assert "by this server alone" in caplog.text
        await limiter.close()


async def test_a_redis_that_hangs_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 3600)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = scratch.free_port()
    async with await asyncio.start_server(hang, "127.0.0.1", port):
        limiter = RateLimiter(FOUR, f"redis://127.0.0.1:{port}/0", DIALECTS)
        await limiter.start()
        with caplog.at_level(logging.WARNING):
            assert all(await passes(limiter, 1))
        assert "by this server alone" in caplog.text
        passing = [at_once(limiter.hit(PIGLET, ALICE, "127.0.0.1")) for _ in range(7)]
        assert [left.passes for left in passing if left] == [True] * 3 + [False] * 4
        await limiter.close()


@pytest.mark.parametrize(
    ("configured", "storage", "said"),
    [
        ({"piglt": {"amount": 1}}, "memory://", "piglt"),
        ({"piglet": {"amont": 1}}, "memory://", "amont"),
        ({"piglet": {"amount": -1}}, "memory://", "-1"),
        ({"piglet": {"amount": "many"}}, "memory://", "many"),
        ({"piglet": {"amount": True}}, "memory://", "True"),
        ({"piglet": 100}, "memory://", "100"),
        ({"piglet": {"seconds": 0}}, "memory://", "seconds"),
        ({"piglet": {"by_address": 1}}, "memory://", "by_address"),
        ({}, "memcached://127.0.0.1", "memcached"),
    ],
)
def test_what_can_not_be_meant_so_is_refused_by_name(
    configured: dict[str, dict[str, object]], storage: str, said: str
) -> None:
    with pytest.raises(ValueError, match="rate_limit") as refused:
        RateLimiter(configured, storage, DIALECTS)
    assert said in str(refused.value)


class TestMemoryWindows:
    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1_000_000.0]
        monkeypatch.setattr("jupyter_ext.api.windows.time.time", lambda: now[0])
        return now

    async def test_a_window_moves(self, now: list[float]) -> None:
        windows = MemoryWindows()
        assert [await windows.acquire_entry("a", 2, 10) for _ in range(3)] == [True, True, False]
        now[0] += 5
        assert await windows.get_moving_window("a", 2, 10) == (1_000_000.0, 2)
        now[0] += 5
        assert await windows.get_moving_window("a", 2, 10) == (now[0], 0)
        assert await windows.acquire_entry("a", 2, 10)
        now[0] += 1
        assert await windows.acquire_entry("a", 2, 10)
        assert not await windows.acquire_entry("a", 2, 10)

    async def test_whoever_is_gone_is_forgotten(self, now: list[float]) -> None:
        windows = MemoryWindows()
        for number in range(1000):
            await windows.acquire_entry(f"address-{number}", 2, 10)
        assert len(windows) == 1000
        now[0] += 120
        await windows.acquire_entry("another", 2, 10)
        assert len(windows) == 1
        await windows.clear("another")
        assert await windows.reset() == 0


async def test_counting_is_cheap_however_many_are_counted() -> None:
    limiter = RateLimiter({}, "memory://", DIALECTS)
    await limiter.start()
    everybody = [
        Credential(f"key:{number}", "api-key", ALICE.account, limited=True)
        for number in range(2_000)
    ]

    tasks, threads = asyncio.all_tasks(), threading.active_count()
    for credential in everybody:
        # The library's own storage starts a task and calls a thread for each.
        assert at_once(limiter.hit(PIGLET, credential, "127.0.0.1"))
    assert asyncio.all_tasks() == tasks
    assert threading.active_count() == threads
