"""Records of containers: kept in memory, written through to the store.

One desk owns the store, so nothing is asked of it per request. Where several servers share one
(PostgreSQL), a change by one raises a signal and the others load again, within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..devices.ledger import DeviceLedger
from ..devices.records import LOCAL_DEVICE, Reservation
from ..errors import Conflict
from ..operations.records import OperationRecord
from ..store import Store
from ..store.leases import ServerLease, ServerRecord
from .claims import Claims
from .handover import Handover
from .holdings import Holdings
from .known import Known, Stray, name_taken
from .ports import Place, PortPolicy, Ports
from .records import ContainerRecord, PortClaim
from .shares import Share

SIGNAL = "containers"
CREATE = "container.create"
"""The operation that makes one."""

ATTEMPTS = 20
"""How often another free port is tried when somebody else was faster."""

CHANGERS = 4
"""Transactions at once that tell other servers of a change: each waits for the one before it, with
a connection to the store that others of this server need, where hundreds are taken over."""


class Registry:
    """Records of containers.

    Parameters
    ----------
    lease
        Whose server's name is written to what it is making.
    quotas
        What owners use is counted there.
    """

    def __init__(
        self, store: Store, lease: ServerLease, quotas: QuotaLedger, devices: DeviceLedger
    ) -> None:
        self._store = store
        self._lease = lease
        self._devices = devices
        self._claims = Claims(store, quotas, devices)
        self.by_cid: dict[int, Known] = {}
        self.by_engine: dict[str, Known] = {}
        self.ports: dict[Place, int] = {}
        """Whose a port of a device is, by its cid."""
        self.making: set[int] = set()
        """What this process is making now."""
        self.exchanged: set[str] = set()
        """Engine's names of what this process is putting another one in the place of."""
        self.resizing: set[int] = set()
        """Whose limits this process is changing now, so that engine and record may differ."""
        self.holdings = Holdings(self, lease, self._claims, devices)
        self.handover = Handover(self, lease, self._claims, devices)
        self._loading = asyncio.Lock()
        self._changers = asyncio.Semaphore(CHANGERS)
        self._next: asyncio.Future[None] | None = None
        self._meanwhile: dict[int, Known | None] | None = None
        self._meanwhile_ports: dict[Place, int] | None = None

    async def load(self) -> None:
        """Read everything; what is written meanwhile counts more than what was read.

        Who asks while others wait for the next reading shares it.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._load())
        await asyncio.shield(self._next)

    async def _load(self) -> None:
        async with self._loading:
            # Who comes from now on may mean what is not read any more.
            self._next = None
            self._meanwhile, self._meanwhile_ports = {}, {}
            self.holdings.reading = {}
            try:
                known, ports, held = await self._read()
                known |= self._meanwhile
                held |= self.holdings.reading
                ports |= self._meanwhile_ports
            finally:
                meanwhile, self._meanwhile, self._meanwhile_ports = self._meanwhile, None, None
                self.holdings.reading = None
            gone = {cid for cid, record in (meanwhile or {}).items() if record is None}
            self.by_cid = {cid: record for cid, record in known.items() if record is not None}
            self.by_engine = {
                record.engine_id: record for record in self.by_cid.values() if record.engine_id
            }
            self.ports = {place: cid for place, cid in ports.items() if cid not in gone}
            self.holdings.read(held)

    async def _read(
        self,
    ) -> tuple[dict[int, Known | None], dict[Place, int], dict[int, str | None]]:
        table, claims = ContainerRecord.__table__, PortClaim.__table__
        async with self._store.read() as session:
            rows = (await session.execute(select(table))).all()
            ports = (await session.execute(select(claims))).all()
            held = await session.execute(select(Reservation.cid, Reservation.server))
            starting = {cid: server for cid, server in held}
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
                tuple(row.gpus or ()),
                row.password,
            )
            for row in rows
        }
        return known, {(row.device, row.port, row.protocol): row.cid for row in ports}, starting

    # -- claims ---------------------------------------------------------------------------------

    async def claim(
        self,
        owner: str,
        name: str,
        image: str,
        ports: Ports,
        policy: PortPolicy,
        share: Share | None = None,
        gpus: int = 0,
        password: str | None = None,
        device: int = LOCAL_DEVICE,
    ) -> tuple[Known, Ports]:
        """Take a name, ports, a share of the device and of the owner's quotas at once.

        Parameters
        ----------
        gpus
            How many will be asked for; the device's share comes with them then.
        password
            Encrypted.
        device
            Where it is to run, as far as that is known; GPUs decide it later.

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

        async def make(session: AsyncSession, chosen: Ports) -> Known:
            return await self._claims.make(
                session,
                owner,
                name,
                image,
                chosen,
                share or Share(),
                self._lease.id,
                gpus,
                password,
                device,
            )

        known, chosen = await self._with_ports(device, ports, policy, make)
        self.making.add(known.cid)
        if not gpus:
            self.holdings.hold([known.cid], self._lease.id)
        return known, chosen

    async def _with_ports(
        self,
        device: int,
        ports: Ports,
        policy: PortPolicy,
        claim: Callable[[AsyncSession, Ports], Awaitable[Known]],
    ) -> tuple[Known, Ports]:
        """Claim ports together with what they are for, and pick the free ones among them."""
        for _ in range(ATTEMPTS):
            chosen = policy.choose(ports, self._taken(device))
            try:
                async with self.changing() as session:
                    known = await claim(session, chosen)
            except Conflict as conflict:
                picked = {chosen[key] for key, port in ports.items() if port is None}
                if conflict.kind == "port" and int(conflict.name) in picked:
                    # Another server was faster; its claim is not in memory yet.
                    await self.load()
                    continue
                raise
            self.put(known)
            self._put_ports(known, chosen)
            return known, chosen
        raise Conflict("port", "any", "No free port could be taken; try again.")

    async def given(self, cid: int, uuids: Collection[str]) -> Known:
        """Write down which GPUs the engine gave to a container that was not made here."""
        async with self.changing() as session:
            gids = await self._devices.numbers(session, self.by_cid[cid].device, uuids)
            values = update(ContainerRecord).where(ContainerRecord.cid == cid)
            await session.execute(values.values(gpus=list(gids) or None))
        known = replace(self.by_cid[cid], gpus=gids)
        self.put(known)
        return known

    async def place(
        self, known: Known, device: int, ports: Ports, policy: PortPolicy
    ) -> tuple[Known, Ports]:
        """Claim ports on the device that GPUs decided on.

        A device where another server has placed it already is left: nothing of it was made there.

        Raises
        ------
        Conflict
            A port is taken there, or the claim was lost.
        """

        async def claim(session: AsyncSession, chosen: Ports) -> Known:
            return await self._claims.place(session, known, device, chosen)

        self.ports = {key: cid for key, cid in self.ports.items() if cid != known.cid}
        return await self._with_ports(device, ports, policy, claim)

    async def rename(self, cid: int, name: str) -> Known:
        """Take another name.

        Raises
        ------
        Conflict
            It is taken.
        """
        async with self.changing() as session:
            try:
                await session.execute(
                    update(ContainerRecord).where(ContainerRecord.cid == cid).values(name=name)
                )
            except IntegrityError:
                raise name_taken(name) from None
        known = replace(self.by_cid[cid], name=name)
        self.put(known)
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
        async with self.changing() as session:
            await self._claims.resize(session, shares, refuse=refuse)
        for cid, share in shares.items():
            if (known := self.by_cid.get(cid)) is not None:
                self.put(replace(known, share=share))

    async def give(self, cids: Collection[int], owner: str) -> None:
        """Make containers somebody else's.

        Raises
        ------
        Conflict
            The new owner has one of the same name.
        """
        if not cids:
            return
        async with self.changing() as session:
            await self._claims.give(session, cids, owner)
        for cid in cids:
            self.put(replace(self.by_cid[cid], owner=owner))

    async def dead_claims(self, device: int) -> list[Known]:
        """What a server claimed on a device and died before it had made the container."""
        open_ones = [
            known
            for known in self.by_cid.values()
            if known.engine_id is None and known.device == device
        ]
        if not open_ones:
            return []
        alive = await self.alive()
        async with self._store.read() as session:
            waiting = await self._waiting(session)
        return [
            known
            for known in open_ones
            if known.cid not in self.making | waiting and known.server not in alive
        ]

    async def _waiting(self, session: AsyncSession) -> set[int]:
        """Who waits for GPUs: is taken over with the operation that waits."""
        record = OperationRecord
        active = select(record.input).where(
            record.kind == CREATE, record.state.in_(("pending", "running"))
        )
        inputs = await session.scalars(active)
        return {given["cid"] for given in inputs if "request" in given}

    async def alive(self) -> set[str]:
        """The servers of the store that live."""
        async with self._store.read() as session:
            dead = await self._lease.find_dead(session)
            return set((await session.scalars(select(ServerRecord.id))).all()) - set(dead)

    async def release(self, cids: Collection[int]) -> None:
        """Forget containers that are gone; their names and ports are free."""
        if not cids:
            return
        async with self.changing() as session:
            await self._claims.release(session, cids)
        self.forget(cids)

    def forget(self, cids: Collection[int]) -> None:
        """Have containers in memory no more."""
        for cid in cids:
            if self._meanwhile is not None:
                self._meanwhile[cid] = None
            known = self.by_cid.pop(cid, None)
            if known is not None and known.engine_id:
                self.by_engine.pop(known.engine_id, None)
            self.making.discard(cid)
        self.holdings.give_back(cids)
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
            self.put(known)
            self._put_ports(known, ports)
        return [known for known, _ in adopted]

    async def _adopt(self, strays: Collection[Stray]) -> list[tuple[Known, Ports]]:
        names = {(known.owner, known.name) for known in self.by_cid.values()}
        async with self.changing() as session:
            return await self._claims.adopt(session, strays, names, set(self.ports), self.by_cid)

    # -- inside ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that other servers of a shared store hear of."""
        async with self._changers, self._store.write() as session:
            yield session
            if not self._store.is_sqlite:
                await self._store.signals.raise_(session, SIGNAL)

    def put(self, known: Known) -> None:
        """Have a container's record in memory as it is now."""
        if self._meanwhile is not None:
            self._meanwhile[known.cid] = known
        self.by_cid[known.cid] = known
        if known.engine_id:
            self.by_engine[known.engine_id] = known

    def _taken(self, device: int) -> set[tuple[int, str]]:
        """Ports of a device that somebody has, with their protocols."""
        return {(port, protocol) for where, port, protocol in self.ports if where == device}

    def _put_ports(self, known: Known, ports: Mapping[str, int | None]) -> None:
        for key, port in ports.items():
            if port:
                place = (known.device, port, key.partition("/")[2])
                self.ports[place] = known.cid
                if self._meanwhile_ports is not None:
                    self._meanwhile_ports[place] = known.cid
