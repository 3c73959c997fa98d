"""What claims say to the store, each within its caller's transaction.

The order is the same everywhere, so that nobody waits in a circle: containers, then their ports,
then the ledger of quotas.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..store import Store, utcnow
from .known import Known, Stray, free_name, name_taken, port_taken
from .ports import Ports
from .records import LOCAL_DEVICE, ContainerRecord, PortClaim
from .shares import FIELDS, Share

Sums = defaultdict[str, Counter[str]]


class Claims:
    """Claims on names, ports and quotas."""

    def __init__(self, store: Store, quotas: QuotaLedger) -> None:
        self._store = store
        self._quotas = quotas

    async def make(
        self,
        session: AsyncSession,
        owner: str,
        name: str,
        image: str,
        ports: Ports,
        share: Share,
        server: str,
    ) -> Known:
        """Claim all that a new container needs.

        Raises
        ------
        Conflict
            The name or a port is taken.
        QuotaExceeded, InvalidRequest, NotFound
            As the ledger says.
        """
        now = utcnow()
        record = ContainerRecord(
            device=LOCAL_DEVICE,
            engine_id=None,
            owner=owner,
            name=name,
            image=image,
            server=server,
            cpu_millis=share.cpu,
            memory_bytes=share.memory,
            created_at=now,
        )
        session.add(record)
        try:
            await session.flush()
        except IntegrityError:
            raise name_taken(name) from None
        for key, port in ports.items():
            await _claim_port(session, record.cid, key, port)
        await self._quotas.take(session, owner, share.all_amounts, fields=FIELDS, new=name)
        return Known(record.cid, None, owner, name, image, now, server, share=share)

    async def release(self, session: AsyncSession, cids: Collection[int]) -> None:
        """Forget containers; what is forgotten already is not given back again."""
        await session.execute(delete(PortClaim).where(PortClaim.cid.in_(cids)))
        record = ContainerRecord
        rows = await session.execute(
            delete(record)
            .where(record.cid.in_(cids))
            .returning(record.owner, record.cpu_millis, record.memory_bytes)
        )
        sums: Sums = defaultdict(Counter)
        for owner, cpu, memory in rows.all():
            sums[owner].subtract(Share(cpu, memory).all_amounts)
        await self._quotas.count(session, sums)

    async def resize(
        self, session: AsyncSession, shares: Mapping[int, Share], *, refuse: bool
    ) -> None:
        """Change what containers take; those that are gone meanwhile take nothing.

        Raises
        ------
        QuotaExceeded
            A quota would be passed.
        """
        record = ContainerRecord
        rows = await session.execute(
            select(record.cid, record.owner, record.cpu_millis, record.memory_bytes)
            .where(record.cid.in_(shares))
            .order_by(record.cid)
            .with_for_update()
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
        if not refuse:
            await self._quotas.count(session, sums)
            return
        for owner in sorted(sums):
            await self._quotas.take(session, owner, sums[owner])

    async def give(self, session: AsyncSession, cids: Collection[int], owner: str) -> None:
        """Make containers somebody else's, and count them there, without a limit.

        Raises
        ------
        Conflict
            The new owner has one of the same name.
        """
        record = ContainerRecord
        rows = await session.execute(
            select(record.cid, record.owner, record.cpu_millis, record.memory_bytes)
            .where(record.cid.in_(cids))
            .order_by(record.cid)
            .with_for_update()
        )
        sums: Sums = defaultdict(Counter)
        for _, before, cpu, memory in rows.all():
            amounts = Share(cpu, memory).all_amounts
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
        taken: set[tuple[int, str]],
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
        for stray in strays:
            name = free_name(stray.name, stray.owner, names)
            names.add((stray.owner, name))
            record = ContainerRecord(
                device=LOCAL_DEVICE,
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
                place = (port or 0, key.partition("/")[2])
                if port and place not in taken:
                    taken.add(place)
                    free[key] = port
                    await _claim_port(session, record.cid, key, port)
            sums[stray.owner].update(stray.share.all_amounts)
            known = Known(
                record.cid,
                stray.engine_id,
                stray.owner,
                name,
                record.image,
                stray.created_at,
                share=stray.share,
            )
            adopted.append((known, free))
        await self._quotas.count(session, sums)
        return adopted


async def _claim_port(session: AsyncSession, cid: int, key: str, port: int | None) -> None:
    number, _, protocol = key.partition("/")
    if port is None:
        return
    claim = PortClaim(
        device=LOCAL_DEVICE, port=port, protocol=protocol, cid=cid, container_port=int(number)
    )
    session.add(claim)
    try:
        await session.flush()
    except IntegrityError:
        raise port_taken(port) from None
