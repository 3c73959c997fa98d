"""A server that is killed: ``python -m tests.operations.child URL KEY [SECONDS OF LEASE]``."""

from __future__ import annotations

import asyncio
import sys

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.operations import Operations, Progress
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease

from ..engines.stores import Told


async def main(url: str, key: str, lifetime: float) -> None:
    store = Store(url, key=key)
    await store.open()
    lease = ServerLease(store, interval=lifetime / 4, lifetime=lifetime)
    await lease.start()
    operations = Operations(store, Told(), lease)
    finish = asyncio.Event()

    async def work(progress: Progress) -> str:
        await progress.update(0.5, "half-way")
        await finish.wait()
        return "finished by its own server"

    owner = Account("user-2", "alice", "user")
    began = [
        await operations.start(owner, kind, kind, work, input={"made": kind})
        for kind in ("test.finish", "test.undo", "test.unknown")
    ]
    print(*(running.operation.id for running in began), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    finish.set()
    for running in began:
        await running.ended()
        print(running.current().state, flush=True)
    await operations.stop()
    await lease.stop()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float((sys.argv[3:] or ["20"])[0])))
