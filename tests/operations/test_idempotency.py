"""A request that is sent twice acts once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.errors import Conflict, InvalidRequest, Unavailable
from jupyter_ext.operations import (
    IdempotencyKeys,
    Operation,
    Operations,
    Progress,
    StoredReply,
)
from jupyter_ext.operations.records import IdempotencyRecord
from jupyter_ext.store import Store, database
from jupyter_ext.store.leases import ServerLease, ServerRecord
from jupyter_ext.store.types import utcnow

from ..engines.stores import Told, gone
from ..store.test_database import reopened

ALICE = Account("user-2", "alice", "user")
REQUEST = ("POST", "/api/v1/containers", "hash of the body")


@pytest.fixture
def keys(store: Store, lease: ServerLease) -> IdempotencyKeys:
    return IdempotencyKeys(store, lease)


async def test_the_first_answer_is_given_again(keys: IdempotencyKeys) -> None:
    assert await keys.begin("user-1", "k", *REQUEST) is None
    headers = {"Location": "/api/v1/operations/op-1"}
    await keys.finish("user-1", "k", status=201, headers=headers, body='{"id": "ü"}')
    for _ in range(2):
        reply = await keys.begin("user-1", "k", *REQUEST)
        assert isinstance(reply, StoredReply)
        assert (reply.status, reply.headers, reply.body) == (201, headers, '{"id": "ü"}')


@pytest.mark.parametrize(
    "request_",
    [
        ("PUT", "/api/v1/containers", "hash of the body"),
        ("POST", "/api/v1/images", "hash of the body"),
        ("POST", "/api/v1/containers", "another hash"),
    ],
)
async def test_another_request_is_refused(
    keys: IdempotencyKeys, request_: tuple[str, str, str]
) -> None:
    await keys.begin("user-1", "k", *REQUEST)
    with pytest.raises(Conflict, match="another request"):
        await keys.begin("user-1", "k", *request_)
    await keys.finish("user-1", "k", status=201, headers={}, body="")
    with pytest.raises(Conflict, match="another request"):
        await keys.begin("user-1", "k", *request_)


async def test_of_many_at_once_one_acts(keys: IdempotencyKeys) -> None:
    outcomes = await asyncio.gather(
        *(keys.begin("user-1", "k", *REQUEST) for _ in range(10)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert all(outcome is None or isinstance(outcome, Conflict) for outcome in outcomes)


async def test_accounts_have_keys_of_their_own(keys: IdempotencyKeys) -> None:
    assert await keys.begin("user-1", "k", *REQUEST) is None
    assert await keys.begin("user-2", "k", *REQUEST) is None


async def test_what_failed_may_be_sent_again(keys: IdempotencyKeys) -> None:
    await keys.begin("user-1", "k", *REQUEST)
    await keys.forget("user-1", "k")
    assert await keys.begin("user-1", "k", *REQUEST) is None


async def test_what_died_with_its_server_may_be_sent_again(
    keys: IdempotencyKeys, store: Store
) -> None:
    dead = ServerLease(store)
    await dead.start()
    old = IdempotencyKeys(store, dead)
    await old.begin("user-1", "k", *REQUEST)
    with pytest.raises(Conflict, match="still being answered"):
        await keys.begin("user-1", "k", *REQUEST)
    await dead.stop()
    assert await keys.begin("user-1", "k", *REQUEST) is None
    # Whoever was taken for dead doesn't answer in the other's place.
    await old.finish("user-1", "k", status=201, headers={}, body="late")
    with pytest.raises(Conflict, match="still being answered"):
        await keys.begin("user-1", "k", *REQUEST)


async def begun_by_a_dead_server(store: Store, bus: Told, *, fails: bool = False) -> Operation:
    """Send a request with the key ``k`` to a server that begins an operation and dies."""
    lease = ServerLease(store)
    await lease.start()
    operations = Operations(store, bus, lease)

    async def work(progress: Progress) -> None:
        if fails:
            raise Conflict("container", "c", "No.")
        await asyncio.sleep(3600)

    async def request() -> Operation:
        await operations.keys.begin("user-2", "k", *REQUEST)
        running = await operations.start(ALICE, "test.work", "c", work)
        # What it begins besides is not what was asked for.
        await operations.start(ALICE, "test.other", "c", work)
        if fails:
            await running.ended()
        return running.operation

    # A task of its own, as every request has.
    operation = await asyncio.create_task(request())
    assert await operations.keys.begin("user-2", "another", *REQUEST) is None
    await operations.stop()
    await lease.stop()
    return operation


async def test_what_a_dead_server_began_is_the_answer(
    keys: IdempotencyKeys, store: Store, bus: Told
) -> None:
    begun = await begun_by_a_dead_server(store, bus)
    for _ in range(2):
        answer = await keys.begin("user-2", "k", *REQUEST)
        assert isinstance(answer, Operation)
        assert answer.id == begun.id
    # Nothing was begun by this one, which therefore may be sent again.
    assert await keys.begin("user-2", "another", *REQUEST) is None


async def test_what_came_to_nothing_at_a_dead_server_may_be_sent_again(
    keys: IdempotencyKeys, store: Store, bus: Told
) -> None:
    await begun_by_a_dead_server(store, bus, fails=True)
    assert await keys.begin("user-2", "k", *REQUEST) is None


async def test_answers_are_kept_for_a_day(keys: IdempotencyKeys, store: Store) -> None:
    for key in ("old", "older", "new"):
        await keys.begin("user-1", key, *REQUEST)
        await keys.finish("user-1", key, status=201, headers={}, body="")
    async with store.write() as session:
        await session.execute(
            update(IdempotencyRecord)
            .where(IdempotencyRecord.key.in_(["old", "older"]))
            .values(created_at=utcnow() - timedelta(hours=25))
        )
    assert await keys.begin("user-1", "old", *REQUEST) is None
    await keys.prune()
    async with store.read() as session:
        left = set(await session.scalars(select(IdempotencyRecord.key)))
    assert left == {"old", "new"}


# -- when the store goes away ----------------------------------------------------------------------


@pytest.fixture
def here(
    store: Store, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[IdempotencyKeys]:
    """The keys of a server that does not wait long for its store."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    run = jp_asyncio_loop.run_until_complete
    own = run(reopened(store))
    lease = ServerLease(own)
    run(lease.start())
    yield IdempotencyKeys(own, lease)
    run(lease.stop())
    run(own.close())


