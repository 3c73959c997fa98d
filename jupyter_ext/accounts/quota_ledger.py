"""The ledger of quotas: what everybody uses, counted in the transaction that makes or ends it.

Whoever shares a store shares the sums. One statement adds and compares, so two servers can't pass a
limit together; what a transaction has taken comes back with its rollback.

Within a transaction the ledger comes last, after the rows of the things themselves: everybody waits
in the same order then, and nobody in a circle.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Update, case, literal, select, text, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict, InvalidRequest, QuotaExceeded
from ..store.database import Store, insert_for
from .quota_limits import QuotaLimits, Ruling, drop_limits, user_subject
from .quota_schemas import RESOURCES, Amounts, Limits
from .records import QuotaUseRecord, UserRecord

NAMES = 20
"""Of things that a refusal names."""

Fields = Mapping[str, tuple[str, int]]
"""By resource: the request's field that sets its amount, and the smallest units in one of it."""

_log = logging.getLogger(__name__)


class Holder(Protocol):
    """A domain whose things use resources."""

    async def sums(self, session: AsyncSession) -> Mapping[str, Amounts]:
        """Add up what the records say, by account id."""

    async def names(
        self, session: AsyncSession, owner: str, resource: str, limit: int
    ) -> Sequence[str]:
        """Name an account's things that use a resource, the largest first."""


