"""Finding accounts, from memory where they are known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict, NotFound
from ..store.database import Store, next_number
from ..store.types import utcnow
from .memory import Memory
from .permissions import ROLES
from .records import RoleRecord, UserRecord
from .schemas import Account, username_problem

CHANGES = "accounts"
"""The signal that accounts or keys changed."""


class Directory:
    """The table of users, and a memory of it that every server's changes clear."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: Memory[str, Account] = Memory(store.signals, CHANGES)

    async def by_name(self, username: str) -> Account:
        """Return an account.

        Raises
        ------
        NotFound
            There is none of this name.
        """
        if account := self._known.get(username):
            return account
        generation = self._known.generation
        async with self._store.read() as session:
            record = await self.by_username(session, username)
            if record is None:
                raise NotFound("user", username)
            account = await self.account(session, record)
        self._known.keep(username, account, generation)
        return account

    async def by_id(self, account_id: str) -> Account:
        """Return an account by its id.

        Raises
        ------
        NotFound
            There is none.
        """
        async with self._store.read() as session:
            return await self.account(session, await self.find(session, account_id))

    async def account(self, session: AsyncSession, record: UserRecord) -> Account:
        """Return what managers know of somebody, with what a role of the administrator's grants."""
        account = record.account()
        if record.role in ROLES:
            return account
        role = await session.get(RoleRecord, record.role)
        granted = tuple(role.permissions) if role is not None else ()
        return replace(account, permissions=(*account.permissions, *granted))

    async def names(self) -> dict[str, str]:
        """Return all user names by account id."""
        async with self._store.read() as session:
            rows = await session.execute(select(UserRecord.id, UserRecord.username))
            return {account_id: username for account_id, username in rows}

    async def by_username(self, session: AsyncSession, username: str) -> UserRecord | None:
        """Return the row of a name."""
        found: UserRecord | None = await session.scalar(
            select(UserRecord).where(UserRecord.username == username)
        )
        return found

    async def find(self, session: AsyncSession, name: str) -> UserRecord:
        """Return the row of a name or an id; names that look like ids are reserved.

        Raises
        ------
        NotFound
            There is none.
        """
        record = await session.get(UserRecord, name) or await self.by_username(session, name)
        if record is None:
            raise NotFound("user", name)
        return record

    async def add(
        self,
        session: AsyncSession,
        username: str,
        *,
        role: str,
        password: str | None = None,
        email: str | None = None,
        permissions: Sequence[str] = (),
    ) -> UserRecord:
        """Add a row.

        Raises
        ------
        Conflict
            The name is taken.
        """
        number = await next_number(session, "users")
        record = UserRecord(
            id=f"user-{number}",
            username=username,
            role=role,
            email=email,
            enabled=True,
            permissions=list(permissions),
            password=password,
            created_at=utcnow(),
            last_login=None,
        )
        session.add(record)
        try:
            await session.flush()
        except IntegrityError as error:
            raise Conflict("user", username) from error
        await self._store.signals.raise_(session, CHANGES)
        return record


_DIGEST = 16
"""Hexadecimal digits: many, since in some hubs people choose their names, and look for clashes."""
_READABLE = 32 - _DIGEST - 1
_MADE = re.compile(rf".*-[0-9a-f]{{{_DIGEST}}}")


def local_name(name: str) -> str:
    """Return the user name here of somebody whom a hub calls `name`; the same for the same.

    What reads like one made here is made, too: it may be somebody else's.
    """
    lowered = name.lower()
    if lowered == name and username_problem(name) is None and not _MADE.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9_-]+", "-", lowered).strip("-")[:_READABLE] or "u"
    if not "a" <= readable[0] <= "z":
        readable = f"u{readable}"[:_READABLE]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]}"
