"""A keyed request whose act was done, or failed, just when the store went away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from jupyter_ext.errors import NotFound
from jupyter_ext.operations import IdempotencyKeys, Operation, Operations, Progress
from jupyter_ext.operations.schemas import Recovered
from jupyter_ext.store import Store, database
from jupyter_ext.store.leases import ServerLease

from ..engines.stores import gone
from ..store.test_database import reopened
from .house import ALICE, House


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


async def post(url: str, prefer: str = "") -> httpx.Response:
    headers = {"X-API-Key": "jx_alice", "Idempotency-Key": "k", "Prefer": prefer}
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


# -- when its server died --------------------------------------------------------------------------


async def begun_by_a_dead_server(store: Store, house: House, url: str) -> Operation:
    """Do what a request does at a server that begins an operation for it and dies."""
    lease = ServerLease(store)
    await lease.start()
    operations = Operations(store, house.bus, lease)
    path = urlsplit(f"{url}/things").path
    digest = hashlib.sha256(path.encode() + b"\n{}").hexdigest()

    async def work(progress: Progress) -> None:
        await asyncio.sleep(3600)

    async def request() -> Operation:
        assert await operations.keys.begin(ALICE.id, "k", "POST", path, digest) is None
        return (await operations.start(ALICE, "test.work", "c", work)).operation

    operation = await asyncio.create_task(request())
    await operations.stop()
    await lease.stop()
    return operation


@asynccontextmanager
async def taken_over(
    store: Store, lease: ServerLease, house: House, outcome: str | Recovered
) -> AsyncIterator[asyncio.Event]:
    """Serve as the server that recovers it; how it ends is said when the event is set."""
    operations = Operations(store, house.bus, lease)
    end = asyncio.Event()

    async def recover(operation: Operation, given: object) -> str | Recovered:
        await end.wait()
        return outcome

    operations.on_recovery("test.work", recover)
    object.__setattr__(house.services, "idempotency", operations.keys)
    await operations.resume()
    try:
        yield end
    finally:
        await operations.stop()


async def test_what_a_dead_server_began_is_waited_for_and_answered_with(
    house: House, url: str, store: Store, lease: ServerLease
) -> None:
    begun = await begun_by_a_dead_server(store, house, url)
    outcome = Recovered("Done.", succeeded=True, result={"number": 7})
    async with taken_over(store, lease, house, outcome) as end:
        waiting = asyncio.create_task(post(url))
        for prefer in ("respond-async", "wait=1"):
            reply = await post(url, prefer)
            assert (reply.status_code, reply.json()["id"]) == (202, begun.id)
            assert reply.json()["state"] == "running"
        assert not waiting.done()
        end.set()
        for reply in (await waiting, await post(url), await post(url, "wait=5")):
            assert (reply.status_code, reply.json()["number"]) == (201, 7)
            assert reply.json()["owner"] == ALICE.id
            assert reply.headers["Idempotency-Replayed"] == "true"
            assert reply.headers["Location"].endswith(f"/api/v1/operations/{begun.id}")
        # Who asked for the operation reads the same kind of answer each time.
        assert (await post(url, "respond-async")).json()["id"] == begun.id


async def test_what_came_to_nothing_while_somebody_waits_is_done_anew(
    house: House, url: str, store: Store, lease: ServerLease
) -> None:
    await begun_by_a_dead_server(store, house, url)
    acts: list[int] = []

    async def act() -> dict[str, int]:
        acts.append(len(acts) + 1)
        return {"number": acts[-1]}

    house.stage.act = act
    async with taken_over(store, lease, house, "It was undone.") as end:
        waiting = asyncio.create_task(post(url))
        await asyncio.sleep(0.3)
        assert acts == []
        end.set()
        reply = await waiting
        assert (reply.status_code, reply.json()["number"]) == (201, 1)
        assert "Idempotency-Replayed" not in reply.headers
    assert acts == [1]
