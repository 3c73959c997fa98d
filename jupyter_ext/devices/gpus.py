"""GPUs as callers see them: what there is, who has it, how busy it is."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import func, select

from ..accounts.schemas import Account
from ..containers.known import Known
from ..containers.records import ContainerRecord
from ..errors import NotFound
from ..store.database import Store
from .nvml import Reading
from .processes import containers_of
from .records import DeviceRecord, GpuClaim, GpuRecord, GpuRequest
from .schemas import GpuDetail, GpuList, GpuProcess, GpuReply, GpuSample, Holder
from .watch import GpuWatch

SPACING = 0.5
"""Seconds between two frames of one subscriber."""


class Names(Protocol):
    """Who knows user names."""

    def name(self, account_id: str) -> str:
        """Return the name of an account."""


class GpuManager:
    """Shows GPUs. Whose container has one is told to its owner and to administrators.

    Parameters
    ----------
    known
        Returns a container's record by the engine's id.
    """

    def __init__(
        self,
        store: Store,
        watch: GpuWatch,
        names: Names,
        known: Callable[[str], Known | None],
    ) -> None:
        self._store = store
        self._watch = watch
        self._names = names
        self._known = known

    async def list(self, caller: Account) -> GpuList:
        """All GPUs, by number, those that are gone included while somebody holds them."""
        rows, claims, waiting = await self._read()
        gpus = [
            self._reply(caller, row, claims.get(row.gid, ()))
            for row in rows
            if row.present or row.gid in claims
        ]
        return GpuList(gpus=gpus, total=len(gpus), waiting=waiting)

    async def get(self, caller: Account, gid: str) -> GpuDetail:
        """A GPU with its last hour.

        Raises
        ------
        NotFound
            None has this number.
        """
        rows, claims, _ = await self._read()
        for row in rows:
            if str(row.gid) == gid:
                shown = self._reply(caller, row, claims.get(row.gid, ()))
                return GpuDetail(**shown.model_dump(), history=[*self._history(row.uuid)])
        raise NotFound("gpu", gid)

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """All GPUs, for a subscription."""
        return (await self.list(caller)).model_dump()

    async def frames(
        self, caller: Account, data: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """All GPUs again, whenever something changed."""
        seen = self._watch.version
        while True:
            seen = await self._watch.change(seen)
            yield await self.snapshot(caller, data)
            await asyncio.sleep(SPACING)

    # -- inside ----------------------------------------------------------------------------------

    async def _read(self) -> tuple[Sequence[Any], Mapping[int, Iterable[Any]], int]:
        container, claim = ContainerRecord, GpuClaim
        held = select(claim.gid, claim.since, container.cid, container.name, container.owner).join(
            container, container.cid == claim.cid
        )
        waiting = select(func.count()).select_from(GpuRequest).where(GpuRequest.granted.is_(None))
        table, device = GpuRecord.__table__, DeviceRecord.__table__
        gpus = select(table, device.c.name.label("device_name")).join(
            device, device.c.did == table.c.device
        )
        async with self._store.read() as session:
            rows = (await session.execute(gpus.order_by(table.c.gid))).all()
            claims: defaultdict[int, deque[Any]] = defaultdict(deque)
            for row in await session.execute(held.order_by(claim.slot)):
                claims[row.gid].append(row)
            return rows, claims, int((await session.execute(waiting)).scalar_one())

    def _reply(self, caller: Account, row: Any, claims: Iterable[Any]) -> GpuReply:
        reading = self._watch.now(row.uuid)
        holders = [self._holder(caller, claim) for claim in claims]
        return GpuReply(
            gid=row.gid,
            device=row.device,
            device_name=row.device_name,
            uuid=row.uuid,
            model=row.model,
            memory=row.memory_bytes,
            parent=row.parent,
            mode="exclusive" if row.slots == 1 else "shared",
            slots=row.slots,
            free=max(0, row.slots - len(holders)) if row.present and not row.foreign else 0,
            present=row.present,
            foreign=row.foreign,
            holders=holders,
            utilization=reading.utilization,
            memory_used=reading.memory_used,
            temperature=reading.temperature,
            power=reading.power,
            processes=[*self._processes(reading, caller)],
        )

    def _holder(self, caller: Account, claim: Any) -> Holder:
        mine = claim.owner == caller.id
        shown = Holder(since=claim.since.isoformat(), mine=mine)
        if mine or caller.is_admin:
            shown.cid, shown.container = claim.cid, claim.name
            shown.username = self._names.name(claim.owner)
        return shown

    def _processes(self, reading: Reading, caller: Account) -> Iterator[GpuProcess]:
        inside = containers_of(reading.processes)
        for pid, size in sorted(reading.processes.items()):
            process = GpuProcess(memory_used=size)
            known = self._known(inside.get(pid, ""))
            if caller.is_admin or (known is not None and known.owner == caller.id):
                process.pid = pid
                if known is not None:
                    process.cid, process.container = known.cid, known.name
                    process.username = self._names.name(known.owner)
            yield process

    def _history(self, uuid: str) -> Iterator[GpuSample]:
        for past in self._watch.past(uuid):
            yield GpuSample(
                at=past.at.isoformat(),
                utilization=past.reading.utilization,
                memory_used=past.reading.memory_used,
            )
