"""Records of containers: kept in memory, written through to the store.

One desk owns the store, so nothing is asked of it per request. Where several servers share one
(PostgreSQL), a change by one raises a signal and the others load again, within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..errors import Conflict
from ..store import Store
from ..store.leases import ServerLease, ServerRecord
from .claims import Claims
from .known import Known, Stray, name_taken
from .ports import PortPolicy, Ports
from .records import ContainerRecord, PortClaim
from .shares import Share

SIGNAL = "containers"
ATTEMPTS = 20
"""How often another free port is tried when somebody else was faster."""


class Registry:
    """Records of containers.

    Parameters
    ----------
    lease
        Whose server's name is written to what it is making.
    quotas
        What owners use is counted there.
    """

    def __init__(self, store: Store, lease: ServerLease, quotas: QuotaLedger) -> None:
        self._store = store
        self._lease = lease
        self._claims = Claims(store, quotas)
        self.by_cid: dict[int, Known] = {}
        self.by_engine: dict[str, Known] = {}
        self.ports: dict[tuple[int, str], int] = {}
        """``(port, protocol)`` to cid."""
        self.making: set[int] = set()
        """What this process is making now."""
        self.resizing: set[int] = set()
        """Whose limits this process is changing now, so that engine and record may differ."""
        self._loading = asyncio.Lock()
        self._meanwhile: dict[int, Known | None] | None = None
        self._meanwhile_ports: dict[tuple[int, str], int] | None = None

    async def load(self) -> None:
        """Read everything; what is written meanwhile counts more than what was read."""
        async with self._loading:
            self._meanwhile, self._meanwhile_ports = {}, {}
            try:
                known, ports = await self._read()
                known |= self._meanwhile
                ports |= self._meanwhile_ports
            finally:
                meanwhile, self._meanwhile, self._meanwhile_ports = self._meanwhile, None, None
            gone = {cid for cid, record in (meanwhile or {}).items() if record is None}
            self.by_cid = {cid: record for cid, record in known.items() if record is not None}
            self.by_engine = {
                record.engine_id: record for record in self.by_cid.values() if record.engine_id
            }
            self.ports = {place: cid for place, cid in ports.items() if cid not in gone}

    async def _read(self) -> tuple[dict[int, Known | None], dict[tuple[int, str], int]]:
        table, claims = ContainerRecord.__table__, PortClaim.__table__
        async with self._store.read() as session:
            rows = (await session.execute(select(table))).all()
            ports = (await session.execute(select(claims))).all()
        known: dict[int, Known | None] = {
            row.cid: Known(
                row.cid,
                row.engine_id,
                row.owner,
                row.name,
                row.image,
                row.created_at,
                row.server,
                row.device,
                Share(row.cpu_millis, row.memory_bytes),
            )
            for row in rows
        }
        return known, {(row.port, row.protocol): row.cid for row in ports}

    # -- claims ---------------------------------------------------------------------------------

    async def claim(
        self,
        owner: str,
        name: str,
        image: str,
        ports: Ports,
        policy: PortPolicy,
        share: Share | None = None,
    ) -> tuple[Known, Ports]:
        """Take a name, ports and a share of the owner's quotas, in one transaction.

        Returns
        -------
        tuple
            The record without an engine's id, and the ports with every free one picked.

        Raises
        ------
        Conflict
            The name or a port is taken.
        QuotaExceeded
            A quota would be passed.
        InvalidRequest
            The container has no limit where its owner has a quota.
        """
        for _ in range(ATTEMPTS):
            chosen = policy.choose(ports, self.ports)
            try:
                async with self._changing() as session:
                    known = await self._claims.make(
                        session, owner, name, image, chosen, share or Share(), self._lease.id
                    )
            except Conflict as conflict:
                picked = {chosen[key] for key, port in ports.items() if port is None}
                if conflict.kind == "port" and int(conflict.name) in picked:
                    # Another server was faster; its claim is not in memory yet.
                    await self.load()
                    continue
                raise
            self.making.add(known.cid)
            self._put(known)
            self._put_ports(known.cid, chosen)
            return known, chosen
        raise Conflict("port", "any", "No free port could be taken; try again.")

    async def bind(self, cid: int, engine_id: str) -> Known:
        """Write down which container of the engine it became.

        Raises
        ------
        Conflict
            This server was taken for dead meanwhile, and the claim given back.
        """
        async with self._changing() as session:
            found = await session.execute(
                update(ContainerRecord)
                .where(ContainerRecord.cid == cid)
                .values(engine_id=engine_id, server=None)
                .returning(ContainerRecord.cid)
            )
            if found.first() is None:
                raise Conflict("container", cid, "The claim on the name was lost; try again.")
        known = replace(self.by_cid[cid], engine_id=engine_id, server=None)
        self._put(known)
        self.making.discard(cid)
        return known

    async def rename(self, cid: int, name: str) -> Known:
        """Take another name.

        Raises
        ------
        Conflict
            It is taken.
        """
        async with self._changing() as session:
            try:
                await session.execute(
                    update(ContainerRecord).where(ContainerRecord.cid == cid).values(name=name)
                )
            except IntegrityError:
                raise name_taken(name) from None
        known = replace(self.by_cid[cid], name=name)
        self._put(known)
        return known

    async def resize(self, shares: Mapping[int, Share], *, refuse: bool = True) -> None:
        """Change what containers take of their owners' quotas.

        Parameters
        ----------
        refuse
            Whether limits count; not where the engine has it so already.

        Raises
        ------
        QuotaExceeded
            A quota would be passed.
        """
        async with self._changing() as session:
            await self._claims.resize(session, shares, refuse=refuse)
        for cid, share in shares.items():
            if (known := self.by_cid.get(cid)) is not None:
                self._put(replace(known, share=share))

    async def give(self, cids: Collection[int], owner: str) -> None:
        """Make containers somebody else's.

        Raises
        ------
        Conflict
            The new owner has one of the same name.
        """
        if not cids:
            return
        async with self._changing() as session:
            await self._claims.give(session, cids, owner)
        for cid in cids:
            self._put(replace(self.by_cid[cid], owner=owner))

    async def dead_claims(self) -> list[int]:
        """Numbers that a server claimed and died before it had made the container."""
        open_ones = [known for known in self.by_cid.values() if known.engine_id is None]
        if not open_ones:
            return []
        async with self._store.read() as session:
            dead = await self._lease.find_dead(session)
            alive = set((await session.scalars(select(ServerRecord.id))).all()) - set(dead)
        return [
            known.cid
            for known in open_ones
            if known.cid not in self.making and known.server not in alive
        ]

    async def release(self, cids: Collection[int]) -> None:
        """Forget containers that are gone; their names and ports are free."""
        if not cids:
            return
        async with self._changing() as session:
            await self._claims.release(session, cids)
        for cid in cids:
            if self._meanwhile is not None:
                self._meanwhile[cid] = None
            known = self.by_cid.pop(cid, None)
            if known is not None and known.engine_id:
                self.by_engine.pop(known.engine_id, None)
            self.making.discard(cid)
        self.ports = {key: cid for key, cid in self.ports.items() if cid not in cids}

    async def adopt(self, strays: Iterable[Stray]) -> list[Known]:
        """Give numbers and owners to containers that have none.

        A name that its owner has already gets a number behind it here (not at the engine); a port
        that somebody has is not claimed again.
        """
        strays = [stray for stray in strays if stray.engine_id not in self.by_engine]
        try:
            adopted = await self._adopt(strays)
        except IntegrityError:
            # Another server of the store was faster; what it did is not in memory yet.
            await self.load()
            strays = [stray for stray in strays if stray.engine_id not in self.by_engine]
            adopted = await self._adopt(strays)
        for known, ports in adopted:
            self._put(known)
            self._put_ports(known.cid, ports)
        return [known for known, _ in adopted]

    async def _adopt(self, strays: Collection[Stray]) -> list[tuple[Known, Ports]]:
        names = {(known.owner, known.name) for known in self.by_cid.values()}
        async with self._changing() as session:
            return await self._claims.adopt(session, strays, names, set(self.ports), self.by_cid)

    # -- inside ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that other servers of a shared store hear of."""
        async with self._store.write() as session:
            yield session
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)

    def _put(self, known: Known) -> None:
        if self._meanwhile is not None:
            self._meanwhile[known.cid] = known
        self.by_cid[known.cid] = known
        if known.engine_id:
            self.by_engine[known.engine_id] = known

    def _put_ports(self, cid: int, ports: Mapping[str, int | None]) -> None:
        for key, port in ports.items():
            if port:
                self.ports[(port, key.partition("/")[2])] = cid
                if self._meanwhile_ports is not None:
                    self._meanwhile_ports[(port, key.partition("/")[2])] = cid
