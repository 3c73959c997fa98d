"""Names of databases in the store: whose each is, claimed before it is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import QuotaLedger
from ..accounts.quota_schemas import Amounts
from ..errors import Conflict
from ..store.database import Store
from ..store.types import utcnow
from .catalog import taken
from .records import DatabaseRecord, DatabaseUse

BYTES = "database_size"
"""The resource of databases' bytes."""


# Statements of every request are about tables, not classes: they cost half as much.
_TABLE = cast(Table, DatabaseRecord.__table__)
_USES = cast(Table, DatabaseUse.__table__)


def _amounts(databases: int, size: int) -> Amounts:
    return {"databases": databases, BYTES: size}


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
    kept_until
        Of what a restore replaced: when it is dropped.
    """

    name: str
    owner: str | None
    created_at: datetime
    making: str | None
    users: frozenset[str] = frozenset()
    kept_until: datetime | None = None

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
                    each.name,
                    each.owner,
                    each.created_at,
                    each.making,
                    frozenset(uses[each.name]),
                    each.kept_until,
                )
                for each in await session.scalars(select(DatabaseRecord))
            }

    async def get(self, name: str) -> Owned | None:
        """Return one."""
        known = _TABLE.c
        columns = (known.owner, known.created_at, known.making, known.kept_until, _USES.c.user_id)
        joined = _TABLE.outerjoin(_USES, _USES.c.name == _TABLE.c.name)
        query = select(*columns).select_from(joined).where(_TABLE.c.name == name)
        async with self._store.read() as session:
            found = (await session.execute(query)).all()
        if not found:
            return None
        owner, created_at, making, kept_until, _ = found[0]
        # Of a database that nobody uses but its owner, there is one row without a user.
        users = frozenset(filter(None, (each.user_id for each in found)))
        return Owned(name, owner, created_at, making, users, kept_until)

    async def claim(
        self,
        name: str,
        owner: str | None,
        making: str,
        session: AsyncSession,
        *,
        at: datetime | None = None,
        size: int = 0,
        beyond: bool = False,
    ) -> None:
        """Claim a name, and count it, within a transaction of `write`.

        Parameters
        ----------
        size
            Bytes that it will have, as far as that is known.
        beyond
            It is one more than its owner may have, where need be; of bytes it may not be.

        Raises
        ------
        Conflict
            Somebody has it.
        QuotaExceeded
            The owner may have no more.
        """
        at = at or utcnow()
        row = {"name": name, "owner": owner, "created_at": at, "making": making, "size": size}
        try:
            await session.execute(_TABLE.insert(), row)
        except IntegrityError as error:
            raise taken(name) from error
        if owner is None:
            return
        if beyond:
            await self._quotas.count(session, {owner: _amounts(1, 0)})
        await self._quotas.take(session, owner, _amounts(0 if beyond else 1, size), new=name)

    async def claim_now(
        self, name: str, owner: str | None, making: str, *, size: int = 0, beyond: bool = False
    ) -> None:
        """Claim a name in a transaction of its own; raises as `claim`."""
        async with self._store.write() as session:
            await self.claim(name, owner, making, session, size=size, beyond=beyond)

    async def made(self, name: str, making: str) -> Owned:
        """Write down that a database is there.

        Raises
        ------
        Conflict
            The claim is another one's by now.
        """
        async with self._store.write() as session:
            found = await self.note(name, making, session)
        if found is None:
            raise Conflict("database", name, f"The claim on {name} was lost. Make it again.")
        return found

    async def note(self, name: str, making: str, session: AsyncSession) -> Owned | None:
        """Write so within a transaction of `write`; None where the claim is another one's."""
        rows = await session.execute(
            _TABLE.update()
            .where(_TABLE.c.name == name, _TABLE.c.making == making)
            .values(making=None)
            .returning(_TABLE.c.owner, _TABLE.c.created_at)
        )
        found = rows.first()
        return Owned(name, found.owner, found.created_at, None) if found is not None else None

    async def adopt(
        self,
        name: str,
        owner: str | None,
        created_at: datetime | None,
        making: str | None = None,
        kept_until: datetime | None = None,
    ) -> None:
        """Write down a database of which the store knows nothing, or no more than a claim.

        Parameters
        ----------
        making
            Of a claim that may be there.
        kept_until
            When it is dropped: it is what a restore replaced.
        """
        at = created_at or utcnow()
        claimed = update(DatabaseRecord).where(
            DatabaseRecord.name == name, DatabaseRecord.making == making
        )
        try:
            async with self._store.write() as session:
                if making is not None:
                    rows = await session.execute(
                        claimed.values(making=None, created_at=at, kept_until=kept_until).returning(
                            DatabaseRecord.name
                        )
                    )
                    if rows.first() is not None:
                        return
                # Its bytes are counted when they are measured.
                session.add(
                    DatabaseRecord(
                        name=name,
                        owner=owner,
                        created_at=at,
                        making=None,
                        size=0,
                        kept_until=kept_until,
                    )
                )
                await session.flush()
                if owner is not None:
                    await self._quotas.count(session, {owner: _amounts(1, 0)})
        except IntegrityError:
            # Somebody claimed it meanwhile.
            return

    async def release(self, names: Collection[str], making: str | None = None) -> None:
        """Give names back; with `making` only what that one claimed."""
        wanted: list[ColumnElement[bool]] = [DatabaseRecord.name.in_(names)]
        if making is not None:
            wanted.append(DatabaseRecord.making == making)
        await self._delete(and_(*wanted))

    async def forget(self, gone: Collection[Owned]) -> None:
        """Give names back of which no database is there, unless somebody has them anew."""
        record = DatabaseRecord
        same = (
            and_(record.name == each.name, record.created_at == each.created_at) for each in gone
        )
        await self._delete(and_(record.making.is_(None), or_(*same)))

    async def _delete(self, which: ColumnElement[bool]) -> None:
        async with self._store.write() as session:
            gone = await session.execute(
                delete(DatabaseRecord)
                .where(which)
                .returning(DatabaseRecord.owner, DatabaseRecord.size)
            )
            less: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for owner, size in gone.all():
                if owner is not None:
                    less[owner].update(_amounts(-1, -size))
            await self._quotas.count(session, less)

    async def settled(self) -> Collection[str]:
        """Return the names of what is not being made at this moment."""
        async with self._store.read() as session:
            names = select(DatabaseRecord.name).where(DatabaseRecord.making.is_(None))
            return frozenset(await session.scalars(names))

    async def measured(self, sizes: Mapping[str, int]) -> None:
        """Write how large databases are, and count it, within a limit or not."""
        record = DatabaseRecord
        settled = select(record).where(record.making.is_(None))
        async with self._store.read() as session:
            changed = [
                each.name
                for each in await session.scalars(settled)
                if sizes.get(each.name, each.size) != each.size
            ]
        if not changed:
            return
        async with self._store.write() as session:
            more: Counter[str] = Counter()
            rows = await session.scalars(settled.where(record.name.in_(changed)).with_for_update())
            for each in rows.all():
                if each.owner is not None:
                    more[each.owner] += sizes[each.name] - each.size
                each.size = sizes[each.name]
            await session.flush()
            await self._quotas.count(session, {owner: {BYTES: n} for owner, n in more.items()})

    async def give(self, name: str, owner: str | None, to: str) -> None:
        """Make a database somebody else's, beyond their limit where need be."""
        async with self._store.write() as session:
            size = await session.scalar(
                update(DatabaseRecord)
                .where(DatabaseRecord.name == name)
                .values(owner=to)
                .returning(DatabaseRecord.size)
            )
            await session.execute(
                delete(DatabaseUse).where(DatabaseUse.name == name, DatabaseUse.user_id == to)
            )
            if owner is not None:
                await self._quotas.count(session, {owner: _amounts(-1, -(size or 0))})
            await self._quotas.count(session, {to: _amounts(1, size or 0)})

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
            select(DatabaseRecord.owner, func.count(), func.sum(DatabaseRecord.size))
            .where(DatabaseRecord.owner.is_not(None))
            .group_by(DatabaseRecord.owner)
        )
        return {
            owner: _amounts(count, int(size)) for owner, count, size in rows if owner is not None
        }

    async def names(
        self, session: AsyncSession, owner: str, resource: str, limit: int
    ) -> Sequence[str]:
        """Name an account's databases, where it is about these."""
        if resource not in ("databases", BYTES):
            return []
        rows = select(DatabaseRecord.name).where(DatabaseRecord.owner == owner)
        largest = [DatabaseRecord.size.desc()] if resource == BYTES else []
        rows = rows.order_by(*largest, DatabaseRecord.name).limit(limit)
        return (await session.scalars(rows)).all()
