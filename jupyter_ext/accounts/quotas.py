"""Quotas as people see and set them; the ledger counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import InvalidRequest, NotFound, PlatformError
from ..store.database import Store, insert_for
from .permissions import ROLES
from .quota_ledger import QuotaLedger
from .quota_limits import Ruling, role_subject, user_subject
from .quota_schemas import INHERIT, RESOURCES, RULES, Quota, QuotaChange, QuotaReply, Rule
from .records import QuotaRecord, RoleRecord, UserRecord
from .schemas import Account

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom limits are for: a user, or everybody in a role (then there is no user)."""

    role: str
    user: UserRecord | None = None

    @property
    def key(self) -> str:
        """What its limits are kept under."""
        return role_subject(self.role) if self.user is None else user_subject(self.user.id)


class QuotaManager:
    """The rules of quotas.

    Who may look at and set those of others is the permission's affair (``quota:read``,
    ``quota:update``), which only administrators have unless they grant it.
    """

    def __init__(self, store: Store, ledger: QuotaLedger) -> None:
        self._store = store
        self._ledger = ledger

    async def start(self) -> None:
        """Heal the sums; a store that is too busy for it now costs nobody the start."""
        try:
            await self._ledger.reconcile()
        except PlatformError as error:
            _log.warning("What is used of quotas was not compared with the records: %s", error)

    async def own(self, caller: Account) -> QuotaReply:
        """Tell what the caller may use, and uses."""
        async with self._store.read() as session:
            user = await session.get(UserRecord, caller.id)
            if user is None:
                raise NotFound("user", caller.username)
            return await self._reply(session, Subject(user.role, user))

    async def get(self, caller: Account, name: str) -> QuotaReply:
        """Tell what a user may use and uses, or what everybody in a role may.

        Parameters
        ----------
        name
            A role's name, else a user's name or id. A role comes first: administrators make roles,
            while anybody who registers chooses a user name and must not get between an
            administrator and a role. ``user:NAME`` and ``role:NAME`` leave no doubt.

        Raises
        ------
        NotFound
            There is neither.
        """
        async with self._store.read() as session:
            return await self._reply(session, await self._find(session, name))

    async def set(self, caller: Account, name: str, body: QuotaChange) -> QuotaReply:
        """Set limits of a user or of everybody in a role; nothing that exists is touched.

        Parameters
        ----------
        name
            As for `get`.

        Raises
        ------
        NotFound
            There is neither.
        InvalidRequest
            The warning would come no sooner than the time without use begins.
        """
        async with self._store.write() as session:
            subject = await self._find(session, name, lock=True)
            for resource, amount in body.given().items():
                if amount == INHERIT:
                    await session.execute(
                        delete(QuotaRecord).where(
                            QuotaRecord.subject == subject.key, QuotaRecord.resource == resource
                        )
                    )
                else:
                    row = insert_for(self._store.is_sqlite)(QuotaRecord).values(
                        subject=subject.key, resource=resource, amount=amount
                    )
                    await session.execute(
                        row.on_conflict_do_update(
                            index_elements=["subject", "resource"], set_={"amount": amount}
                        )
                    )
            reply = await self._reply(session, subject)
            if body.given().keys() & RULES.keys():
                _check_rules(reply.rules)
            return reply

    # -- inside ----------------------------------------------------------------------------------

    async def _find(self, session: AsyncSession, name: str, *, lock: bool = False) -> Subject:
        kind, colon, rest = name.partition(":")
        if not colon:
            kind, rest = "", name
        if kind in ("", "role") and await _is_role(session, rest):
            return Subject(rest)
        if kind in ("", "user"):
            statement = select(UserRecord).where(
                (UserRecord.username == rest) | (UserRecord.id == rest)
            )
            if lock:
                # An account that is being deleted must not leave limits behind.
                statement = statement.with_for_update(read=True, key_share=True)
            if (user := await session.scalar(statement)) is not None:
                return Subject(user.role, user)
        raise NotFound(kind or "user or role", rest)

    async def _reply(self, session: AsyncSession, subject: Subject) -> QuotaReply:
        used: Mapping[str, int] | None = None
        if subject.user is None:
            rulings = await self._ledger.limits.of_role(session, subject.role)
        else:
            rulings = await self._ledger.limits.of_user(session, subject.user.id)
            used = await self._ledger.used(session, subject.user.id)
        return QuotaReply(
            user=subject.user.username if subject.user else None,
            user_id=subject.user.id if subject.user else None,
            role=subject.role,
            quotas={
                name: _shown(name, rulings[name], None if used is None else used[name])
                for name in RESOURCES
            },
            rules={name: _ruled(name, rulings[name]) for name in RULES},
        )


async def _is_role(session: AsyncSession, name: str) -> bool:
    return name in ROLES or await session.get(RoleRecord, name) is not None


def _shown(name: str, ruling: Ruling, used: int | None) -> Quota:
    resource, limit = RESOURCES[name], ruling.amount
    return Quota(
        unit=resource.unit,
        limit=None if limit is None else resource.number(limit),
        used=None if used is None else resource.number(used),
        limit_text=None if limit is None else resource.text(limit),
        used_text=None if used is None else resource.text(used),
        source=ruling.source,
        over=limit is not None and used is not None and used > limit,
    )


def _ruled(name: str, ruling: Ruling) -> Rule:
    rule, limit = RULES[name], ruling.amount
    return Rule(
        limit=None if limit is None else rule.number(limit),
        limit_text=None if limit is None else rule.text(limit),
        source=ruling.source,
    )


def _check_rules(rules: Mapping[str, Rule]) -> None:
    """Refuse a warning before there is anything to warn of.

    One that nobody has set is made shorter by itself.
    """
    warning, idle = rules["idle_warning_minutes"], rules["idle_minutes"]
    if warning.source is None or warning.limit is None or idle.limit is None:
        return
    if warning.limit >= idle.limit:
        raise InvalidRequest(
            fields={
                "idle_warning_minutes": f"is {warning.limit_text}, and must be less than "
                f"idle_minutes, which is {idle.limit_text}"
            }
        )
