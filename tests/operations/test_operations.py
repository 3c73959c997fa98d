"""Long work: begun, watched, waited for, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.errors import Conflict, NotFound, Unavailable
from jupyter_ext.operations import Operation, OperationQuery, Operations, Progress
from jupyter_ext.operations import running as module
from jupyter_ext.operations.records import OperationRecord
from jupyter_ext.store import Store
from jupyter_ext.store.leases import LeaseLost, ServerLease
from jupyter_ext.store.types import utcnow

from ..engines.stores import Told
from ..store.test_database import reopened

ALICE = Account("user-2", "alice", "user")
BOB = Account("user-3", "bob", "user")
ADMIN = Account("user-1", "admin", "admin")


@pytest.fixture
def operations(
    store: Store, bus: Told, lease: ServerLease, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[Operations]:
    made = Operations(store, bus, lease)
    yield made
    jp_asyncio_loop.run_until_complete(made.stop())


async def forever(progress: Progress) -> None:
    await progress.update(0.5, "half-way")
    await asyncio.sleep(3600)


async def stored(store: Store, operation_id: str) -> Operation:
    async with store.read() as session:
        record = await session.get(OperationRecord, operation_id)
        assert record is not None
        return record.view()


async def test_the_row_is_there_before_the_work_begins(
    operations: Operations, store: Store
) -> None:
    async def work(progress: Progress) -> str:
        return (await stored(store, progress.operation.id)).state

    running = await operations.start(ALICE, "test.look", "itself", work, input={"a": 1})
    assert await running.wait() == "running"


async def test_the_result_is_kept_as_it_is_presented(operations: Operations, store: Store) -> None:
    async def work(progress: Progress) -> timedelta:
        await progress.update(0.25, "a quarter", {"layers": [1]})
        progress.log("pulled one layer")
        return timedelta(seconds=90)

    running = await operations.start(
        ALICE, "image.pull", "nginx:latest", work, present=lambda span: span.total_seconds()
    )
    assert running.operation.id.startswith("op-")
    assert await running.wait() == timedelta(seconds=90)
    kept = await stored(store, running.operation.id)
    assert kept == await operations.get(ALICE, kept.id) == running.current()
    assert (kept.kind, kept.subject, kept.owner) == ("image.pull", "nginx:latest", "user-2")
    assert (kept.state, kept.progress, kept.result) == ("succeeded", 1.0, 90.0)
    assert (kept.message, kept.log, kept.details) == (
        "a quarter",
        ["pulled one layer"],
        {"layers": [1]},
    )
    assert kept.error is None
    assert kept.started_at and kept.ended_at
    assert kept.created_at <= kept.started_at <= kept.ended_at


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
async def test_more_is_written_with_a_good_end_alone(
    operations: Operations, store: Store, good: bool
) -> None:
    states: list[str] = []

    async def work(progress: Progress) -> None:
        async def write(session: AsyncSession) -> None:
            # Within the transaction: nobody else sees it yet.
            states.append((await stored(store, progress.operation.id)).state)

        progress.with_success(write, lambda: states.append("told"))
        if not good:
            raise Conflict("thing", "x", "It is in use.")

    running = await operations.start(ALICE, "test", "x", work)
    await running.ended()

    assert states == (["running", "told"] if good else [])


async def test_a_failure_is_raised_and_kept(operations: Operations, store: Store) -> None:
    async def work(_: Progress) -> None:
        raise Conflict("container", "web", "Port 8080 is taken.", fields={"ports": "8080"})

    running = await operations.start(ALICE, "container.create", "web", work)
    with pytest.raises(Conflict, match="8080 is taken"):
        await running.wait()
    kept = await stored(store, running.operation.id)
    assert kept.state == "failed"
    assert kept.message == "Port 8080 is taken."
    assert kept.error is not None
    assert kept.error.model_dump() == {
        "code": "CONFLICT",
        "message": "Port 8080 is taken.",
        "details": {"container": "web", "ports": "8080"},
    }


async def test_an_unknown_failure_tells_nothing_of_the_inside(
    operations: Operations, store: Store
) -> None:
    async def work(_: Progress) -> None:
        raise RuntimeError("the secret is hunter2")

    running = await operations.start(ALICE, "test", "x", work)
    with pytest.raises(RuntimeError):
        await running.wait()
    kept = await stored(store, running.operation.id)
    assert kept.error is not None
    assert kept.error.code == "INTERNAL_ERROR"
    assert "hunter2" not in kept.model_dump_json()


async def test_nobody_who_goes_away_stops_the_work(operations: Operations) -> None:
    go = asyncio.Event()

    async def work(_: Progress) -> str:
        await go.wait()
        return "done"

    starting = asyncio.ensure_future(operations.start(ALICE, "test", "x", work))
    running = await starting
    waiting = asyncio.ensure_future(running.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go.set()
    assert await running.wait() == "done"


async def test_who_goes_away_while_it_begins_leaves_no_row_without_work(
    operations: Operations, store: Store
) -> None:
    async def work(_: Progress) -> str:
        return "done"

    for delay in range(10):
        starting = asyncio.ensure_future(operations.start(ALICE, "test", f"{delay}", work))
        asyncio.get_running_loop().call_later(delay * 0.0005, starting.cancel)
        await asyncio.gather(starting, return_exceptions=True)
    await asyncio.sleep(1)
    page = await operations.list(ALICE, OperationQuery())
    assert {item.state for item in page.items} <= {"succeeded"}


async def test_a_cancelled_operation_says_so(operations: Operations, store: Store) -> None:
    undone = asyncio.Event()

    async def work(progress: Progress) -> None:
        try:
            await forever(progress)
        finally:
            undone.set()

    running = await operations.start(ALICE, "image.pull", "nginx", work)
    await asyncio.sleep(0)
    answer = await operations.cancel(ALICE, running.operation.id)
    assert answer.state == "cancelled"
    assert undone.is_set()
    assert (await stored(store, answer.id)).state == "cancelled"
    with pytest.raises(Conflict, match="Cancelled"):
        await running.wait()
    assert (await operations.cancel(ALICE, answer.id)).state == "cancelled"


async def test_what_has_ended_can_not_be_cancelled(operations: Operations) -> None:
    async def work(_: Progress) -> None: ...

    running = await operations.start(ALICE, "test", "x", work)
    await running.wait()
    with pytest.raises(Conflict, match="succeeded already"):
        await operations.cancel(ALICE, running.operation.id)


async def test_slow_cancellation_answers_meanwhile(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_ext.operations.manager.CANCEL_PATIENCE", 0.2)
    finish = asyncio.Event()

    async def work(progress: Progress) -> None:
        try:
            await forever(progress)
        finally:
            await finish.wait()

    running = await operations.start(ALICE, "test", "x", work)
    await asyncio.sleep(0)
    answer = await operations.cancel(ALICE, running.operation.id)
    assert (answer.state, answer.message) == ("running", "Being cancelled")
    finish.set()
    await running.ended()
    assert running.current().state == "cancelled"


async def test_one_sees_ones_own_and_an_administrator_all(operations: Operations) -> None:
    async def work(_: Progress) -> None: ...

    ids = []
    for owner in (ALICE, BOB, ALICE):
        running = await operations.start(owner, "test", owner.username, work)
        await running.wait()
        ids.append(running.operation.id)
    mine = await operations.list(ALICE, OperationQuery())
    assert ([item.id for item in mine.items], mine.total) == ([ids[2], ids[0]], 2)
    everybodys = await operations.list(ADMIN, OperationQuery(limit=1, offset=1))
    assert ([item.id for item in everybodys.items], everybodys.total) == ([ids[1]], 3)
    with pytest.raises(NotFound) as foreign:
        await operations.get(ALICE, ids[1])
    with pytest.raises(NotFound):
        await operations.cancel(ALICE, ids[1])
    with pytest.raises(NotFound) as unknown:
        await operations.get(ALICE, "op-unknown")
    assert str(foreign.value).replace(ids[1], "") == str(unknown.value).replace("op-unknown", "")
    assert (await operations.get(ADMIN, ids[1])).owner == BOB.id


async def test_lists_are_filtered(operations: Operations) -> None:
    async def work(_: Progress) -> None: ...

    await (await operations.start(ALICE, "image.pull", "a", work)).wait()
    going = await operations.start(ALICE, "container.create", "b", forever)
    by_kind = await operations.list(ALICE, OperationQuery(kind="image.pull"))
    active = await operations.list(ALICE, OperationQuery(active=True))
    ended = await operations.list(ALICE, OperationQuery(active=False))
    succeeded = await operations.list(ALICE, OperationQuery(state="succeeded"))
    assert [item.subject for item in by_kind.items] == ["a"]
    assert [item.id for item in active.items] == [going.operation.id]
    assert [item.subject for item in ended.items] == ["a"]
    assert [item.subject for item in succeeded.items] == ["a"]
    fed = await operations.feed(ALICE, {})
    assert [item["subject"] for item in fed["items"]] == ["b", "a"]


async def test_progress_is_told_at_most_five_times_a_second(
    operations: Operations, bus: Told
) -> None:
    async def work(progress: Progress) -> None:
        for step in range(100):
            await progress.update(step / 100, f"step {step}")
            await asyncio.sleep(0.01)

    running = await operations.start(ALICE, "image.pull", "nginx", work)
    began = asyncio.get_running_loop().time()
    await running.wait()
    seconds = asyncio.get_running_loop().time() - began
    told = bus.of("operations")
    assert 4 <= len(told) <= seconds * 5 + 2
    assert [event["state"] for event in told[:-1]] == ["running"] * (len(told) - 1)
    assert (told[-1]["state"], told[-1]["progress"]) == ("succeeded", 1.0)
    assert told[-1]["message"] == "step 99"
    assert {owner for _, _, owner in bus.events} == {ALICE.id}
    await asyncio.sleep(0.3)
    assert len(bus.of("operations")) == len(told)


async def test_progress_is_in_memory_at_once_and_written_now_and_then(
    operations: Operations, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_ext.operations.worker.WRITE_SPACING", 0.3)
    running = await operations.start(ALICE, "test", "x", forever)
    await asyncio.sleep(0.05)
    assert (await operations.get(ALICE, running.operation.id)).progress == 0.5
    await asyncio.sleep(0.6)
    assert (await stored(store, running.operation.id)).message == "half-way"


async def test_logs_are_bounded(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(progress: Progress) -> None:
        for line in range(module.LOG_LINES + 10):
            progress.log(f"{line} " + "x" * 10_000)

    running = await operations.start(ALICE, "test", "x", work)
    await running.wait()
    log = (await operations.get(ALICE, running.operation.id)).log
    assert len(log) == module.LOG_LINES
    assert log[0].startswith("10 ")
    assert {len(line) for line in log} == {module.LINE_LENGTH}


async def test_another_server_cancels_what_this_one_does(
    operations: Operations, store: Store, bus: Told
) -> None:
    far = await reopened(store)
    far_lease = ServerLease(far)
    await far_lease.start()
    other = Operations(far, bus, far_lease)
    try:
        running = await operations.start(ALICE, "test", "x", forever)
        answer = await other.cancel(ALICE, running.operation.id)
        assert answer.state == "cancelled"
        assert running.current().state == "cancelled"
    finally:
        await other.stop()
        await far_lease.stop()
        await far.close()


async def test_who_lost_the_lease_writes_nothing_more(
    operations: Operations, store: Store, lease: ServerLease
) -> None:
    finish = asyncio.Event()

    async def work(_: Progress) -> str:
        await finish.wait()
        return "late"

    running = await operations.start(ALICE, "test", "x", work)
    async with store.write() as session:
        await session.execute(
            update(OperationRecord)
            .where(OperationRecord.id == running.operation.id)
            .values(server="another")
        )
    finish.set()
    with pytest.raises(LeaseLost):
        await running.wait()
    assert (await stored(store, running.operation.id)).state == "running"


async def test_work_stops_when_the_server_was_taken_for_dead(
    operations: Operations, store: Store, lease: ServerLease
) -> None:
    running = await operations.start(ALICE, "test", "x", forever)
    from ..store.test_leases import bury, expire

    other = ServerLease(store)
    await other.start()
    await expire(store, lease.id)
    await bury(other, store)
    await lease.renew()
    with pytest.raises(LeaseLost):
        await running.wait()
    await other.stop()


async def test_an_end_is_written_as_soon_as_the_store_answers_again(
    operations: Operations, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_ext.operations.worker.RETRY_SECONDS", 0.05)
    finish = asyncio.Event()

    async def work(_: Progress) -> str:
        await finish.wait()
        return "done"

    running = await operations.start(ALICE, "test", "x", work)

    def broken() -> Any:
        raise Unavailable("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", broken)
        finish.set()
        await asyncio.sleep(0.3)
        assert running.current().active
    assert await running.wait() == "done"
    assert (await stored(store, running.operation.id)).state == "succeeded"


async def test_without_a_store_nothing_begins(
    operations: Operations, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(_: Progress) -> None:
        pytest.fail("it began")

    def broken() -> Any:
        raise Unavailable("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", broken)
        with pytest.raises(Unavailable):
            await operations.start(ALICE, "test", "x", work)
    await asyncio.sleep(0.05)


async def test_who_has_work_going_on_stays(operations: Operations) -> None:
    running = await operations.start(ALICE, "test", "x", forever)
    assert await operations.owned(ALICE) == ["1 operations that go on"]
    assert await operations.owned(BOB) == []
    with pytest.raises(Conflict, match="1 operations"):
        await operations.transfer(ALICE, BOB)
    with pytest.raises(Conflict, match="1 operations"):
        await operations.purge(ALICE)
    await operations.cancel(ALICE, running.operation.id)
    await operations.purge(ALICE)


async def test_old_operations_are_let_go(store: Store, bus: Told, lease: ServerLease) -> None:
    operations = Operations(store, bus, lease, retention=timedelta(days=1))

    async def work(_: Progress) -> None: ...

    ids = []
    for _ in range(2):
        running = await operations.start(ALICE, "test", "x", work)
        await running.wait()
        ids.append(running.operation.id)
    async with store.write() as session:
        await session.execute(
            update(OperationRecord)
            .where(OperationRecord.id == ids[0])
            .values(ended_at=utcnow() - timedelta(days=2))
        )
    await operations.resume()
    await asyncio.sleep(0.3)
    page = await operations.list(ALICE, OperationQuery())
    assert [item.id for item in page.items] == [ids[1]]
    await operations.stop()


async def test_many_at_once(operations: Operations) -> None:
    async def work(progress: Progress) -> str:
        for step in range(5):
            await progress.update(step / 5)
            await asyncio.sleep(0)
        return progress.operation.subject

    running = await asyncio.gather(
        *(operations.start(ALICE, "test", f"{number}", work) for number in range(50))
    )
    assert [await one.wait() for one in running] == [f"{number}" for number in range(50)]
    assert (await operations.list(ALICE, OperationQuery(active=True))).total == 0


async def test_whatever_an_engine_says_can_be_kept(operations: Operations, store: Store) -> None:
    async def work(progress: Progress) -> dict[str, object]:
        await progress.update(
            message="nul \0 and half \ud800", details={"a\0": ["\0", float("nan")]}
        )
        progress.log("binary \0\x1b[0m \udcff ü")
        return {"output": "\0", "rate": float("inf")}

    running = await operations.start(ALICE, "test", "nul \0", work, input={"a": "\0"})
    await running.wait()
    kept = await stored(store, running.operation.id)
    assert kept.state == "succeeded"
    assert kept.log == ["binary \N{REPLACEMENT CHARACTER}\x1b[0m ? ü"]
    assert kept.result == {"output": "\N{REPLACEMENT CHARACTER}", "rate": None}


async def test_a_cancellation_in_the_last_moment_leaves_nothing_running(
    operations: Operations, store: Store
) -> None:
    for delay in range(12):

        async def work(progress: Progress) -> None:
            await progress.update(0.5)

        running = await operations.start(ALICE, "test", "x", work)
        task = operations._worker.live[running.operation.id].task
        assert task is not None
        for again in range(3):
            asyncio.get_running_loop().call_later(0.0004 * (delay + again), task.cancel)
        await running.ended()
        assert not (await stored(store, running.operation.id)).active
