"""The audit: kept before anybody is told, bounded, never changed, and without secrets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from jupyter_ext.accounts import audit as audit_module
from jupyter_ext.accounts import audit_writer
from jupyter_ext.accounts.audit import AuditManager
from jupyter_ext.accounts.audit_schemas import AuditItem, AuditQuery
from jupyter_ext.accounts.audit_writer import HIDDEN, INSERT, LONGEST, STRANGERS, row_of
from jupyter_ext.accounts.key_format import new_key
from jupyter_ext.accounts.schemas import Account, AuditEntry
from jupyter_ext.errors import Conflict, Unavailable
from jupyter_ext.operations import Operations, Progress
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease
from jupyter_ext.store.types import utcnow

from ..engines.stores import Run, Told
from ..store.test_database import reopened

ADMIN = Account("user-1", "admin", "admin")
ALICE = Account("user-2", "alice", "user")


def entry(action: str = "container:start", status: int = 200, **more: Any) -> AuditEntry:
    given = {"account": ALICE, "credential": "key:key-1", "address": "10.0.0.7", **more}
    return AuditEntry(action, status, **given)


@pytest.fixture
def audit(store: Store, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[AuditManager]:
    manager = AuditManager(store)
    jp_asyncio_loop.run_until_complete(manager.start())
    yield manager
    jp_asyncio_loop.run_until_complete(manager.stop())


async def listed(audit: AuditManager, **query: Any) -> list[AuditItem]:
    return list((await audit.list(ADMIN, AuditQuery(**query))).items)


async def test_who_did_what_to_which_thing_and_how_it_ended(audit: AuditManager) -> None:
    before = utcnow()
    await audit.record(
        AuditEntry(
            "container:start",
            404,
            account=ALICE,
            credential="key:key-1",
            address="10.0.0.7",
            method="POST",
            path="/api/v1/containers/web/start",
            target="web",
            message="NOT_FOUND: container",
            request_id="cafe",
        )
    )
    [kept] = await listed(audit)
    assert before <= kept.at <= utcnow()
    assert kept.model_dump(exclude={"id", "at"}) == {
        "user": "user-2",
        "username": "alice",
        "credential": "key:key-1",
        "address": "10.0.0.7",
        "action": "container:start",
        "method": "POST",
        "path": "/api/v1/containers/web/start",
        "target": "web",
        "status": 404,
        "outcome": "failed",
        "message": "NOT_FOUND: container",
        "request_id": "cafe",
    }


async def test_whoever_waited_for_an_entry_is_followed_by_everybody_who_reads(
    audit: AuditManager, store: Store
) -> None:
    other = await reopened(store)
    try:
        for number in range(5):
            await audit.record(entry(target=str(number)))
            assert (await listed(AuditManager(other)))[0].target == str(number)
    finally:
        await other.close()


async def test_those_who_come_together_share_a_transaction(
    audit: AuditManager, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    write = store.write

    @asynccontextmanager
    async def counted() -> AsyncIterator[AsyncSession]:
        nonlocal transactions
        transactions += 1
        async with write() as session:
            yield session

    monkeypatch.setattr(store, "write", counted)
    await asyncio.gather(*(audit.record(entry(target=str(number))) for number in range(200)))
    assert transactions <= 3
    assert len({item.target for item in await listed(audit, limit=1000)}) == 200


async def test_a_caller_that_is_cancelled_leaves_its_entry(audit: AuditManager) -> None:
    task = asyncio.ensure_future(audit.record(entry()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    audit.note(entry())
    await audit.stop()
    assert len(await listed(audit)) == 2


async def test_the_database_refuses_to_change_an_entry(audit: AuditManager, store: Store) -> None:
    await audit.record(entry())
    with pytest.raises(DBAPIError, match="append-only"):
        async with store.write() as session:
            await session.execute(text("UPDATE audit SET username = 'bob'"))
    assert (await listed(audit))[0].username == "alice"


FILTERS: list[tuple[dict[str, Any], set[int]]] = [
    ({}, {0, 1, 2, 3, 4}),
    ({"user": "alice"}, {0, 1}),
    ({"user": "user-2"}, {0, 1}),
    ({"action": "container:start"}, {0}),
    ({"action": "container:*"}, {0, 1, 4}),
    ({"action": "container"}, set()),
    ({"action": "%:start"}, set()),
    ({"action": "*"}, {0, 1, 2, 3, 4}),
    ({"target": "web"}, {0, 1}),
    ({"target": "7"}, {1}),
    ({"target": "we"}, set()),
    ({"target": "w_b"}, set()),
    ({"outcome": "succeeded"}, {0, 4}),
    ({"outcome": "refused"}, {1, 3}),
    ({"outcome": "failed"}, {2}),
    ({"address": "10.0.0.9"}, {2}),
    ({"user": "admin", "outcome": "succeeded"}, {4}),
]


@pytest.fixture
def filled(audit: AuditManager, jp_asyncio_loop: asyncio.AbstractEventLoop) -> list[int]:
    """Five entries; their ids in order."""
    entries = [
        entry("container:start", target="web"),
        entry("container:delete", 403, target="web 7 abc"),
        entry("image:pull", 503, account=ADMIN, target="busybox:latest", address="10.0.0.9"),
        AuditEntry("session:create", 401, credential="ip:10.0.0.8", address="10.0.0.8"),
        entry("container:create", 201, account=ADMIN, target="db"),
    ]

    async def fill() -> list[int]:
        for each in entries:
            await audit.record(each)
        return [item.id for item in reversed(await listed(audit))]

    return jp_asyncio_loop.run_until_complete(fill())


@pytest.mark.parametrize(("query", "expected"), FILTERS)
async def test_filters(
    audit: AuditManager, filled: list[int], query: dict[str, Any], expected: set[int]
) -> None:
    page = await audit.list(ADMIN, AuditQuery(**query))
    assert [item.id for item in page.items] == [filled[n] for n in sorted(expected, reverse=True)]
    assert page.total == len(expected)


async def test_from_and_to(audit: AuditManager, filled: list[int]) -> None:
    moments = {item.id: item.at for item in await listed(audit)}
    second, fourth = moments[filled[1]], moments[filled[3]]
    found = await listed(audit, **{"from": second, "to": fourth})
    assert [item.id for item in found] == [filled[2], filled[1]]
    naive = second.replace(tzinfo=None)
    assert len(await listed(audit, **{"from": naive})) == 4


async def test_pages_meet_although_the_list_grows(audit: AuditManager, filled: list[int]) -> None:
    page = await audit.list(ADMIN, AuditQuery(limit=2))
    seen = [item.id for item in page.items]
    while page.extra["next"]:
        await audit.record(entry(target="meanwhile"))
        page = await audit.list(ADMIN, AuditQuery(limit=2, before=page.extra["next"]))
        seen += [item.id for item in page.items]
    assert seen == filled[::-1]
    assert len(await listed(audit, limit=2, offset=6)) == 1


async def test_nothing_that_looks_like_a_secret_is_kept(audit: AuditManager, store: Store) -> None:
    key = new_key()
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"
    for secret in (key, jwt):
        await audit.record(
            entry(path=f"/api/v1/api-keys/{secret}", target=secret, message=f"no {secret} here")
        )
    await audit.record(entry(target="https://bob:hunter2@registry.lan/app:1"))
    async with store.read() as session:
        rows = str((await session.execute(text("SELECT * FROM audit"))).all())
    for secret in (key, jwt, "hunter2"):
        assert secret not in rows
    kept = await listed(audit)
    assert kept[0].target == f"https://{HIDDEN}@registry.lan/app:1"
    assert kept[1].path == f"/api/v1/api-keys/{HIDDEN}"


async def test_texts_are_bounded_and_may_hold_anything(audit: AuditManager) -> None:
    strange = "a\0b\ud800c\x1b[2J" + "ey-" * 50_000
    began = time.perf_counter()
    await audit.record(
        entry(
            strange,
            account=Account(strange, strange, "user"),
            credential=strange,
            address=strange,
            method=strange,
            path=strange,
            target=strange,
            message=strange,
            request_id=strange,
        )
    )
    assert time.perf_counter() - began < 1
    [kept] = await listed(audit)
    assert len(kept.path) == len(kept.target) == len(kept.message) == LONGEST
    assert len(kept.action) == 100
    assert "\0" not in kept.target


async def test_strangers_can_not_fill_it(
    audit: AuditManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stranger = AuditEntry("session:create", 401, credential="ip:10.0.0.8")
    known = AuditEntry("session:create", 401, account=ALICE, credential="ip:10.0.0.8")
    for _ in range(STRANGERS):
        await audit.record(stranger)
        await audit.record(known)
    await audit.record(entry(status=403))
    kept = await listed(audit, limit=1000)
    assert len([item for item in kept if item.status == 401]) <= 2 * STRANGERS - 1
    assert len([item for item in kept if item.status == 401]) >= STRANGERS
    assert kept[0].status == 403
    assert "more than the audit takes of strangers" in caplog.text


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    messages = [record.getMessage() for record in caplog.records]
    found = [text.partition("Audit, only here: ")[2] for text in messages]
    return [json.loads(line) for line in found if line]


async def test_a_store_that_fails_turns_nothing_into_an_error(
    audit: AuditManager, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.close()
    await audit.record(entry(target="web"))
    [line] = logged(caplog)
    assert (line["username"], line["target"], line["status"]) == ("alice", "web", 200)
    await store.open()
    await audit.record(entry(target="later"))
    assert [item.target for item in await listed(audit)] == ["later"]


async def test_a_store_that_hangs_holds_nobody_up(
    audit: AuditManager,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    released = asyncio.Event()

    @asynccontextmanager
    async def hanging() -> AsyncIterator[AsyncSession]:
        await released.wait()
        raise Unavailable("The store does not answer.")
        yield

    monkeypatch.setattr(store, "write", hanging)
    monkeypatch.setattr(audit_writer, "PATIENCE", 0.1)
    monkeypatch.setattr(audit_writer, "WAITING", 2)
    began = time.perf_counter()
    await asyncio.gather(*(audit.record(entry(target=str(number))) for number in range(4)))
    assert time.perf_counter() - began < 2
    released.set()
    await audit.stop()
    # Each is told once, although it failed twice: too late, and then not at all.
    assert sorted(line["target"] for line in logged(caplog)) == ["0", "1", "2", "3"]


@pytest.fixture
def old_entries(store: Store, run: Run[None]) -> None:
    """Three entries of 10 days ago, and one of now."""

    async def write() -> None:
        old = utcnow() - timedelta(days=10)
        rows = [row_of(entry(target=str(number))) | {"at": old} for number in range(3)]
        async with store.write() as session:
            await session.execute(INSERT, [*rows, row_of(entry(target="young"))])

    run(write())


@pytest.fixture
def run(jp_asyncio_loop: asyncio.AbstractEventLoop) -> Run[Any]:
    return jp_asyncio_loop.run_until_complete


async def test_old_entries_are_deleted_a_few_at_a_time(
    old_entries: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "PRUNED_AT_ONCE", 2)
    audit = AuditManager(store, timedelta(days=9))
    assert await audit.prune() == 3
    assert [item.target for item in await listed(audit)] == ["young"]
    assert await audit.prune() == 0


async def test_they_are_deleted_by_themselves_and_boundedly(
    old_entries: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "FIRST_PRUNE", 0)
    monkeypatch.setattr(audit_module, "PRUNED_AT_ONCE", 1)
    monkeypatch.setattr(audit_module, "PRUNED_AT_MOST", 2)
    audit = AuditManager(store, timedelta(days=9))
    await audit.start()
    async with asyncio.timeout(10):
        while len(await listed(audit)) > 2:
            await asyncio.sleep(0.05)
    await audit.stop()
    assert len(await listed(audit)) == 2


async def test_without_a_retention_all_stays(old_entries: None, store: Store) -> None:
    audit = AuditManager(store)
    await audit.start()
    assert await audit.prune() == 0
    assert len(await listed(audit)) == 4
    await audit.stop()


@pytest.fixture
def operations(
    audit: AuditManager, store: Store, lease: ServerLease, bus: Told, run: Run[Any]
) -> Iterator[Operations]:
    manager = Operations(store, bus, lease)
    manager.on_end(audit.operation_ended)
    yield manager
    run(manager.stop())


async def test_the_end_of_long_work_is_its_owners(
    operations: Operations, audit: AuditManager
) -> None:
    async def good(progress: Progress) -> dict[str, Any]:
        return {"cid": 7, "id": "abc", "environment": {"PASSWORD": "hunter2"}}

    async def bad(progress: Progress) -> None:
        raise Conflict("container", "hunter2")

    async def broken(progress: Progress) -> None:
        raise ZeroDivisionError("hunter2")

    async def slow(progress: Progress) -> None:
        await asyncio.sleep(60)

    for work in (good, bad, broken):
        running = await operations.start(ALICE, "container.create", "web", work)
        await running.ended()
    running = await operations.start(ALICE, "container.create", "web", slow)
    await operations.cancel(ALICE, running.operation.id)
    ends = (await listed(audit))[::-1]
    assert [(end.status, end.message) for end in ends] == [
        (200, ""),
        (409, "CONFLICT"),
        (500, "INTERNAL_ERROR"),
        (409, "CANCELLED"),
    ]
    assert {(end.action, end.user, end.method) for end in ends} == {
        ("container:create", "user-2", "END")
    }
    assert ends[0].target.split() == ["web", ends[0].credential.partition(":")[2], "7", "abc"]
    assert ends[3].path == f"/api/v1/operations/{running.operation.id}"
    assert "hunter2" not in str(ends)


async def test_what_a_crash_interrupted_ends_in_the_audit_too(
    operations: Operations,
    audit: AuditManager,
    store: Store,
    lease: ServerLease,
    bus: Told,
) -> None:
    async def slow(progress: Progress) -> None:
        await asyncio.sleep(60)

    running = await operations.start(ALICE, "container.create", "web", slow)
    await operations.stop()
    assert await listed(audit) == []
    await lease.stop()
    following = ServerLease(store)
    await following.start()
    other = Operations(store, bus, following)
    other.on_end(audit.operation_ended)
    await other.resume()
    async with asyncio.timeout(20):
        while not (ends := await listed(audit)):
            await asyncio.sleep(0.05)
    await other.stop()
    await following.stop()
    [end] = ends
    assert (end.status, end.message, end.username) == (500, "INTERRUPTED", "")
    assert running.operation.id in end.target


async def test_an_entry_that_can_not_be_kept_keeps_no_work_from_ending(
    operations: Operations, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def good(progress: Progress) -> int:
        return 42

    async with store.write() as session:
        await session.execute(text("ALTER TABLE audit RENAME TO gone"))
    running = await operations.start(ALICE, "container.create", "web", good)
    assert await asyncio.wait_for(running.wait(), 10) == 42
    [line] = logged(caplog)
    assert line["action"] == "container:create"


async def test_a_disk_that_is_full_at_an_entry_loses_no_end_of_work(
    operations: Operations, audit: AuditManager, store: Store
) -> None:
    """SQLite then forgets all of the transaction, also that the work has ended."""
    if not store.is_sqlite:
        pytest.skip("PostgreSQL keeps what was written before a savepoint")

    async def good(progress: Progress) -> int:
        async with store.write() as session:
            # An entry is larger than all the room there is.
            words = "x" * 400_000
            await session.execute(text(f"ALTER TABLE audit ADD COLUMN more TEXT DEFAULT '{words}'"))
        async with store.write() as session:
            pages = await session.scalar(text("PRAGMA page_count"))
            await session.execute(text(f"PRAGMA max_page_count = {pages + 20}"))
        return 42

    running = await operations.start(ALICE, "container.create", "web", good)
    waiting = asyncio.create_task(running.wait())
    await asyncio.wait([waiting], timeout=2)
    async with store.write() as session:
        await session.execute(text("PRAGMA max_page_count = 1000000"))
    assert await asyncio.wait_for(waiting, 20) == 42
    kept = await operations.get(ALICE, running.operation.id)
    assert kept.state == "succeeded"
    [end] = await listed(audit)
    assert end.status == 200


async def test_two_servers_write_to_one_audit(store: Store) -> None:
    other = await reopened(store)
    try:
        managers = [AuditManager(store), AuditManager(other)]
        await asyncio.gather(
            *(manager.record(entry(target=f"{n}")) for n in range(50) for manager in managers)
        )
        assert len(await listed(managers[0], limit=1000)) == 100
    finally:
        await other.close()
