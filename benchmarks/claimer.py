"""A server's part of the queue for GPUs, alone: ``python -m benchmarks.claimer URL KEY all|each``.

Reads the numbers of containers from its input, takes a GPU for each (all at once, or each after
the one before), gives it back at once, and prints JSON: the seconds of all of it, and those that
each transaction took from BEGIN to COMMIT.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from jupyter_ext.devices.ledger import DeviceLedger
from jupyter_ext.devices.placement import Wish
from jupyter_ext.devices.queue import GpuQueue
from jupyter_ext.devices.ticket import Ticket
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease


async def claim(url: str, key: str, cids: list[int], *, together: bool) -> dict[str, object]:
    """Take and give back a GPU for each container."""
    store = Store(url, key=key)
    await store.open()
    lease, ledger = ServerLease(store), DeviceLedger(store)
    queue = GpuQueue(store, lease, ledger)
    await lease.start()
    queue.start()

    used: list[int] = []
    freeing = asyncio.Lock()

    async def one(cid: int) -> None:
        await queue.take(Ticket(cid, Wish(), True, 0, 0))
        used.append(cid)
        # As a server does that hears of several ends at once.
        async with freeing:
            if used:
                ended, used[:] = used.copy(), []
                async with store.write() as session:
                    await ledger.free(session, ended)

    began = time.monotonic()
    if together:
        await asyncio.gather(*map(one, cids))
    else:
        for cid in cids:
            await one(cid)
    seconds = time.monotonic() - began
    await queue.stop()
    await lease.stop()
    await store.close()
    return {"seconds": seconds, "rounds": list(queue.seconds)}


def main(url: str, key: str, how: str) -> None:
    """Claim, and print what it took."""
    cids = [int(line) for line in sys.stdin]
    print(json.dumps(asyncio.run(claim(url, key, cids, together=how == "all"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
