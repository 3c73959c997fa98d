"""The ledger of devices: what running containers take of processors, memory and GPUs.

Everything happens within a transaction of the caller's. The order is the same everywhere, so that
nobody waits in a circle: the container's row (no stronger than its name needs), its place in the
queue, its reservation, the device's sums, its GPUs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from ..store.database import Store, insert_for
from ..store.types import utcnow
from .placement import Gpu
from .records import LOCAL_DEVICE, DeviceRecord, GpuClaim, GpuRecord, GpuRequest, Reservation

SIGNAL = "gpus"
"""Raised where something came free, or somebody got it."""


SHORTEST_UUID = 11
"""Characters of a UUID that mean one GPU: ``GPU-`` and seven digits."""


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


@dataclass(frozen=True, slots=True)
class Found:
    """A GPU as its driver tells of it."""

    uuid: str
    model: str
    memory: int
    parent: str | None = None


class DeviceLedger:
    """Sums, reservations and places on GPUs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_sqlite = store.is_sqlite

    # -- what there is ---------------------------------------------------------------------------

    async def set_device(
        self, session: AsyncSession, did: int, cpu: int, memory: int, cpu_name: str
    ) -> None:
        """Write down what a device has, in thousandths of a processor and bytes."""
        await session.execute(
            update(DeviceRecord)
            .where(DeviceRecord.did == did)
            .values(cpu_millis=cpu, memory_bytes=memory, cpu_name=cpu_name)
        )

    async def set_engine(self, session: AsyncSession, did: int, engine: str) -> bool:
        """Write down an engine's own id; False where it is another device's."""
        if not engine:
            return True
        known = update(DeviceRecord).where(DeviceRecord.did == did)
        try:
            async with session.begin_nested():
                await session.execute(known.values(engine=engine))
        except IntegrityError:
            return False
        return True

    async def need(self, session: AsyncSession, did: int) -> None:
        """Keep a device from being removed until the transaction has ended.

        Raises
        ------
        Conflict
            It was removed meanwhile.
        """
        if not await self.has(session, did):
            raise Conflict("device", did, f"Device {did} was removed meanwhile.")

    async def has(self, session: AsyncSession, did: int) -> bool:
        """Whether there is a device, which is there until the transaction has ended."""
        if did == LOCAL_DEVICE:
            # Nobody can remove it.
            return True
        row = select(DeviceRecord.did).where(DeviceRecord.did == did)
        found = await session.scalar(row.with_for_update(read=True, key_share=True))
        return found is not None

    async def set_gpus(self, session: AsyncSession, did: int, found: Sequence[Found]) -> None:
        """Write down which GPUs a device has; one that comes back has its old number."""
        new = insert_for(self._store.is_sqlite)(GpuRecord)
        for gpu in found:
            now = {
                "model": gpu.model,
                "memory_bytes": gpu.memory,
                "parent": gpu.parent,
                "present": True,
            }
            await session.execute(
                new.values(device=did, uuid=gpu.uuid, slots=1, **now).on_conflict_do_update(
                    index_elements=["device", "uuid"], set_=now
                )
            )
        await session.execute(
            update(GpuRecord)
            .where(GpuRecord.device == did, GpuRecord.uuid.not_in([gpu.uuid for gpu in found]))
            .values(present=False)
        )
        await self._store.signals.raise_(session, SIGNAL)

    async def set_foreign(
        self, session: AsyncSession, did: int, held: Collection[str]
    ) -> list[tuple[int, bool]]:
        """Write down which GPUs of a device somebody has who is no container of the store's.

        Parameters
        ----------
        held
            Their UUIDs, or how these begin, as NVIDIA's runtime takes them.

        Returns
        -------
        list of tuple
            The numbers of those that changed, and whether they are held now.
        """
        rows = await session.execute(
            select(GpuRecord.gid, GpuRecord.uuid, GpuRecord.foreign).where(GpuRecord.device == did)
        )
        changed = []
        for gid, uuid, before in rows:
            now = any(same_gpu(value, uuid) for value in held)
            if now != before:
                await session.execute(
                    update(GpuRecord).where(GpuRecord.gid == gid).values(foreign=now)
                )
                changed.append((gid, now))
        if changed:
            await self.tell(session)
        return changed

    async def gpus(self, session: AsyncSession) -> tuple[list[Gpu], dict[int, set[int]]]:
        """Return the GPUs that are there, and the places on each that are taken."""
        taken: defaultdict[int, set[int]] = defaultdict(set)
        gpu, claim = GpuRecord.__table__, GpuClaim.__table__
        rows = await session.execute(
            select(gpu, claim.c.slot)
            .outerjoin_from(gpu, claim, claim.c.gid == gpu.c.gid)
            .where(gpu.c.present)
            .order_by(gpu.c.gid)
        )
        found: dict[int, Any] = {}
        for row in rows:
            found[row.gid] = row
            if row.slot is not None:
                taken[row.gid].add(row.slot)
        gpus = [
            Gpu(
                row.gid,
                row.device,
                row.uuid,
                row.model,
                row.memory_bytes,
                row.slots,
                0 if row.foreign else max(0, row.slots - len(taken[row.gid])),
            )
            for row in found.values()
        ]
        return gpus, taken

    async def models(self, session: AsyncSession, gids: Collection[int]) -> list[str]:
        """Return the models of GPUs by their numbers, those that are gone included."""
        models = select(GpuRecord.model).where(GpuRecord.gid.in_(gids)).order_by(GpuRecord.gid)
        return list(await session.scalars(models))

    async def device(self, session: AsyncSession, did: int) -> DeviceRecord | None:
        """Return a device and its sums."""
        return await session.get(DeviceRecord, did)

    async def devices(self, session: AsyncSession) -> list[int]:
        """Return the numbers of all devices."""
        return list(await session.scalars(select(DeviceRecord.did).order_by(DeviceRecord.did)))

    # -- what is taken ---------------------------------------------------------------------------

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

    async def numbers(
        self, session: AsyncSession, did: int, uuids: Collection[str]
    ) -> tuple[int, ...]:
        """Return the numbers of GPUs of a device; of all where ``all`` is among them."""
        wanted = select(GpuRecord.gid).where(GpuRecord.present, GpuRecord.device == did)
        if "all" not in uuids:
            wanted = wanted.where(GpuRecord.uuid.in_(uuids))
        return tuple(await session.scalars(wanted.order_by(GpuRecord.gid)))

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

    async def tell(self, session: AsyncSession) -> None:
        """Let those who wait look again; everybody who does so waits for one another."""
        await self._store.signals.raise_(session, SIGNAL)

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


def same_gpu(value: str, uuid: str) -> bool:
    """Tell whether an operator's word for a GPU, which may be cut short, means a UUID."""
    return value == uuid or (len(value) >= SHORTEST_UUID and uuid.startswith(value))


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
