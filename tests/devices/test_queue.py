"""The queue for GPUs on both databases: each GPU once, and in order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from jupyter_ext.containers.records import ContainerRecord
from jupyter_ext.devices.inventory import Found
from jupyter_ext.devices.ledger import DeviceLedger, Taken
from jupyter_ext.devices.placement import Wish
from jupyter_ext.devices.queue import GpuQueue
from jupyter_ext.devices.records import DeviceRecord, GpuClaim, GpuRequest, Reservation
from jupyter_ext.devices.ticket import Ticket
from jupyter_ext.errors import Conflict
from jupyter_ext.store import Store, utcnow
from jupyter_ext.store.leases import ServerLease

from ..engines.stores import MakeStore

GIB = 1 << 30


class Server:
    """One server process's part of the queue."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lease = ServerLease(store)
        self.ledger = DeviceLedger(store)
        self.queue = GpuQueue(store, self.lease, self.ledger)
        self.numbers = iter(range(1, 100_000))

    async def start(self) -> None:
        await self.lease.start()
        self.queue.start()

    async def stop(self) -> None:
        await self.queue.stop()
        await self.lease.stop()

    async def have(self, *memory: int, cpu: int = 64_000, slots: int = 1) -> None:
        """Have a device with GPUs of so many GiB."""
        async with self.store.write() as session:
            await self.ledger.set_device(session, 1, cpu, 512 * GIB, "")
            found = [Found(f"GPU-{n}", "A100", size * GIB) for n, size in enumerate(memory)]
            await self.ledger.set_gpus(session, 1, found)

    async def container(self, *, cpu: int = 0) -> int:
        """Claim a container, as whoever makes one does first."""
        name = f"{self.lease.id[-8:]}-{next(self.numbers)}"
        record = ContainerRecord(
            owner="user-1", name=name, image="x", cpu_millis=cpu, created_at=utcnow()
        )
        async with self.store.write() as session:
            session.add(record)
        return record.cid

    async def ticket(self, wish: Wish | None = None, *, wait: bool = True, cpu: int = 0) -> Ticket:
        return Ticket(await self.container(cpu=cpu), wish or Wish(), wait, cpu, 0)

    async def take(
        self, wish: Wish | None = None, *, wait: bool = False, cpu: int = 0
    ) -> list[int]:
        """Return the numbers of the GPUs that a new container gets."""
        ticket = await self.ticket(wish, wait=wait, cpu=cpu)
        return [gpu.gid for gpu in await asyncio.wait_for(self.queue.take(ticket), 20)]

    async def free(self, *cids: int) -> None:
        async with self.store.write() as session:
            await self.ledger.free(session, cids)

    async def holders(self) -> dict[int, int]:
        """The container by GPU."""
        async with self.store.read() as session:
            return {
                gid: cid for gid, cid in await session.execute(select(GpuClaim.gid, GpuClaim.cid))
            }


Serving = Callable[[], AsyncIterator[Server]]


@pytest.fixture
def serving(make_store: MakeStore):
    """Run another server of the store: ``async with serving() as server``."""
    made = [make_store() for _ in range(4)]

    @asynccontextmanager
    async def run() -> AsyncIterator[Server]:
        server = Server(made.pop())
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    return run


async def test_a_gpu_is_held_until_it_is_freed(serving) -> None:
    async with serving() as server:
        await server.have(24, 80)
        assert await server.take() == [1]
        assert await server.take() == [2]
        with pytest.raises(Conflict, match="0 of 2 such GPUs are free") as refused:
            await server.take()
        assert refused.value.kind == "gpu"
        with pytest.raises(Conflict, match="GPU 2 is taken") as refused:
            await server.take(Wish(gids=(2,)))
        assert refused.value.name == "2"
        with pytest.raises(Conflict, match="There is no GPU 7"):
            await server.take(Wish(gids=(7,)))
        await server.free((await server.holders())[2])
        assert await server.take(Wish(gids=(2,))) == [2]
        async with server.store.read() as session:
            left = (await session.scalars(select(GpuRequest.granted))).all()
        # Who was refused waits for nothing.
        assert sorted(left) == [[1], [2]]


