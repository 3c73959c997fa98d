"""Names of databases in the store: whose each is, claimed before it is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..accounts.quota_schemas import Amounts
from ..errors import Conflict
from ..store.database import Store
from ..store.types import utcnow
from .catalog import taken
from .records import DatabaseRecord, DatabaseUse

ONE: Amounts = {"databases": 1}
ONE_LESS: Amounts = {"databases": -1}


@dataclass(frozen=True, slots=True)
class Owned:
    """A database as the store has it.

    Parameters
    ----------
    owner
        An account's id; None for the cluster's own role.
    making
        The mark of whoever makes it.
    users
        Accounts that may use it beside its owner.
    """

    name: str
    owner: str | None
    created_at: datetime
    making: str | None
    users: frozenset[str] = frozenset()

    def open_to(self, account_id: str) -> bool:
        """Whether an account may connect to it."""
        return account_id == self.owner or account_id in self.users


class Claims:
    """The store's table of databases; it counts for quotas."""

    def __init__(self, store: Store, quotas: QuotaLedger) -> None:
        self._store = store
        self._quotas = quotas
        quotas.register(self)

    async def all(self) -> Mapping[str, Owned]:
        """Return all, by name."""
        async with self._store.read() as session:
            uses: defaultdict[str, set[str]] = defaultdict(set)
            for name, user in await session.execute(select(DatabaseUse.name, DatabaseUse.user_id)):
                uses[name].add(user)
            return {
                each.name: Owned(
                    each.name, each.owner, each.created_at, each.making, frozenset(uses[each.name])
                )
                for each in await session.scalars(select(DatabaseRecord))
            }

    async def get(self, name: str) -> Owned | None:
        """Return one."""
        async with self._store.read() as session:
            record = await session.get(DatabaseRecord, name)
            if record is None:
                return None
            uses = select(DatabaseUse.user_id).where(DatabaseUse.name == name)
            users = frozenset(await session.scalars(uses))
            return Owned(name, record.owner, record.created_at, record.making, users)

    async def claim(self, name: str, owner: str | None, making: str, session: AsyncSession) -> None:
        """Claim a name, and count it, within a transaction of `write`.

        Raises
        ------
        Conflict
            Somebody has it.
        QuotaExceeded
            The owner may have no more.
        """
        session.add(DatabaseRecord(name=name, owner=owner, created_at=utcnow(), making=making))
        try:
            await session.flush()
        except IntegrityError as error:
            raise taken(name) from error
        if owner is not None:
            await self._quotas.take(session, owner, ONE, new=name)

    async def claim_now(self, name: str, owner: str | None, making: str) -> None:
        """Claim a name in a transaction of its own; raises as `claim`."""
        async with self._store.write() as session:
            await self.claim(name, owner, making, session)

    async def made(self, name: str, making: str) -> Owned:
        """Write down that a database is there.

        Raises
        ------
        Conflict
            The claim is another one's by now.
        """
        record = DatabaseRecord
        async with self._store.write() as session:
            row = await session.execute(
                update(record)
                .where(record.name == name, record.making == making)
                .values(making=None)
                .returning(record.owner, record.created_at)
            )
            found = row.first()
        if found is None:
            raise Conflict("database", name, f"The claim on {name} was lost. Make it again.")
        return Owned(name, found.owner, found.created_at, None)

    async def adopt(self, name: str, owner: str | None, created_at: datetime | None) -> None:
        """Write down a database of which the store knows nothing."""
        try:
            async with self._store.write() as session:
                at = created_at or utcnow()
                session.add(DatabaseRecord(name=name, owner=owner, created_at=at, making=None))
                await session.flush()
                if owner is not None:
                    await self._quotas.count(session, {owner: ONE})
        except IntegrityError:
            # Somebody claimed it meanwhile.
            return

    async def release(self, names: Collection[str], making: str | None = None) -> None:
        """Give names back; with `making` only what that one claimed."""
        wanted: list[ColumnElement[bool]] = [DatabaseRecord.name.in_(names)]
        if making is not None:
            wanted.append(DatabaseRecord.making == making)
        async with self._store.write() as session:
            gone = await session.scalars(
                delete(DatabaseRecord).where(*wanted).returning(DatabaseRecord.owner)
            )
            for owner, count in Counter(gone.all()).items():
                if owner is not None:
                    await self._quotas.count(session, {owner: {"databases": -count}})

    async def give(self, name: str, owner: str | None, to: str) -> None:
        """Make a database somebody else's, beyond their limit where need be."""
        async with self._store.write() as session:
            await session.execute(
                update(DatabaseRecord).where(DatabaseRecord.name == name).values(owner=to)
            )
            await session.execute(
                delete(DatabaseUse).where(DatabaseUse.name == name, DatabaseUse.user_id == to)
            )
            if owner is not None:
                await self._quotas.count(session, {owner: ONE_LESS})
            await self._quotas.count(session, {to: ONE})

    async def let_in(self, name: str, account_id: str) -> None:
        """Write down that somebody may use a database."""
        async with self._store.write() as session:
            if await session.get(DatabaseUse, (name, account_id)) is None:
                session.add(DatabaseUse(name=name, user_id=account_id))

    async def of_users(
        self, session: AsyncSession, account_ids: Collection[str]
    ) -> Mapping[str, Sequence[str]]:
        """Return the names of the databases that accounts may use, by account."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        owned = select(DatabaseRecord.owner, DatabaseRecord.name).where(
            DatabaseRecord.owner.in_(account_ids), DatabaseRecord.making.is_(None)
        )
        used = select(DatabaseUse.user_id, DatabaseUse.name).where(
            DatabaseUse.user_id.in_(account_ids)
        )
        for account, name in [*(await session.execute(owned)), *(await session.execute(used))]:
            names[account].append(name)
        return {account: sorted(found) for account, found in names.items()}

    # -- for quotas ----------------------------------------------------------------------------

    async def sums(self, session: AsyncSession) -> Mapping[str, Amounts]:
        """Add up what the records say, by account id."""
        rows = await session.execute(
            select(DatabaseRecord.owner, func.count())
            .where(DatabaseRecord.owner.is_not(None))
            .group_by(DatabaseRecord.owner)
        )
        return {owner: {"databases": count} for owner, count in rows if owner is not None}

    async def names(
        self, session: AsyncSession, owner: str, resource: str, limit: int
    ) -> Sequence[str]:
        """Name an account's databases, where it is about these."""
        if resource != "databases":
            return []
        rows = select(DatabaseRecord.name).where(DatabaseRecord.owner == owner)
        return (await session.scalars(rows.order_by(DatabaseRecord.name).limit(limit))).all()
