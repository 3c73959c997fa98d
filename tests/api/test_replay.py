"""A keyed request whose act was done, or failed, just when the store went away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from jupyter_ext.errors import NotFound
from jupyter_ext.operations import IdempotencyKeys
from jupyter_ext.store import Store, database
from jupyter_ext.store.leases import ServerLease

from ..engines.stores import gone
from ..store.test_database import reopened
from .house import House


class Outage:
    """A store that goes away when told, and everything that is kept in it."""

    def __init__(self, store: Store, lease: ServerLease, house: House) -> None:
        self.store = store
        self.keys = IdempotencyKeys(store, lease)
        self.stack = ExitStack()
        self.house = house
        self.serve(self.keys)

    def begin(self) -> None:
        self.stack.enter_context(gone(self.store.url))

    def end(self) -> None:
        self.stack.close()

    def serve(self, keys: IdempotencyKeys) -> None:
        """Let the house answer as another server would."""
        object.__setattr__(self.house.services, "idempotency", keys)


@pytest.fixture
def outage(
    house: House,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> Iterator[Outage]:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    run = jp_asyncio_loop.run_until_complete
    own = run(reopened(store))
    lease = ServerLease(own)
    run(lease.start())
    made = Outage(own, lease, house)
    yield made
    made.end()
    run(lease.stop())
    run(own.close())


async def post(url: str) -> httpx.Response:
    headers = {"X-API-Key": "jx_alice", "Idempotency-Key": "k"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        return await http.post(f"{url}/things", json={})


async def test_what_was_done_is_answered_and_not_done_again(
    house: House,
    outage: Outage,
    url: str,
    lease: ServerLease,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    acts: list[int] = []

    async def act() -> dict[str, int]:
        acts.append(len(acts) + 1)
        outage.begin()
        return {"number": acts[-1]}

    house.stage.act = act
    first = await post(url)
    assert (first.status_code, first.json()["number"]) == (201, 1)
    assert "is kept in memory" in caplog.text
    replies = [await post(url)]
    outage.end()
    replies.append(await post(url))
    await outage.keys.settle()
    outage.serve(IdempotencyKeys(store, lease))
    replies.append(await post(url))
    for reply in replies:
        assert (reply.status_code, reply.content) == (201, first.content)
        assert reply.headers["Idempotency-Replayed"] == "true"
    assert acts == [1]


async def test_what_failed_says_why_and_may_be_sent_again(
    house: House, outage: Outage, url: str
) -> None:
    async def fail() -> None:
        outage.begin()
        raise NotFound("thing", "x")

    async def act() -> dict[str, int]:
        return {"number": 1}

    house.stage.act = fail
    assert (await post(url)).status_code == 404
    house.stage.act = act
    # Without the store nobody can know what was done.
    assert (await post(url)).status_code == 503
    outage.end()
    assert (await post(url)).status_code == 201


async def test_what_breaks_is_500_and_not_the_stores_failure(
    house: House, outage: Outage, url: str
) -> None:
    async def fail() -> None:
        outage.begin()
        raise ZeroDivisionError

    house.stage.act = fail
    assert (await post(url)).status_code == 500