async def test_who_waits_is_served_in_order(serving) -> None:
    async with serving() as server:
        await server.have(80)
        await server.take()
        tickets = [await server.ticket() for _ in range(5)]
        order: list[int] = []

        async def wait(ticket: Ticket) -> None:
            await server.queue.take(ticket)
            order.append(ticket.cid)

        tasks = [asyncio.create_task(wait(ticket)) for ticket in tickets]
        while not all(ticket.number for ticket in tickets):
            await asyncio.sleep(0.01)
        await server.queue.count_places()
        assert [ticket.place for ticket in tickets] == [1, 2, 3, 4, 5]
        with pytest.raises(Conflict, match="0 of 1 such GPUs are free"):
            await server.take()
        for done in range(5):
            [holder] = (await server.holders()).values()
            await server.free(holder)
            async with asyncio.timeout(30):
                while len(order) == done:
                    await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert order == [ticket.cid for ticket in tickets]


async def test_who_gives_up_waiting_is_passed(serving) -> None:
    async with serving() as server:
        await server.have(80)
        await server.take()
        impatient, patient = [await server.ticket() for _ in range(2)]
        tasks = [asyncio.create_task(server.queue.take(each)) for each in (impatient, patient)]
        while not patient.number:
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        [holder] = (await server.holders()).values()
        await server.free(impatient.cid, holder)
        assert [gpu.gid for gpu in await asyncio.wait_for(tasks[1], 5)] == [1]


async def test_processors_and_memory_are_counted(serving) -> None:
    async with serving() as server:
        await server.have(24, 24, 24, cpu=8000)
        await server.take(cpu=6000)
        with pytest.raises(Conflict):
            await server.take(cpu=3000)
        await server.take(cpu=2000)
        async with server.store.write() as session:
            with pytest.raises(Conflict, match="not enough processors") as refused:
                taken = Taken(await server_container(session), 1, 1, 0, server.lease.id)
                await server.ledger.reserve(session, taken)
        assert refused.value.kind == "device"


async def server_container(session) -> int:
    record = ContainerRecord(owner="user-2", name="other", image="x", created_at=utcnow())
    session.add(record)
    await session.flush()
    return record.cid


async def test_who_asks_for_what_there_is_not_is_refused_at_once(serving) -> None:
    async with serving() as server:
        await server.have(24, 24)
        for wish in (Wish(count=3), Wish(gids=(1, 9)), Wish(model="T4"), Wish(shared=True)):
            with pytest.raises(Conflict):
                await server.take(wish, wait=True)
        with pytest.raises(Conflict, match="Ask for less"):
            await server.take(cpu=65_000, wait=True)
        assert await server.take() == [1]


async def test_a_container_that_is_gone_stops_nobody(serving) -> None:
    async with serving() as server:
        await server.have(24)
        lost = Ticket(999, Wish(), True, 0, 0)
        twice = await server.ticket()
        results = await asyncio.gather(
            server.queue.take(lost),
            server.queue.take(twice),
            server.queue.take(Ticket(twice.cid, Wish(), True, 0, 0)),
            return_exceptions=True,
        )
        assert [type(each) for each in results] == [Conflict, tuple, Conflict]
        await server.free(twice.cid)
        assert await server.take() == [1]


async def test_who_waits_for_a_container_that_is_deleted_hears_of_it(serving) -> None:
    async with serving() as server:
        await server.have(24)
        await server.take()
        ticket = await server.ticket()
        waiting = asyncio.create_task(server.queue.take(ticket))
        while not ticket.number:
            await asyncio.sleep(0.01)
        await server.free(ticket.cid)
        with pytest.raises(Conflict, match="was deleted"):
            await asyncio.wait_for(waiting, 5)


