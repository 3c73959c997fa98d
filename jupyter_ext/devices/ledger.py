"""The ledger of devices: what running containers take of processors, memory and GPUs.

Everything happens within a transaction of the caller's. The order is the same everywhere, so that
nobody waits in a circle: the container's row (no stronger than its name needs), its place in the
queue, its reservation, the device's sums, its GPUs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from ..store.database import insert_for
from ..store.types import utcnow
from .inventory import Inventory
from .placement import Gpu
from .records import DeviceRecord, GpuClaim, GpuRequest, Reservation


@dataclass(frozen=True, slots=True)
class Taken:
    """What a container takes of its device.

    Parameters
    ----------
    cpu, memory
        Thousandths of a processor, and bytes; 0 where it has no limit of its own.
    server
        The process that is starting it; None where it runs already.
    """

    cid: int
    device: int
    cpu: int
    memory: int
    server: str | None = None


class DeviceLedger(Inventory):
    """Sums, reservations and places on GPUs."""

    async def reserve(self, session: AsyncSession, taken: Taken) -> bool:
        """Take processors and memory for a container that is about to start, or runs already.

        What runs already is counted whatever the device's size is. What takes them already, since
        it ended a moment ago, goes on doing so, for the server that starts it.

        Returns
        -------
        bool
            Whether it took nothing before.

        Raises
        ------
        Conflict
            The device has not enough left.
        """
        new = insert_for(self._store.is_sqlite)(Reservation)
        done = await session.execute(
            new.values(**_reservation(taken)).on_conflict_do_nothing().returning(Reservation.cid)
        )
        if done.first() is None:
            if taken.server is not None:
                await self.keep(session, taken.cid, taken.server)
            return False
        refuse = taken.server is not None
        if not await self.add(session, taken.device, taken.cpu, taken.memory, refuse=refuse):
            raise full(taken.device)
        return True

    async def add(
        self, session: AsyncSession, device: int, cpu: int, memory: int, *, refuse: bool
    ) -> bool:
        """Add to a device's sums or, below 0, subtract; False where it has not enough left."""
        if not cpu and not memory:
            return True
        record = DeviceRecord
        cpus, bytes_ = record.used_cpu_millis + cpu, record.used_memory_bytes + memory
        statement = (
            update(record)
            .where(record.did == device)
            .values(
                used_cpu_millis=case((cpus > 0, cpus), else_=0),
                used_memory_bytes=case((bytes_ > 0, bytes_), else_=0),
            )
            .execution_options(synchronize_session=False)
        )
        # Nobody knows the size of a device that was never reached.
        if refuse and cpu > 0:
            statement = statement.where((cpus <= record.cpu_millis) | (record.cpu_millis == 0))
        if refuse and memory > 0:
            enough = (bytes_ <= record.memory_bytes) | (record.memory_bytes == 0)
            statement = statement.where(enough)
        done = await session.execute(statement)
        return isinstance(done, CursorResult) and done.rowcount == 1

    async def resize(
        self, session: AsyncSession, cid: int, cpu: int, memory: int, *, refuse: bool
    ) -> None:
        """Change what a container takes, where it runs.

        Raises
        ------
        Conflict
            The device has not enough left.
        """
        record = await session.get(Reservation, cid, with_for_update=True)
        if record is None:
            return
        more = cpu - record.cpu_millis, memory - record.memory_bytes
        record.cpu_millis, record.memory_bytes = cpu, memory
        await session.flush()
        # What becomes smaller needs no room.
        refuse = refuse and max(more) > 0
        if not await self.add(session, record.device, *more, refuse=refuse):
            raise full(record.device)

    async def hand_out(
        self,
        session: AsyncSession,
        grants: Sequence[tuple[Taken, tuple[Gpu, ...]]],
        places: Mapping[int, set[int]],
    ) -> None:
        """Write down who has which GPUs, and what else their containers take.

        Parameters
        ----------
        places
            By GPU, those that were taken when they were chosen (`gpus`).

        Raises
        ------
        Conflict
            A device was filled by somebody else since the caller looked.
        """
        now = utcnow()
        taken_places = {gid: set(slots) for gid, slots in places.items()}
        claims: list[dict[str, Any]] = []
        cpus: Counter[int] = Counter()
        memory: Counter[int] = Counter()
        for taken, gpus in grants:
            cpus[taken.device] += taken.cpu
            memory[taken.device] += taken.memory
            for gpu in gpus:
                slot = free_slot(gpu, taken_places)
                taken_places.setdefault(gpu.gid, set()).add(slot)
                claims.append({"gid": gpu.gid, "slot": slot, "cid": taken.cid, "since": now})
        await session.execute(insert(Reservation), [_reservation(taken) for taken, _ in grants])
        for device in sorted(cpus):
            if not await self.add(session, device, cpus[device], memory[device], refuse=True):
                raise full(device)
        await session.execute(insert(GpuClaim), claims)

    async def hold(self, session: AsyncSession, cid: int, gids: Sequence[int]) -> bool:
        """Write down that a running container has these GPUs; False where somebody else has one.

        In a savepoint, since another server may be as fast.
        """
        if set(await self.held(session, cid)) == set(gids):
            return True
        gpus, places = await self.gpus(session)
        wanted = [gpu for gpu in gpus if gpu.gid in gids]
        if len(wanted) < len(gids) or any(not gpu.free for gpu in wanted):
            return False
        now = utcnow()
        claims = [
            {"gid": gpu.gid, "slot": free_slot(gpu, places), "cid": cid, "since": now}
            for gpu in wanted
        ]
        try:
            async with session.begin_nested():
                await session.execute(insert(GpuClaim), claims)
        except IntegrityError:
            return False
        return True

    async def keep(self, session: AsyncSession, cid: int, server: str) -> bool:
        """A server stops it and starts it again; False where it takes nothing now."""
        kept = await session.execute(
            update(Reservation)
            .where(Reservation.cid == cid)
            .values(server=server)
            .returning(Reservation.cid)
        )
        return kept.first() is not None

    async def settle(self, session: AsyncSession, cids: Collection[int]) -> None:
        """The engine says that they run: from now on it decides when they end."""
        await session.execute(delete(GpuRequest).where(GpuRequest.cid.in_(cids)))
        await session.execute(
            update(Reservation).where(Reservation.cid.in_(cids)).values(server=None)
        )

    async def free(self, session: AsyncSession, cids: Collection[int]) -> bool:
        """Give back what containers took; what is given back already is not given twice.

        Returns
        -------
        bool
            Whether anybody who waits may get something now: tell them by `SIGNAL`, last of all.
        """
        # First: it waits for a round of the queue that is handing something to one of them.
        asked = await session.execute(
            delete(GpuRequest).where(GpuRequest.cid.in_(cids)).returning(GpuRequest.cid)
        )
        rows = await session.execute(
            delete(Reservation)
            .where(Reservation.cid.in_(cids))
            .returning(Reservation.device, Reservation.cpu_millis, Reservation.memory_bytes)
        )
        cpus: Counter[int] = Counter()
        memory: Counter[int] = Counter()
        for device, cpu, size in rows.all():
            cpus[device] += cpu
            memory[device] += size
        for device in sorted(cpus):
            await self.add(session, device, -cpus[device], -memory[device], refuse=False)
        held = await session.execute(
            delete(GpuClaim).where(GpuClaim.cid.in_(cids)).returning(GpuClaim.gid)
        )
        return bool(asked.all()) | bool(held.all()) | any(cpus.values()) | any(memory.values())

    async def held(self, session: AsyncSession, cid: int) -> tuple[int, ...]:
        """Return the numbers of the GPUs that a container has."""
        claims = select(GpuClaim.gid).where(GpuClaim.cid == cid).order_by(GpuClaim.gid)
        return tuple(await session.scalars(claims))

    async def starting(self, session: AsyncSession, cids: Collection[int], server: str) -> set[int]:
        """Return which of these containers other servers than `server` are starting."""
        others = Reservation.cid.in_(cids), Reservation.server != server
        rows = select(Reservation.cid).where(*others).with_for_update()
        return set(await session.scalars(rows))

    async def reconcile(self, session: AsyncSession) -> None:
        """Set every device's sums to what the reservations say.

        Who takes something meanwhile adds it when this has ended, so that nothing is lost.
        """
        devices = (
            await session.scalars(select(DeviceRecord).order_by(DeviceRecord.did).with_for_update())
        ).all()
        sums = select(
            Reservation.device,
            func.sum(Reservation.cpu_millis),
            func.sum(Reservation.memory_bytes),
        ).group_by(Reservation.device)
        right = {device: (int(cpu), int(size)) for device, cpu, size in await session.execute(sums)}
        for record in devices:
            record.used_cpu_millis, record.used_memory_bytes = right.get(record.did, (0, 0))


def free_slot(gpu: Gpu, places: Mapping[int, set[int]]) -> int:
    """Return a place on a GPU that nobody has."""
    return next(slot for slot in range(gpu.slots) if slot not in places.get(gpu.gid, ()))


def _reservation(taken: Taken) -> dict[str, Any]:
    return {
        "cid": taken.cid,
        "device": taken.device,
        "cpu_millis": taken.cpu,
        "memory_bytes": taken.memory,
        "server": taken.server,
        "since": utcnow(),
    }


def full(device: int) -> Conflict:
    """Say that a device has not enough left."""
    return Conflict(
        "device",
        device,
        "The device has not enough processors or memory left for it now. Stop something, or ask "
        "for less.",
    )
