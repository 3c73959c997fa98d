"""Which devices there are, and which GPUs they have. All within a transaction of the caller's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from ..store.database import Store, insert_for
from .placement import Gpu
from .records import LOCAL_DEVICE, DeviceRecord, GpuClaim, GpuRecord

SIGNAL = "gpus"
"""Raised where something came free, or somebody got it."""

SHORTEST_UUID = 11
"""Characters of a UUID that mean one GPU: ``GPU-`` and seven digits."""


@dataclass(frozen=True, slots=True)
class Found:
    """A GPU as its driver tells of it."""

    uuid: str
    model: str
    memory: int
    parent: str | None = None


class Inventory:
    """Devices and their GPUs, as the store knows them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_sqlite = store.is_sqlite

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

    async def numbers(
        self, session: AsyncSession, did: int, uuids: Collection[str]
    ) -> tuple[int, ...]:
        """Return the numbers of GPUs of a device; of all where ``all`` is among them."""
        wanted = select(GpuRecord.gid).where(GpuRecord.present, GpuRecord.device == did)
        if "all" not in uuids:
            wanted = wanted.where(GpuRecord.uuid.in_(uuids))
        return tuple(await session.scalars(wanted.order_by(GpuRecord.gid)))

    async def tell(self, session: AsyncSession) -> None:
        """Let those who wait look again; everybody who does so waits for one another."""
        await self._store.signals.raise_(session, SIGNAL)


def same_gpu(value: str, uuid: str) -> bool:
    """Tell whether an operator's word for a GPU, which may be cut short, means a UUID."""
    return value == uuid or (len(value) >= SHORTEST_UUID and uuid.startswith(value))