async def test_what_is_cancelled_leaves_nothing(serving) -> None:
    """Whenever it is cancelled: before, within or after the round that grants it."""
    async with serving() as server:
        await server.have(24, cpu=4000)
        for turn in range(25):
            ticket = await server.ticket(cpu=1000)
            task = asyncio.create_task(server.queue.take(ticket))
            await asyncio.sleep(turn * 0.0007)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.free(ticket.cid)
        assert await server.holders() == {}
        async with server.store.read() as session:
            record = await session.get(DeviceRecord, 1)
            assert record is not None
            assert record.used_cpu_millis == 0
            assert (await session.scalars(select(GpuRequest.cid))).all() == []
            assert (await session.scalars(select(Reservation.cid))).all() == []


async def test_what_runs_already_is_counted_and_given_back_once(serving) -> None:
    async with serving() as server:
        await server.have(24, cpu=1000)
        cid = await server.container(cpu=3000)
        async with server.store.write() as session:
            assert await server.ledger.reserve(session, Taken(cid, 1, 3000, 5))
            assert not await server.ledger.reserve(session, Taken(cid, 1, 3000, 5))

        async def used() -> tuple[int, int]:
            async with server.store.read() as session:
                record = await session.get(DeviceRecord, 1)
                assert record is not None
                return record.used_cpu_millis, record.used_memory_bytes

        assert await used() == (3000, 5)
        await server.free(cid)
        await server.free(cid)
        assert await used() == (0, 0)
        async with server.store.write() as session:
            await server.ledger.add(session, 1, 700, 7, refuse=False)
            await server.ledger.reconcile(session)
        assert await used() == (0, 0)


async def test_a_gpu_that_goes_and_comes_back_keeps_its_number(serving) -> None:
    async with serving() as server:
        await server.have(24, 80)
        await server.have(24)
        assert await server.take() == [1]
        with pytest.raises(Conflict, match="There is no GPU 2"):
            await server.take(Wish(gids=(2,)))
        await server.have(24, 80)
        assert await server.take() == [2]


async def test_another_server_takes_over_who_waits(serving) -> None:
    async with serving() as one, serving() as other:
        await one.have(80)
        await one.take()
        first, second = [await one.ticket() for _ in range(2)]
        tasks = [asyncio.create_task(one.queue.take(each)) for each in (first, second)]
        while not second.number:
            await asyncio.sleep(0.01)
        await one.queue.stop()
        for task in tasks:
            task.cancel()
        resumed = [Ticket(each.cid, Wish(), True, 0, 0) for each in (second, first)]
        taking = [asyncio.create_task(other.queue.resume(each)) for each in resumed]
        while not all(each.number for each in resumed):
            await asyncio.sleep(0.01)
        [holder] = (await one.holders()).values()
        await other.free(holder)
        assert await asyncio.wait_for(taking[1], 5)
        assert not taking[0].done()
        await other.free(first.cid)
        assert await asyncio.wait_for(taking[0], 5)


async def test_many_servers_give_each_gpu_once_and_in_order(serving) -> None:
    """Judged by the claims that were seen, in the order in which they were written down."""
    chance = random.Random(4)
    gpus, each = 8, 40
    async with serving() as one, serving() as two, serving() as three, serving() as four:
        servers = [one, two, three, four]
        if one.store.is_sqlite:
            # A file is one process's.
            servers = [one]
        await one.have(*[80] * gpus)
        held: Counter[int] = Counter()
        numbers: list[int] = []

        async def use(server: Server) -> None:
            ticket = await server.ticket()
            got = await server.queue.take(ticket)
            numbers.append(ticket.number)
            for gpu in got:
                held[gpu.gid] += 1
                assert held[gpu.gid] == 1
            await asyncio.sleep(chance.uniform(0, 0.02))
            for gpu in got:
                held[gpu.gid] -= 1
            await server.free(ticket.cid)

        async with asyncio.timeout(60):
            await asyncio.gather(*(use(chance.choice(servers)) for _ in range(each)))
        assert len(set(numbers)) == each
        assert await one.holders() == {}
        async with one.store.read() as session:
            assert (await session.scalars(select(GpuRequest.number))).all() == []
            assert (await session.scalars(select(Reservation.cid))).all() == []
