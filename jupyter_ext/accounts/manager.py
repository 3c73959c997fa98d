"""Who there is: the administrator of the first start, and everybody that is added."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..api.route import Page
from ..errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from ..store.database import Store
from ..store.types import utcnow
from .directory import CHANGES, Directory, local_name
from .passwords import Passwords, random_password
from .quota_ledger import forget_user
from .records import UserRecord
from .schemas import (
    Account,
    Deleted,
    NewPassword,
    NewUser,
    User,
    UserQuery,
    username_problem,
)

Check = Callable[[Account], Awaitable[None]]
"""Raises `Conflict` while an account can't go."""

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Whoever tells of changes."""

    def publish(
        self, topic: str, data: Any, *, owner: str | None = None, key: str | None = None
    ) -> object:
        """Tell the owner and administrators."""


class AccountManager:
    """The rules of accounts.

    Parameters
    ----------
    admin_username
        The owner of a single-user server, made at the first start.
    admin_password
        Theirs; without one a random one is made, and shown once.
    """

    def __init__(
        self,
        store: Store,
        bus: Publisher,
        *,
        admin_username: str = "admin",
        admin_password: str | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self.first_password: str | None = None
        """The random password of the first start, to be shown once; None at every other."""
        self._store = store
        self._bus = bus
        self._admin_username = admin_username
        self._admin_password = admin_password
        self._passwords = passwords or Passwords()
        self._checks: list[Check] = []
        self._directory = Directory(store)

    async def start(self) -> None:
        """Make the administrator, where there is none of that name.

        Raises
        ------
        InvalidRequest
            The configured name or password can't be one.
        """
        if problem := username_problem(self._admin_username):
            raise InvalidRequest(fields={"JupyterExt.admin_username": problem})
        async with self._store.read() as session:
            record = await self._directory.by_username(session, self._admin_username)
        if record is not None:
            if record.role != "admin" or not record.enabled:
                _log.warning(
                    "The account %s owns this server and is no administrator", record.username
                )
            return
        password = self._admin_password or random_password()
        hashed = await self._passwords.hash(password)
        try:
            async with self._store.write() as session:
                await self._directory.add(
                    session, self._admin_username, role="admin", password=hashed
                )
        except Conflict:
            # Another server of this store was faster, and shows its own.
            return
        if not self._admin_password:
            self.first_password = password

    async def stop(self) -> None:
        """End what runs beside the loop."""
        self._passwords.close()

    def on_delete(self, check: Check) -> None:
        """Ask `check` before an account is deleted; it raises `Conflict` while it can't be."""
        self._checks.append(check)

    # -- for the rest of the house -----------------------------------------------------------

    async def owner(self) -> Account:
        """Return whoever owns this single-user server: its administrator."""
        return await self._directory.by_name(self._admin_username)

    async def by_name(self, username: str) -> Account:
        """Return an account, from memory where it is known.

        Raises
        ------
        NotFound
            There is none.
        """
        return await self._directory.by_name(username)

    async def names(self) -> dict[str, str]:
        """Return all user names by account id."""
        return await self._directory.names()

    async def ensure(self, name: str, *, role: str | None = None) -> Account:
        """Return the account of somebody that JupyterHub knows, made when they first come.

        A hub's name that can't be one here (an e-mail address, say) becomes one that can.

        Parameters
        ----------
        role
            What the account shall be from now on; without one it stays what it is.
        """
        username = local_name(name)
        try:
            account = await self.by_name(username)
        except NotFound:
            with suppress(Conflict):
                async with self._store.write() as session:
                    await self._directory.add(session, username, role=role or "user")
            account = await self.by_name(username)
        if role in (None, account.role):
            return account
        async with self._store.write() as session:
            record = await self._directory.find(session, account.id)
            _log.info("%s was %s and is %s now", username, record.role, role)
            record.role = role
            await self._store.signals.raise_(session, CHANGES)
        return await self.by_name(username)

    async def authenticate(self, username: str, password: str) -> Account:
        """Check a name and a password.

        Raises
        ------
        Unauthenticated
            One of them is wrong, or the account is disabled; which, is not told.
        """
        async with self._store.read() as session:
            record = await self._directory.by_username(session, username)
        hashed = record.password if record is not None else None
        good = await self._passwords.verify(hashed, password)
        if record is None or hashed is None or not good or not record.enabled:
            raise Unauthenticated("The user name or the password is wrong.")
        changes: dict[str, Any] = {"last_login": utcnow()}
        if self._passwords.outdated(hashed):
            changes["password"] = await self._passwords.hash(password)
        async with self._store.write() as session:
            await session.execute(
                update(UserRecord).where(UserRecord.id == record.id).values(**changes)
            )
        return record.account()

    # -- for routes --------------------------------------------------------------------------

    async def list(self, caller: Account, query: UserQuery) -> Page[User]:
        """List users, newest first."""
        _administrators_only(caller)
        wanted = (UserRecord.role == query.role) if query.role else UserRecord.id.is_not(None)
        async with self._store.read() as session:
            count = select(func.count()).select_from(UserRecord).where(wanted)
            total = (await session.execute(count)).scalar_one()
            rows = await session.scalars(
                select(UserRecord)
                .where(wanted)
                .order_by(UserRecord.created_at.desc(), UserRecord.id.desc())
                .limit(query.limit)
                .offset(query.offset)
            )
            users = [record.view() for record in rows]
        return Page(users, total, query.limit, query.offset, "users")

    async def create(self, caller: Account, body: NewUser) -> User:
        """Add a user.

        Raises
        ------
        Conflict
            The name is taken.
        InvalidRequest
            The password is too short.
        NotFound
            A database that they shall use does not exist.
        """
        _administrators_only(caller)
        if body.databases:
            raise NotFound("database", body.databases[0])
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
        made = record.view()
        self._bus.publish(
            "users",
            {"event": "changed", "user": made.model_dump(mode="json")},
            owner=made.id,
            key=made.id,
        )
        return made

    async def delete(self, caller: Account, username: str) -> Deleted:
        """Delete a user who owns nothing any more; their keys die with them.

        Raises
        ------
        NotFound
            There is none of this name or id.
        Conflict
            They own something, own this server, or are the last administrator.
        """
        _administrators_only(caller)
        async with self._store.read() as session:
            account = (await self._directory.find(session, username)).account()
        if account.username == self._admin_username:
            raise Conflict(
                "user", account.username, f"{account.username} owns this server and stays."
            )
        for check in self._checks:
            await check(account)
        async with self._store.write() as session:
            record = await self._directory.find(session, account.id)
            if record.role == "admin":
                await self._keep_one(session, record)
            await forget_user(session, record)
            await session.delete(record)
            try:
                await session.flush()
            except IntegrityError as error:
                # Something of theirs was made after the checks.
                raise Conflict(
                    "user", account.username, f"{account.username} still owns something."
                ) from error
            await self._store.signals.raise_(session, CHANGES)
        self._bus.publish(
            "users", {"event": "removed", "id": account.id}, owner=account.id, key=account.id
        )
        return Deleted(username=account.username)

    async def set_password(self, caller: Account, username: str, body: NewPassword) -> User:
        """Give a user another password: one's own, or anybody's as an administrator.

        Raises
        ------
        NotFound
            There is none of this name or id, or it is somebody else's.
        InvalidRequest
            It is too short.
        """
        if not caller.is_admin and username not in (caller.username, caller.id):
            raise NotFound("user", username)
        async with self._store.read() as session:
            found = await self._directory.find(session, username)
        hashed = await self._passwords.hash(body.password)
        async with self._store.write() as session:
            record = await self._directory.find(session, found.id)
            record.password = hashed
            await self._store.signals.raise_(session, CHANGES)
        return record.view()

    # -- inside ------------------------------------------------------------------------------

    async def _keep_one(self, session: AsyncSession, leaving: UserRecord) -> None:
        # The rows are locked: two administrators that delete each other must not both succeed.
        admins = await session.scalars(
            select(UserRecord.id)
            .where(UserRecord.role == "admin", UserRecord.enabled)
            .with_for_update()
        )
        if not set(admins) - {leaving.id}:
            raise Conflict(
                "user",
                leaving.username,
                f"{leaving.username} is the last administrator. Make another one first.",
            )


def _administrators_only(caller: Account) -> None:
    if not caller.is_admin:
        raise Forbidden("Only an administrator looks after users.")