async def test_an_answer_outlives_a_store_that_is_gone(
    here: IdempotencyKeys,
    keys: IdempotencyKeys,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await here.begin("user-1", "k", *REQUEST)
    with gone(store.url):
        await here.finish("user-1", "k", status=201, headers={"Location": "/x"}, body="made")
        assert "is kept in memory" in caplog.text
        reply = await here.begin("user-1", "k", *REQUEST)
        assert reply == StoredReply(201, {"Location": "/x"}, "made")
        with pytest.raises(Conflict, match="another request"):
            await here.begin("user-1", "k", *REQUEST[:2], "another hash")
        await here.settle()
    with pytest.raises(Conflict, match="still being answered"):
        await keys.begin("user-1", "k", *REQUEST)
    await here.settle()
    assert await keys.begin("user-1", "k", *REQUEST) == reply
    assert await here.begin("user-1", "k", *REQUEST) == reply
    assert not here._held


async def test_what_failed_while_the_store_was_gone_may_be_sent_again(
    here: IdempotencyKeys, keys: IdempotencyKeys, store: Store
) -> None:
    await here.begin("user-1", "k", *REQUEST)
    with gone(store.url):
        await here.forget("user-1", "k")
        with pytest.raises(Unavailable):
            await here.begin("user-1", "k", *REQUEST)
    # Here it may at once, and elsewhere when this server has said that it failed.
    assert await here.begin("user-1", "k", *REQUEST) is None
    await here.settle()
    with pytest.raises(Conflict, match="still being answered"):
        await keys.begin("user-1", "k", *REQUEST)
    with gone(store.url):
        await here.forget("user-1", "k")
    await here.settle()
    assert await keys.begin("user-1", "k", *REQUEST) is None


async def test_without_its_store_nothing_is_claimed(here: IdempotencyKeys, store: Store) -> None:
    with gone(store.url), pytest.raises(Unavailable):
        await here.begin("user-1", "k", *REQUEST)
    assert not here._held
    assert await here.begin("user-1", "k", *REQUEST) is None


async def test_a_server_that_was_taken_for_dead_still_answers_what_nobody_took_over(
    here: IdempotencyKeys, keys: IdempotencyKeys, store: Store
) -> None:
    await here.begin("user-1", "k", *REQUEST)
    async with store.write() as session:
        await session.execute(delete(ServerRecord).where(ServerRecord.id == here._lease.id))
    await here._lease.renew()
    with pytest.raises(Conflict, match="still being answered"):
        await here.begin("user-1", "k", *REQUEST)
    await here.finish("user-1", "k", status=201, headers={}, body="made")
    reply = await keys.begin("user-1", "k", *REQUEST)
    assert isinstance(reply, StoredReply)
    assert reply.body == "made"


async def test_what_was_done_twice_is_logged(
    here: IdempotencyKeys,
    keys: IdempotencyKeys,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await here.begin("user-1", "k", *REQUEST)
    async with store.write() as session:
        await session.execute(delete(ServerRecord).where(ServerRecord.id == here._lease.id))
    assert await keys.begin("user-1", "k", *REQUEST) is None
    await here.finish("user-1", "k", status=201, headers={}, body="late")
    assert "may have been done again" in caplog.text
    await keys.finish("user-1", "k", status=201, headers={}, body="first")
    reply = await here.begin("user-1", "k", *REQUEST)
    assert isinstance(reply, StoredReply)
    assert reply.body == "first"


@pytest.mark.parametrize("key", ["x" * 256, "a\0b"])
async def test_a_key_that_can_not_be_one_is_refused(keys: IdempotencyKeys, key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await keys.begin("user-1", key, *REQUEST)
    assert "Idempotency-Key" in caught.value.fields
