"""Users as administrators look after them: who can be added, changed, and go."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..api.route import May, Page
from ..errors import Conflict, Forbidden, NotFound
from ..store.database import Store
from .administrators import keep_an_administrator
from .directory import CHANGES, Directory
from .passwords import Passwords
from .records import LoginRecord, UserRecord
from .roles import check_grants, everything, refuse_to_grant, require_role
from .schemas import (
    Account,
    NewPassword,
    NewUser,
    User,
    UserChange,
    UserQuery,
)


class Publisher(Protocol):
    """Whoever tells of changes."""

    def publish(
        self, topic: str, data: Any, *, owner: str | None = None, key: str | None = None
    ) -> object:
        """Tell the owner and administrators."""


class Databases(Protocol):
    """Who knows which databases users may use."""

    async def check(self, names: Collection[str]) -> None:
        """See that databases are there; raises `NotFound`."""

    async def let_in(self, account: Account, names: Collection[str]) -> None:
        """Let a user use databases that are not theirs."""

    async def forget(self, account: Account) -> None:
        """Take back what a user was let use."""

    async def of_users(
        self, session: AsyncSession, account_ids: Collection[str]
    ) -> Mapping[str, Sequence[str]]:
        """Return the names of the databases that accounts may use, by account."""


class UserManager:
    """The rules of users.

    Parameters
    ----------
    owner
        The name of whoever owns this server, and stays.

    Attributes
    ----------
    databases
        Asked where a user shall use some; None where there are none.
    """

    def __init__(self, store: Store, bus: Publisher, passwords: Passwords, owner: str) -> None:
        self._store = store
        self._bus = bus
        self._passwords = passwords
        self._owner = owner
        self._directory = Directory(store)
        self.databases: Databases | None = None

    async def list(self, caller: Account, query: UserQuery) -> Page[User]:
        """List users, newest first."""
        wanted: list[ColumnElement[bool]] = []
        if query.role:
            wanted.append(UserRecord.role == query.role)
        if query.status:
            wanted.append(UserRecord.enabled == (query.status == "active"))
        async with self._store.read() as session:
            count = select(func.count()).select_from(UserRecord).where(*wanted)
            total = (await session.execute(count)).scalar_one()
            rows = await session.scalars(
                select(UserRecord)
                .where(*wanted)
                .order_by(UserRecord.created_at.desc(), UserRecord.id.desc())
                .limit(query.limit)
                .offset(query.start)
            )
            users = await self._views(session, rows.all())
        return Page(users, total, query.limit, query.start, "users")

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all users.

        Raises
        ------
        Forbidden
            The caller is no administrator, who would hear only of their own account.
        """
        _administrators_only(caller)
        newest_first = select(UserRecord).order_by(UserRecord.created_at.desc())
        async with self._store.read() as session:
            users = await self._views(session, (await session.scalars(newest_first)).all())
        return {"items": [user.model_dump(mode="json") for user in users]}

    async def get(self, caller: Account, username: str, may: May = everything) -> User:
        """Return one user: oneself, or anybody as an administrator.

        Parameters
        ----------
        may
            What the caller's key opens; without ``user:read`` only oneself.

        Raises
        ------
        NotFound
            There is none of this name or id, or it is somebody else.
        """
        _own_or_any(caller, username)
        if username not in (caller.username, caller.id) and not may("user:read"):
            raise NotFound("user", username)
        async with self._store.read() as session:
            [user] = await self._views(session, [await self._directory.find(session, username)])
            return user

    async def create(self, caller: Account, body: NewUser, may: May = everything) -> User:
        """Add a user.

        Parameters
        ----------
        may
            What the caller's key opens: it makes nobody who may do more.

        Raises
        ------
        Conflict
            The name is taken.
        InvalidRequest
            The password is too short, or a role or permission does not exist.
        NotFound
            A database that they shall use does not exist.
        Forbidden
            The caller is no administrator, or their key opens less than what it grants.
        """
        _administrators_only(caller)
        refuse_to_grant(may, body.role, body.permissions)
        if body.databases:
            if self.databases is None:
                raise NotFound("database", body.databases[0], "数据库未找到")
            await self.databases.check(body.databases)
        check_grants(body.permissions)
        self._passwords.check(body.password)
        async with self._store.read() as session:
            await require_role(session, body.role)
        hashed = await self._passwords.hash(body.password)
        async with self._store.write() as session:
            record = await self._directory.add(
                session,
                body.username,
                role=body.role,
                password=hashed,
                email=body.email,
                permissions=body.permissions,
            )
        if body.databases and self.databases is not None:
            try:
                await self.databases.let_in(record.account(), body.databases)
            except BaseException:
                await asyncio.shield(self._take_back(record.account()))
                raise
        return await self._tell(record)

    async def update(self, caller: Account, username: str, body: UserChange) -> User:
        """Change a user: one's own address, or anything of anybody as an administrator.

        Raises
        ------
        NotFound
            There is none of this name or id, or it is somebody else.
        Forbidden
            Only an administrator changes roles, permissions and who is enabled.
        InvalidRequest
            The password is too short, or a role or permission does not exist.
        Conflict
            They own this server, or are the last administrator.
        """
        _own_or_any(caller, username)
        enabled = body.enabled if body.status is None else body.status == "active"
        for field, value in (
            ("role", body.role),
            ("permissions", body.permissions),
            ("status" if body.status else "enabled", enabled),
        ):
            if value is not None and not caller.is_admin:
                raise Forbidden(
                    f"Only an administrator changes {field}.", fields={field: "may not be changed"}
                )
        check_grants(body.permissions or [])
        hashed = None if body.password is None else await self._passwords.hash(body.password)
        async with self._store.write() as session:
            record = await self._directory.find(session, username)
            if body.role is not None:
                await require_role(session, body.role)
            falls = record.role == "admin" and (body.role or "admin") != "admin"
            if falls or (enabled is False and record.enabled):
                await self._refuse_to_fall(session, record)
            if body.role is not None:
                record.role = body.role
            if enabled is not None:
                record.enabled = enabled
            if body.permissions is not None:
                record.permissions = body.permissions
            if "email" in body.model_fields_set:
                record.email = body.email
            if hashed is not None:
                await self._take_password(session, record, hashed)
            await self._store.signals.raise_(session, CHANGES)
        return await self._tell(record)

    async def set_password(self, caller: Account, username: str, body: NewPassword) -> User:
        """Give a user another password, which ends their logins: one's own, or anybody's as admin.

        Raises
        ------
        NotFound
            There is none of this name or id, or it is somebody else's.
        InvalidRequest
            It is too short.
        """
        _own_or_any(caller, username)
        async with self._store.read() as session:
            found = await self._directory.find(session, username)
        hashed = await self._passwords.hash(body.password)
        async with self._store.write() as session:
            record = await self._directory.find(session, found.id)
            await self._take_password(session, record, hashed)
            await self._store.signals.raise_(session, CHANGES)
        return await self._view(record)

    # -- inside ------------------------------------------------------------------------------

    async def _view(self, record: UserRecord) -> User:
        async with self._store.read() as session:
            [view] = await self._views(session, [record])
        return view

    async def _views(self, session: AsyncSession, records: Sequence[UserRecord]) -> Sequence[User]:
        """Return users as others see them, with the databases that they may use."""
        names: Mapping[str, Sequence[str]] = {}
        if self.databases is not None:
            names = await self.databases.of_users(session, [record.id for record in records])
        return [
            record.view().model_copy(update={"databases": [*names.get(record.id, ())]})
            for record in records
        ]

    async def _take_back(self, account: Account) -> None:
        """Delete a user who was to use a database, and can't."""
        try:
            if self.databases is not None:
                await self.databases.forget(account)
        finally:
            async with self._store.write() as session:
                await session.execute(delete(UserRecord).where(UserRecord.id == account.id))
                await self._store.signals.raise_(session, CHANGES)

    async def _tell(self, record: UserRecord) -> User:
        view = await self._view(record)
        self._bus.publish(
            "users",
            {"event": "changed", "user": view.model_dump(mode="json")},
            owner=view.id,
            key=view.id,
        )
        return view

    async def _take_password(self, session: AsyncSession, record: UserRecord, hashed: str) -> None:
        """Whoever knew the old one is logged out."""
        record.password = hashed
        await session.execute(delete(LoginRecord).where(LoginRecord.user_id == record.id))

    async def _refuse_to_fall(self, session: AsyncSession, record: UserRecord) -> None:
        if record.username == self._owner:
            raise Conflict(
                "user",
                record.username,
                f"{record.username} owns this server, and stays an administrator who is enabled.",
            )
        if record.role == "admin":
            await keep_an_administrator(session, record)


def _administrators_only(caller: Account) -> None:
    if not caller.is_admin:
        raise Forbidden("Only an administrator looks after users.")


def _own_or_any(caller: Account, username: str) -> None:
    if not caller.is_admin and username not in (caller.username, caller.id):
        raise NotFound("user", username)
