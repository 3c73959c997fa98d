"""What claims say to the store, each within its caller's transaction.

The order is the same everywhere, so that nobody waits in a circle: containers, then their ports,
then what they take of the device (its own order is the ledger of devices'), then the ledger of
quotas, then the signals to other servers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..devices.ledger import DeviceLedger, Taken
from ..devices.records import Reservation
from ..errors import Conflict
from ..store import Store, utcnow
from .known import Known, Stray, free_name, name_taken, port_taken
from .ports import Place, Ports
from .records import ContainerRecord, PortClaim
from .shares import FIELDS, Share

Sums = defaultdict[str, Counter[str]]


class Claims:
    """Claims on names, ports, devices and quotas."""

    def __init__(self, store: Store, quotas: QuotaLedger, devices: DeviceLedger) -> None:
        self._store = store
        self._quotas = quotas
        self._devices = devices

    async def make(
        self,
        session: AsyncSession,
        owner: str,
        name: str,
        image: str,
        ports: Ports,
        share: Share,
        server: str,
        gpus: int,
        password: str | None,
        device: int,
    ) -> Known:
        """Claim all that a new container needs.

        Parameters
        ----------
        gpus
            How many it will ask for. Where there are any, the queue reserves the device's part,
            too, when it hands them out.

        Raises
        ------
        Conflict
            The name or a port is taken, or the device is full or was removed.
        QuotaExceeded, InvalidRequest, NotFound
            As the ledger says.
        """
        now = utcnow()
        record = ContainerRecord(
            device=device,
            engine_id=None,
            owner=owner,
            name=name,
            image=image,
            server=server,
            cpu_millis=share.cpu,
            memory_bytes=share.memory,
            gpu_count=gpus,
            password=password,
            created_at=now,
        )
        session.add(record)
        try:
            await session.flush()
        except IntegrityError:
            raise name_taken(name) from None
        await self._devices.need(session, device)
        for key, port in ports.items():
            await _claim_port(session, device, record.cid, key, port)
        if not gpus:
            taken = Taken(record.cid, device, share.cpu, share.memory, server)
            await self._devices.reserve(session, taken)
        amounts = {**share.all_amounts, "gpus": gpus}
        await self._quotas.take(session, owner, amounts, fields=FIELDS, new=name)
        return Known(
            record.cid, None, owner, name, image, now, server, device, share, password=password
        )

    async def place(self, session: AsyncSession, known: Known, device: int, ports: Ports) -> Known:
        """Give a claim its device, and ports there.

        Raises
        ------
        Conflict
            A port is taken, the claim was lost, or the device removed.
        """
        record = ContainerRecord
        found = await session.execute(
            update(record)
            .where(
                record.cid == known.cid,
                record.engine_id.is_(None),
                record.server == known.server,
            )
            .values(device=device)
            .returning(record.cid)
        )
        if found.first() is None:
            raise Conflict("container", known.name, "The claim on the name was lost.")
        await self._devices.need(session, device)
        await session.execute(delete(PortClaim).where(PortClaim.cid == known.cid))
        for key, port in ports.items():
            await _claim_port(session, device, known.cid, key, port)
        return replace(known, device=device)

    async def release(self, session: AsyncSession, cids: Collection[int]) -> None:
        """Forget containers; what is forgotten already is not given back again."""
        record = ContainerRecord
        await _lock(session, cids)
        await session.execute(delete(PortClaim).where(PortClaim.cid.in_(cids)))
        freed = await self._devices.free(session, cids)
        rows = await session.execute(
            delete(record)
            .where(record.cid.in_(cids))
            .returning(record.owner, record.cpu_millis, record.memory_bytes, record.gpu_count)
        )
        sums: Sums = defaultdict(Counter)
        for owner, cpu, memory, gpus in rows.all():
            sums[owner].subtract({**Share(cpu, memory).all_amounts, "gpus": gpus})
        await self._quotas.count(session, sums)
        if freed:
            await self._devices.tell(session)

    async def ask_gpus(self, session: AsyncSession, known: Known, gpus: int, server: str) -> None:
        """Count GPUs that a stopped container is about to ask for, in the name of a server.

        Raises
        ------
        QuotaExceeded
            Its owner may have no more.
        Conflict
            It has asked already.
        """
        record = ContainerRecord
        found = await session.execute(
            update(record)
            .where(record.cid == known.cid, record.gpu_count == 0)
            .values(gpu_count=gpus, server=server)
            .returning(record.cid)
        )
        if found.first() is None:
            raise Conflict("container", known.name, f"{known.name} is being started already.")
        await self._quotas.take(session, known.owner, {"gpus": gpus})

    async def settle(self, session: AsyncSession, cids: Collection[int]) -> None:
        """They run, or ran: what the engine says decides from now on."""
        record = ContainerRecord
        await _lock(session, cids)
        await session.execute(update(record).where(record.cid.in_(cids)).values(server=None))
        await self._devices.settle(session, cids)

    async def running(self, session: AsyncSession, known: Collection[Known]) -> list[Known]:
        """Count containers that run and that no server started.

        Returns
        -------
        list of Known
            Those that have GPUs which somebody else has by now.
        """
        record = ContainerRecord
        cids = [each.cid for each in known]
        rows = select(record.cid).where(record.cid.in_(cids)).order_by(record.cid)
        there = set(await session.scalars(rows.with_for_update(key_share=True)))
        sums: Sums = defaultdict(Counter)
        trespassing: list[Known] = []
        for each in sorted(known, key=lambda each: each.cid):
            if each.cid not in there:
                continue
            if each.gpus and not await self._devices.hold(session, each.cid, each.gpus):
                trespassing.append(each)
                continue
            share = Taken(each.cid, each.device, each.share.cpu, each.share.memory)
            if await self._devices.reserve(session, share) and each.gpus:
                sums[each.owner].update({"gpus": len(each.gpus)})
                values = update(record).where(record.cid == each.cid)
                await session.execute(values.values(gpu_count=len(each.gpus)))
        await self._quotas.count(session, sums)
        return trespassing

    async def dead_starts(self, session: AsyncSession, alive: Collection[str]) -> Sequence[int]:
        """Return the containers that a server was starting when it died."""
        record = ContainerRecord
        server = func.coalesce(Reservation.server, record.server)
        rows = await session.scalars(
            select(record.cid)
            .outerjoin(Reservation, Reservation.cid == record.cid)
            .where(
                record.engine_id.is_not(None),
                server.is_not(None),
                server.not_in(alive),
            )
        )
        return rows.all()

    async def stopped(self, session: AsyncSession, cids: Collection[int], server: str) -> set[int]:
        """Give back what containers took of their device while they ran.

        Parameters
        ----------
        server
            Who says so: what another one is starting again at this moment stays as it is.

        Returns
        -------
        set of int
            Those that take nothing any more.
        """
        record = ContainerRecord
        await _lock(session, cids)
        ended = set(cids) - await self._devices.starting(session, cids, server)
        rows = await session.execute(
            select(record.owner, record.gpu_count).where(
                record.cid.in_(ended), record.gpu_count > 0
            )
        )
        sums: Sums = defaultdict(Counter)
        for owner, gpus in rows.all():
            sums[owner].subtract({"gpus": gpus})
        await session.execute(
            update(record).where(record.cid.in_(ended)).values(gpu_count=0, server=None)
        )
        freed = await self._devices.free(session, ended)
        await self._quotas.count(session, sums)
        if freed:
            await self._devices.tell(session)
        return ended

    async def resize(
        self, session: AsyncSession, shares: Mapping[int, Share], *, refuse: bool
    ) -> None:
        """Change what containers take; those that are gone meanwhile take nothing.

        Raises
        ------
        QuotaExceeded
            A quota would be passed.
        Conflict
            The device has not enough left.
        """
        full: Conflict | None = None
        record = ContainerRecord
        rows = await session.execute(
            select(record.cid, record.owner, record.cpu_millis, record.memory_bytes)
            .where(record.cid.in_(shares))
            .order_by(record.cid)
            .with_for_update(key_share=True)
        )
        sums: Sums = defaultdict(Counter)
        for cid, owner, cpu, memory in rows.all():
            share = shares[cid]
            sums[owner].update(share.amounts)
            sums[owner].subtract(Share(cpu, memory).amounts)
            await session.execute(
                update(record)
                .where(record.cid == cid)
                .values(cpu_millis=share.cpu, memory_bytes=share.memory)
            )
            try:
                await self._devices.resize(session, cid, share.cpu, share.memory, refuse=refuse)
            except Conflict as error:
                # What is one's own fault is said first.
                full = error
        if not refuse:
            await self._quotas.count(session, sums)
            return
        for owner in sorted(sums):
            await self._quotas.take(session, owner, sums[owner])
        if full is not None:
            raise full

    async def give(self, session: AsyncSession, cids: Collection[int], owner: str) -> None:
        """Make containers somebody else's, and count them there, without a limit.

        Raises
        ------
        Conflict
            The new owner has one of the same name.
        """
        record = ContainerRecord
        rows = await session.execute(
            select(
                record.cid,
                record.owner,
                record.cpu_millis,
                record.memory_bytes,
                record.gpu_count,
            )
            .where(record.cid.in_(cids))
            .order_by(record.cid)
            .with_for_update()
        )
        sums: Sums = defaultdict(Counter)
        for _, before, cpu, memory, gpus in rows.all():
            amounts = {**Share(cpu, memory).all_amounts, "gpus": gpus}
            sums[before].subtract(amounts)
            sums[owner].update(amounts)
        try:
            await session.execute(update(record).where(record.cid.in_(cids)).values(owner=owner))
        except IntegrityError:
            raise name_taken("of the same name") from None
        await self._quotas.count(session, sums)

    async def adopt(
        self,
        session: AsyncSession,
        strays: Iterable[Stray],
        names: set[tuple[str, str]],
        taken: set[Place],
        cids: Collection[int],
    ) -> list[tuple[Known, Ports]]:
        """Give numbers to containers that have none; they count, and are refused nothing.

        Parameters
        ----------
        names, taken, cids
            Names by owner, ports and numbers that somebody has.
        """
        adopted: list[tuple[Known, Ports]] = []
        sums: Sums = defaultdict(Counter)
        strays = list(strays)
        there = {
            did: await self._devices.has(session, did)
            for did in sorted({stray.device for stray in strays})
        }
        for stray in strays:
            if not there[stray.device]:
                # It was removed since its engine was asked.
                continue
            name = free_name(stray.name, stray.owner, names)
            names.add((stray.owner, name))
            record = ContainerRecord(
                device=stray.device,
                engine_id=stray.engine_id,
                owner=stray.owner,
                name=name,
                image=stray.image[:512],
                server=None,
                cpu_millis=stray.share.cpu,
                memory_bytes=stray.share.memory,
                created_at=stray.created_at,
            )
            if stray.cid is not None and stray.cid not in cids and self._store.is_sqlite:
                # PostgreSQL's sequence would come to a number that was given by hand.
                record.cid = stray.cid
            session.add(record)
            await session.flush()
            free: Ports = {}
            for key, port in stray.ports.items():
                place = (stray.device, port or 0, key.partition("/")[2])
                if port and place not in taken:
                    taken.add(place)
                    free[key] = port
                    await _claim_port(session, stray.device, record.cid, key, port)
            sums[stray.owner].update(stray.share.all_amounts)
            known = Known(
                record.cid,
                stray.engine_id,
                stray.owner,
                name,
                record.image,
                stray.created_at,
                device=stray.device,
                share=stray.share,
            )
            adopted.append((known, free))
        await self._quotas.count(session, sums)
        return adopted


async def _lock(session: AsyncSession, cids: Collection[int]) -> None:
    """Lock containers' rows, the first of all locks, as far as their names don't need it."""
    rows = select(ContainerRecord.cid).where(ContainerRecord.cid.in_(cids))
    await session.execute(rows.order_by(ContainerRecord.cid).with_for_update(key_share=True))


async def _claim_port(
    session: AsyncSession, device: int, cid: int, key: str, port: int | None
) -> None:
    number, _, protocol = key.partition("/")
    if port is None:
        return
    claim = PortClaim(
        device=device, port=port, protocol=protocol, cid=cid, container_port=int(number)
    )
    session.add(claim)
    try:
        await session.flush()
    except IntegrityError:
        raise port_taken(port) from None