class QuotaLedger:
    """Limits and sums.

    Parameters
    ----------
    defaults
        Limits by role, for what nobody has set; ``*`` is every role but ``admin``.
    """

    def __init__(self, store: Store, defaults: Mapping[str, Limits] | None = None) -> None:
        self.limits = QuotaLimits(defaults or {})
        self._store = store
        self._holders: list[Holder] = []

    def register(self, holder: Holder) -> None:
        """Count what a domain's records say; before `reconcile`."""
        self._holders.append(holder)

    async def used(self, session: AsyncSession, user_id: str) -> dict[str, int]:
        """Return what a user uses of each resource."""
        rows = await session.execute(
            select(QuotaUseRecord.resource, QuotaUseRecord.used).where(
                QuotaUseRecord.user_id == user_id
            )
        )
        return dict.fromkeys(RESOURCES, 0) | {name: amount for name, amount in rows}

    async def over(self, session: AsyncSession, resource: str) -> frozenset[str]:
        """Return the accounts that use more of a resource than they may."""
        rows = await session.execute(
            select(QuotaUseRecord.user_id, QuotaUseRecord.used).where(
                QuotaUseRecord.resource == resource, QuotaUseRecord.used > 0
            )
        )
        found = []
        for user_id, used in rows.all():
            limit = (await self.limits.of_user(session, user_id))[resource].amount
            if limit is not None and used > limit:
                found.append(user_id)
        return frozenset(found)

    # -- sums ------------------------------------------------------------------------------------

    async def take(
        self,
        session: AsyncSession,
        owner: str,
        amounts: Amounts,
        *,
        fields: Fields | None = None,
        new: str = "",
    ) -> None:
        """Add to what an account uses or, below 0, give back, within a transaction of `write`.

        Parameters
        ----------
        fields
            Resources that must have an amount where they are limited.
        new
            The name of what is being made, and uses nothing yet.

        Raises
        ------
        QuotaExceeded
            A limit would be passed.
        InvalidRequest
            A thing without a limit of its own would be, naming the field that sets one.
        NotFound
            The account is gone.
        """
        rulings = await self.limits.of_user(session, owner, lock=True)
        await self._need_amounts(session, owner, amounts, fields or {}, rulings, new)
        for resource in RESOURCES:
            amount, limit = amounts.get(resource, 0), rulings[resource].amount
            if not await self._add(session, owner, resource, amount, limit):
                raise await self._exceeded(session, owner, resource, amount, limit or 0, new)

    async def count(self, session: AsyncSession, sums: Mapping[str, Amounts]) -> None:
        """Add or, below 0, give back by account, without a limit: it is so already."""
        for owner in sorted(sums):
            for resource in RESOURCES:
                await self._add(session, owner, resource, sums[owner].get(resource, 0), None)

    async def _add(
        self, session: AsyncSession, owner: str, resource: str, amount: int, limit: int | None
    ) -> bool:
        if amount == 0:
            return True
        left = QuotaUseRecord.used + amount
        if amount < 0:
            used = case((left > 0, left), else_=0)
            await session.execute(_use_of(owner, resource).values(used=used))
            return True
        statement = _use_of(owner, resource).values(used=left)
        if limit is not None:
            statement = statement.where(left <= limit)
        if await _matched(session, statement):
            return True
        # The first of its kind has no row yet; an account that is gone gets none.
        insert = insert_for(self._store.is_sqlite)(QuotaUseRecord)
        account = select(UserRecord.id, literal(resource), literal(0)).where(UserRecord.id == owner)
        names = ["user_id", "resource", "used"]
        await session.execute(insert.from_select(names, account).on_conflict_do_nothing())
        return await _matched(session, statement)

    # -- refusals --------------------------------------------------------------------------------

    async def _need_amounts(
        self,
        session: AsyncSession,
        owner: str,
        amounts: Amounts,
        fields: Fields,
        rulings: Mapping[str, Ruling],
        new: str,
    ) -> None:
        limits = {
            resource: limit
            for resource in fields
            if not amounts.get(resource) and (limit := rulings[resource].amount) is not None
        }
        if not limits:
            return
        used = await self.used(session, owner)
        problems: dict[str, str] = {}
        for resource, limit in limits.items():
            field, scale = fields[resource]
            left = limit - used[resource]
            # Cores have thousandths; what a field takes in megabytes it takes in whole ones.
            fractional = RESOURCES[resource].scale == scale
            if left <= 0 or (left < scale and not fractional):
                raise await self._exceeded(session, owner, resource, 0, limit, new)
            free = RESOURCES[resource].text(left) if fractional else str(left // scale)
            words = RESOURCES[resource].words
            problems[field] = (
                f"must be set, to {free} or less: the quota is {words(limit)}, "
                f"and {words(used[resource])} are in use"
            )
        raise InvalidRequest(fields=problems)

    async def _exceeded(
        self, session: AsyncSession, owner: str, name: str, amount: int, limit: int, new: str
    ) -> QuotaExceeded:
        resource, used = RESOURCES[name], (await self.used(session, owner))[name]
        by: list[str] = []
        for holder in self._holders:
            found = await holder.names(session, owner, name, NAMES + 2)
            by += [thing for thing in found if thing != new]
        more = " and others" if len(by) > NAMES else ""
        by = by[:NAMES]
        users = f", by {', '.join(by)}{more}" if by else ""
        subject = f"{resource.words(amount)} more would pass" if amount else "Nothing is left of"
        return QuotaExceeded(
            name,
            resource.number(limit),
            resource.number(used),
            f"{subject} the limit of {resource.words(limit)}: "
            f"{resource.words(used)} in use{users}. "
            "Delete what is not needed, or ask an administrator for more.",
            requested=resource.number(amount),
            by=by,
        )

    # -- healing ---------------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Set every sum to what the records say, while nobody claims.

        Raises
        ------
        Unavailable
            The store does not answer, or is too busy to be locked.
        """
        async with self._store.write() as session:
            users = select(UserRecord.id).order_by(UserRecord.id)
            accounts = await session.scalars(users.with_for_update(read=True, key_share=True))
            known = set(accounts)
            if not self._store.is_sqlite:
                # SQLite has one writer. Here claims that are not committed are waited for, and
                # those that come wait.
                await session.execute(text("LOCK TABLE quota_use IN SHARE ROW EXCLUSIVE MODE"))
            right = await self._sums(session, known)
            for row in (await session.scalars(select(QuotaUseRecord))).all():
                used = right.pop((row.user_id, row.resource), 0)
                if row.used != used:
                    _log.warning(
                        "%s used %d of %s, not %d", row.user_id, used, row.resource, row.used
                    )
                    row.used = used
            session.add_all(
                QuotaUseRecord(user_id=user, resource=resource, used=used)
                for (user, resource), used in right.items()
                if used
            )

    async def _sums(
        self, session: AsyncSession, known: Collection[str]
    ) -> Counter[tuple[str, str]]:
        sums: Counter[tuple[str, str]] = Counter()
        for holder in self._holders:
            for owner, amounts in (await holder.sums(session)).items():
                if owner in known:
                    sums.update({(owner, resource): used for resource, used in amounts.items()})
        return sums


async def forget_user(session: AsyncSession, user: UserRecord) -> None:
    """Drop the limits of an account that is being deleted, in the same transaction.

    Raises
    ------
    Conflict
        It uses something: whatever was begun after the first look at it.
    """
    locked = select(UserRecord.id).where(UserRecord.id == user.id).with_for_update()
    await session.execute(locked)
    found = await session.execute(
        select(QuotaUseRecord.resource, QuotaUseRecord.used)
        .where(
            QuotaUseRecord.user_id == user.id,
            QuotaUseRecord.used > 0,
            QuotaUseRecord.resource.in_(RESOURCES),
        )
        .limit(1)
    )
    if (row := found.first()) is not None:
        words = RESOURCES[row.resource].words(row.used)
        raise Conflict("user", user.username, f"{user.username} still has {words}.")
    await drop_limits(session, user_subject(user.id))


def _use_of(owner: str, resource: str) -> Update:
    statement = update(QuotaUseRecord).where(
        QuotaUseRecord.user_id == owner, QuotaUseRecord.resource == resource
    )
    return statement.execution_options(synchronize_session=False)


async def _matched(session: AsyncSession, statement: Update) -> bool:
    result = await session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1
