"""Who there is: the administrator of the first start, and everybody that is added."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from sqlalchemy import update

from ..errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from ..store.database import Store
from ..store.types import utcnow
from .directory import CHANGES, Directory, local_name
from .passwords import Passwords, random_password
from .records import UserRecord
from .schemas import Account, User, username_problem

_log = logging.getLogger(__name__)


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
        *,
        admin_username: str = "admin",
        admin_password: str | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self.first_password: str | None = None
        """The random password of the first start, to be shown once; None at every other."""
        self._store = store
        self.admin_username = admin_username
        self._admin_password = admin_password
        self._passwords = passwords or Passwords()
        self._directory = Directory(store)

    async def start(self) -> None:
        """Make the administrator, where there is none of that name.

        Raises
        ------
        InvalidRequest
            The configured name or password can't be one.
        """
        if problem := username_problem(self.admin_username):
            raise InvalidRequest(fields={"JupyterExt.admin_username": problem})
        async with self._store.read() as session:
            record = await self._directory.by_username(session, self.admin_username)
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
                    session, self.admin_username, role="admin", password=hashed
                )
        except Conflict:
            # Another server of this store was faster, and shows its own.
            return
        if not self._admin_password:
            self.first_password = password

    async def stop(self) -> None:
        """End what runs beside the loop."""
        self._passwords.close()

    # -- for the rest of the house -----------------------------------------------------------

    async def owner(self) -> Account:
        """Return whoever owns this single-user server: its administrator."""
        return await self._directory.by_name(self.admin_username)

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

    async def authenticate(
        self, username: str, password: str, *, known: bool = True
    ) -> tuple[Account, User]:
        """Check a name and a password; as slow for a name that nobody has.

        Parameters
        ----------
        known
            The account has logged in before from where this comes; strangers wait behind.

        Raises
        ------
        Unauthenticated
            One of them is wrong, or the account is disabled; which, is not told.
        RateLimited
            Too many strangers wait.
        """
        async with self._store.read() as session:
            record = await self._directory.by_username(session, username)
        hashed = record.password if record is not None else None
        if known:
            good = await self._passwords.verify(hashed, password)
        else:
            good = await self._passwords.verify_strangers(username, hashed, password)
        if record is None or hashed is None or not good or not record.enabled:
            raise Unauthenticated("The user name or the password is wrong.")
        changes: dict[str, Any] = {"last_login": utcnow()}
        if self._passwords.outdated(hashed):
            changes["password"] = await self._passwords.hash(password)
        async with self._store.write() as session:
            await session.execute(
                update(UserRecord).where(UserRecord.id == record.id).values(**changes)
            )
            account = await self._directory.account(session, record)
        record.last_login = changes["last_login"]
        return account, record.view()
