"""Which limit counts for whom: a user's own, else their role's, else the configuration's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import NotFound
from .quota_schemas import EVERYBODY, RESOURCES, RULES, RULES_UNSET, Limits
from .records import QuotaRecord, UserRecord


@dataclass(frozen=True, slots=True)
class Ruling:
    """A limit, None for no limit, and who says it, None for nobody."""

    amount: int | None
    source: Literal["user", "role", "default"] | None


def user_subject(user_id: str) -> str:
    """Return what a user's own limits are kept under."""
    return f"user:{user_id}"


def role_subject(role: str) -> str:
    """Return what the limits of everybody in a role are kept under."""
    return f"role:{role}"


class QuotaLimits:
    """Limits, resource by resource.

    Parameters
    ----------
    defaults
        By role, for what nobody has set; ``*`` is every role but ``admin``.
    """

    def __init__(self, defaults: Mapping[str, Limits]) -> None:
        self._defaults = defaults

    async def of_user(
        self, session: AsyncSession, user_id: str, *, lock: bool = False
    ) -> dict[str, Ruling]:
        """Return the limits that count for a user: their own, else the role's, else the default.

        Parameters
        ----------
        lock
            Whether to keep the account from being deleted until the transaction ends.

        Raises
        ------
        NotFound
            The account is gone.
        """
        mine = QuotaRecord.subject == literal("user:") + UserRecord.id
        of_role = QuotaRecord.subject == literal("role:") + UserRecord.role
        statement = (
            select(UserRecord.role, QuotaRecord.subject, QuotaRecord.resource, QuotaRecord.amount)
            .outerjoin(QuotaRecord, or_(mine, of_role))
            .where(UserRecord.id == user_id)
        )
        if lock:
            statement = statement.with_for_update(read=True, key_share=True, of=UserRecord)
        rows = (await session.execute(statement)).all()
        if not rows:
            raise NotFound("user", user_id)
        set_: dict[str, dict[str, int | None]] = {}
        for row in rows:
            if row.subject is not None:
                set_.setdefault(row.subject, {})[row.resource] = row.amount
        role = rows[0].role
        rulings = self._by_role(role, set_.get(role_subject(role), {}))
        own = set_.get(user_subject(user_id), {})
        return rulings | {name: Ruling(amount, "user") for name, amount in own.items()}

    async def of_role(self, session: AsyncSession, role: str) -> dict[str, Ruling]:
        """Return the limits of whoever in a role has none of their own."""
        rows = await session.execute(
            select(QuotaRecord.resource, QuotaRecord.amount).where(
                QuotaRecord.subject == role_subject(role)
            )
        )
        return self._by_role(role, {name: amount for name, amount in rows})

    async def rules_of(
        self, session: AsyncSession, user_ids: Collection[str]
    ) -> dict[str, dict[str, Ruling]]:
        """Return the rules that count for users; an account that is gone is left out."""
        rows = await session.execute(
            select(QuotaRecord.subject, QuotaRecord.resource, QuotaRecord.amount).where(
                QuotaRecord.resource.in_(RULES)
            )
        )
        set_: defaultdict[str, dict[str, int | None]] = defaultdict(dict)
        for subject, resource, amount in rows:
            set_[subject][resource] = amount
        roles = select(UserRecord.id, UserRecord.role).where(UserRecord.id.in_(user_ids))
        found: dict[str, dict[str, Ruling]] = {}
        for user_id, role in await session.execute(roles):
            own = set_.get(user_subject(user_id), {})
            found[user_id] = self._by_role(role, set_.get(role_subject(role), {})) | {
                name: Ruling(amount, "user") for name, amount in own.items()
            }
        return found

    def _by_role(self, role: str, rows: Limits) -> dict[str, Ruling]:
        everybody = {} if role == "admin" else self._defaults.get(EVERYBODY, {})
        defaults = {**everybody, **self._defaults.get(role, {})}
        return (
            {name: Ruling(None, None) for name in RESOURCES}
            | {name: Ruling(amount, None) for name, amount in RULES_UNSET.items()}
            | {name: Ruling(amount, "default") for name, amount in defaults.items()}
            | {name: Ruling(amount, "role") for name, amount in rows.items()}
        )


async def drop_limits(session: AsyncSession, subject: str) -> None:
    """Drop all limits of a user or role."""
    await session.execute(delete(QuotaRecord).where(QuotaRecord.subject == subject))
