"""Who is alive, who is dead, and who may still write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from jupyter_ext.store import Store
from jupyter_ext.store.leases import LeaseLost, ServerLease, ServerRecord

CHILD = """
import asyncio, sys
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease
async def main():
    store = Store(sys.argv[1], key=sys.argv[2])
    await store.open()
    lease = ServerLease(store)
    await lease.start()
    print(lease.id, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def servers(store: Store) -> set[str]:
    async with store.read() as session:
        return set(await session.scalars(select(ServerRecord.id)))


async def expire(store: Store, server: str) -> None:
    async with store.write() as session:
        now = await store.now(session)
        await session.execute(
            update(ServerRecord)
            .where(ServerRecord.id == server)
            .values(expires_at=now - timedelta(seconds=1))
        )


async def bury(lease: ServerLease, store: Store) -> list[str]:
    async with store.write() as session:
        return await lease.bury(session)


async def test_a_lease_is_renewed_and_given_back(store: Store) -> None:
    lease = ServerLease(store, interval=0.05, lifetime=0.5)
    other = ServerLease(store)
    await lease.start()
    await other.start()
    await asyncio.sleep(1)
    assert await bury(other, store) == []
    await lease.stop()
    await other.stop()
    assert await servers(store) == set()


async def test_an_expired_lease_is_buried_and_its_holder_may_not_write(store: Store) -> None:
    sleeper, other = ServerLease(store), ServerLease(store)
    await sleeper.start()
    await other.start()
    old = sleeper.id
    try:
        await expire(store, old)
        assert await bury(other, store) == [old]
        with pytest.raises(LeaseLost):
            async with store.write() as session:
                await sleeper.guard(session)
        lost: list[str] = []
        sleeper.on_lost(lost.append)
        await sleeper.renew()
        assert lost == [old]
        assert sleeper.id != old
        async with store.write() as session:
            await sleeper.guard(session)
    finally:
        await sleeper.stop()
        await other.stop()


async def test_a_late_renewal_keeps_what_nobody_took(store: Store) -> None:
    lease = ServerLease(store)
    await lease.start()
    before = lease.id
    await expire(store, before)
    await lease.renew()
    assert lease.id == before
    await lease.stop()


async def test_a_killed_server_is_known_dead_before_its_lease_expires(
    store: Store, lease: ServerLease
) -> None:
    url = store.url.render_as_string(hide_password=False)
    key = "dGhlIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzISE="
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, key], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        server = (await asyncio.to_thread(child.stdout.readline)).strip()
    assert await bury(lease, store) == []
    os.kill(child.pid, signal.SIGKILL)
    # Not waited for yet: what is left of the process is no server.
    await asyncio.sleep(0.3)
    assert await bury(lease, store) == [server]
    child.wait()


async def test_a_server_on_another_machine_is_dead_only_when_its_lease_is(
    store: Store, lease: ServerLease
) -> None:
    async with store.write() as session:
        now = await store.now(session)
        session.add(
            ServerRecord(
                id="server-elsewhere",
                boot_id="another/pid",
                host="elsewhere",
                pid=2**22 + 1,
                pid_started=1,
                renewed_at=now,
                expires_at=now + timedelta(seconds=20),
            )
        )
    assert await bury(lease, store) == []
    await expire(store, "server-elsewhere")
    assert await bury(lease, store) == ["server-elsewhere"]
