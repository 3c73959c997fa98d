"""What a crash interrupts is finished or undone, once; what goes on elsewhere is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.errors import Conflict, Unavailable
from jupyter_ext.operations import Operation, OperationQuery, Operations, Progress, Recovered
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease

from ..engines.stores import KEY, Told
from ..store.test_database import reopened

ROOT = Path(__file__).resolve().parents[2]
ALICE = Account("user-2", "alice", "user")


class Child:
    """A server of its own process."""

    def __init__(self, store: Store, lifetime: float) -> None:
        url = store.url.render_as_string(hide_password=False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.operations.child", url, KEY, str(lifetime)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ids: list[str] = []

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.process.pid, sign)

    def finish(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@asynccontextmanager
async def child_of(store: Store, lifetime: float = 20) -> AsyncIterator[Child]:
    child = Child(store, lifetime)
    try:
        child.ids = (await child.line()).split()
        assert len(child.ids) == 3
        yield child
    finally:
        child.close()


@asynccontextmanager
async def server_of(
    store: Store, recover: Mapping[str, Callable[..., Awaitable[Any]]], **options: Any
) -> AsyncIterator[Operations]:
    lease = ServerLease(store, interval=0.1, **options)
    await lease.start()
    operations = Operations(store, Told(), lease)
    for kind, handler in recover.items():
        operations.on_recovery(kind, handler)
    await operations.resume()
    try:
        yield operations
    finally:
        await operations.stop()
        await lease.stop()


async def settled(operations: Operations, ids: list[str], seconds: float = 10) -> list[Operation]:
    async with asyncio.timeout(seconds):
        while True:
            found = [await operations.get(ALICE, operation_id) for operation_id in ids]
            if not any(operation.active for operation in found):
                return found
            await asyncio.sleep(0.02)


async def finish(operation: Operation, given: dict[str, Any]) -> Recovered:
    return Recovered(f"Finished {given['made']}.", succeeded=True, result={"by": operation.id})


async def undo(operation: Operation, given: dict[str, Any]) -> str:
    return f"Undid {given['made']}."


async def test_a_killed_servers_work_is_finished_or_undone_at_the_next_start(store: Store) -> None:
    async with child_of(store) as child:
        child.kill()
        child.process.wait()
        async with server_of(store, {"test.finish": finish, "test.undo": undo}) as operations:
            finished, undone, unknown = await settled(operations, child.ids)
    assert (finished.state, finished.message) == ("succeeded", "Finished test.finish.")
    assert finished.result == {"by": finished.id}
    assert (undone.state, undone.message) == ("failed", "Undid test.undo.")
    assert undone.error is not None
    assert undone.error.code == "INTERRUPTED"
    assert (unknown.state, unknown.message) == (
        "failed",
        "The server stopped while this was going on.",
    )
    assert all(operation.ended_at for operation in (finished, undone, unknown))


async def test_another_live_servers_work_is_left_alone(store: Store) -> None:
    async def never(operation: Operation, given: dict[str, Any]) -> str:
        raise AssertionError("a live server's work was taken over")

    never_taken = {"test.finish": never, "test.undo": never}
    async with (
        child_of(store, lifetime=1) as child,
        server_of(store, never_taken) as operations,
    ):
        # Several lives of a lease that is renewed.
        await asyncio.sleep(2.5)
        page = await operations.list(ALICE, OperationQuery(active=True))
        assert {operation.id for operation in page.items} == set(child.ids)
        child.finish()
        assert [await child.line() for _ in child.ids] == ["succeeded"] * 3
        ended = await settled(operations, child.ids)
        assert {operation.result for operation in ended} == {"finished by its own server"}


async def test_a_server_that_slept_too_long_writes_nothing_any_more(store: Store) -> None:
    async with child_of(store, lifetime=0.6) as child:
        # Not while it writes: SQLite's file would be locked for as long as it sleeps.
        async with store.write():
            child.kill(signal.SIGSTOP)
        async with server_of(store, {"test.finish": finish, "test.undo": undo}) as operations:
            taken = await settled(operations, child.ids)
            child.kill(signal.SIGCONT)
            await asyncio.sleep(0.5)
            child.finish()
            # It knows that the work is no longer its own: none of it ended here.
            assert [await child.line() for _ in child.ids] == ["running"] * 3
            assert await settled(operations, child.ids) == taken


async def test_two_servers_recover_each_operation_once(store: Store) -> None:
    done: list[str] = []

    async def once(operation: Operation, given: dict[str, Any]) -> str:
        done.append(operation.id)
        await asyncio.sleep(0.05)
        return "Undone."

    far = await reopened(store)
    kinds = {"test.finish": once, "test.undo": once, "test.unknown": once}
    try:
        async with child_of(store) as child:
            child.kill()
            child.process.wait()
            async with server_of(store, kinds) as one, server_of(far, kinds) as other:
                await asyncio.gather(settled(one, child.ids), settled(other, child.ids))
                await asyncio.sleep(0.5)
    finally:
        await far.close()
    assert sorted(done) == sorted(child.ids)


async def test_what_can_not_be_undone_yet_has_failed_and_is_undone_later(store: Store) -> None:
    reachable = asyncio.Event()
    undone = asyncio.Event()

    async def later(operation: Operation, given: dict[str, Any]) -> str:
        if not reachable.is_set():
            raise Unavailable("Docker does not answer.", "Start it.")
        undone.set()
        return "Undone."

    async with child_of(store) as child:
        child.kill()
        child.process.wait()
    ids = child.ids[1:2]
    async with server_of(store, {"test.undo": later}) as operations:
        (operation,) = await settled(operations, ids)
        assert operation.state == "failed"
        assert "Docker does not answer" in operation.message
    # The next server goes on trying.
    async with server_of(store, {"test.undo": later}) as operations:
        await asyncio.sleep(0.3)
        reachable.set()
        await asyncio.wait_for(undone.wait(), 5)
        async with asyncio.timeout(5):
            while (await operations.get(ALICE, ids[0])).message != "Undone.":
                await asyncio.sleep(0.02)
        undone.clear()
        await asyncio.sleep(0.3)
        assert not undone.is_set()


async def test_a_recovery_that_fails_is_said(store: Store) -> None:
    async def conflict(operation: Operation, given: dict[str, Any]) -> str:
        raise Conflict("container", "web", "The container web is somebody else's now.")

    async def broken(operation: Operation, given: dict[str, Any]) -> str:
        raise RuntimeError("the secret is hunter2")

    async with child_of(store) as child:
        child.kill()
        child.process.wait()
    async with server_of(store, {"test.finish": conflict, "test.undo": broken}) as operations:
        first, second, _ = await settled(operations, child.ids)
    assert first.state == second.state == "failed"
    assert "somebody else's" in first.message
    assert "hunter2" not in second.model_dump_json()


async def test_a_server_that_dies_while_it_recovers_is_recovered_from(store: Store) -> None:
    started = asyncio.Event()

    async def endless(operation: Operation, given: dict[str, Any]) -> str:
        started.set()
        await asyncio.sleep(3600)
        return ""

    async with child_of(store) as child:
        child.kill()
        child.process.wait()
    async with server_of(store, {"test.undo": endless}) as operations:
        await asyncio.wait_for(started.wait(), 5)
        with pytest.raises(Conflict, match="being undone"):
            await operations.cancel(ALICE, child.ids[1])
    async with server_of(store, {"test.undo": undo}) as operations:
        assert (await settled(operations, child.ids))[1].message == "Undid test.undo."


async def test_a_stopped_servers_work_is_brought_to_its_end_by_the_next(
    store: Store, lease: ServerLease
) -> None:
    async def work(_: Progress) -> None:
        await asyncio.sleep(3600)

    async with server_of(store, {}) as operations:
        running = await operations.start(ALICE, "test.undo", "x", work, input={"made": "x"})
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="stopped"):
        await running.wait()
    async with server_of(store, {"test.undo": undo}) as operations:
        (operation,) = await settled(operations, [running.operation.id])
    assert operation.message == "Undid x."
