"""A role of the cluster for everybody who has a database, made when they first need one."""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..accounts.schemas import Account
from ..errors import Conflict
from ..store.database import Store, insert_for
from ..store.types import new_id
from .connections import Connections, statement
from .place import SUPERUSER
from .records import DatabaseRole

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MARK = "jupyter_ext"
"""What the comments of roles that were made here begin with; a server of somebody else's has
others, too. The account follows: who has a name now may not be who had it when a backup was taken.
"""

GONE = "gone."
"""What roles of users who are gone are called, as no user can be."""

RESERVED = frozenset((SUPERUSER, "postgres", "public", "none", "current_user", "session_user"))

PASSWORD_LENGTH = 32

END_MILLISECONDS = 5000
"""That the sessions of a role which goes have to end."""

_OWNED = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
_SHORT_PATIENCE = "SET LOCAL lock_timeout = '2s'"
_END_SESSIONS = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usename = %s"
_TOUCHED = (
    "SELECT datname, pg_get_userbyid(datdba), datallowconn FROM pg_database WHERE oid IN ("
    "SELECT s.dbid FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid"
    " WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = %s)"
)
"""Databases in which a role has anything: the others, which are other users', are let alone."""

_log = logging.getLogger(__name__)

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Login:
    """How somebody logs in to the cluster."""

    role: str
    password: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A login, and what PostgreSQL keeps of its password."""

    login: Login
    verifier: str


class Roles:
    """Roles and their passwords; the store tells whose they are, PostgreSQL what they may.

    Parameters
    ----------
    most
        Connections of each at once.
    """

    def __init__(self, store: Store, connections: Connections, most: int) -> None:
        self._store = store
        self._connections = connections
        self._most = most
        self._there: dict[str | None, _Known] = {}
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def users(self) -> Mapping[str, str]:
        """Return the accounts of roles."""
        async with self._store.read() as session:
            rows = await session.execute(
                select(DatabaseRole.role, DatabaseRole.user_id).where(
                    DatabaseRole.user_id.is_not(None)
                )
            )
            return {role: user for role, user in rows if user is not None}

    async def of(self, account_id: str) -> str | None:
        """Return the role of an account; None before it has one."""
        async with self._store.read() as session:
            found: str | None = await session.scalar(
                select(DatabaseRole.role).where(DatabaseRole.user_id == account_id)
            )
            return found

    async def ensure(self, account: Account | None) -> Login:
        """Return an account's role, or the cluster's own, made where it is not there.

        A cluster that was restored to a moment before may not know it any more, and its user may
        have changed its password by hand: what is returned leads in.

        Raises
        ------
        Conflict
            The server has a role of this name that was not made here.
        Unavailable
            The server or the store does not answer.
        """
        account_id = account.id if account is not None else None
        async with self._connections.use() as connection:
            known = self._there.get(account_id)
            if known is not None and await _leads_in(connection, known):
                return known.login
        login = await self._claimed(account)
        # Its user may hold a lock on it: of all who wait for that, one has a connection.
        async with self._making[login.role], self._connections.alone(login.role) as connection:
            verifier = await self._make(connection, login, account_id)
        self._there[account_id] = _Known(login, verifier)
        return login

    async def superuser_in(self, connection: AsyncConnection[Any]) -> Login:
        """Let the cluster's own role log in to another cluster as it does to this one."""
        login = await self._claimed(None)
        await self._make(connection, login, None)
        return login

    def forget(self) -> None:
        """Know nothing of the server: it may be another one, or at another moment, from now on."""
        self._there.clear()

    async def clear(self) -> None:
        """Drop roles that were made here, are nobody's any more, and have nothing."""
        from psycopg import errors

        known = set(await self.users())
        async with self._connections.use() as connection:
            rows = await connection.execute(
                "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles"
                " WHERE NOT rolsuper"
            )
            for role, comment in await rows.fetchall():
                if role in known or not _made_here(comment):
                    continue
                self.forget()
                try:
                    await connection.execute(statement("DROP ROLE {}", role))
                except errors.DependentObjectsStillExist:
                    # A restored cluster may know users who were deleted since.
                    _log.warning("The role %s is nobody's, and still has something", role)
                    await connection.execute(statement("ALTER ROLE {} NOLOGIN", role))
                    await connection.execute(_END_SESSIONS, [END_MILLISECONDS, role])

    async def renew(self, needed: Collection[str]) -> None:
        """Have roles log in as the store says: those that are there, and those of some accounts.

        One that is an earlier user's of the same name keeps what it has, under another name.
        """
        self.forget()
        async with self._store.read() as session:
            known = {each.role: each for each in await session.scalars(select(DatabaseRole))}
        async with self._connections.use() as connection:
            rows = await connection.execute(
                "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles"
            )
            there = dict(await rows.fetchall())
            for role, comment in there.items():
                whose = known[role].user_id if role in known else None
                if role != SUPERUSER and _made_here(comment) and account_in(comment) != whose:
                    await _retire(connection, role)
            for role, found in known.items():
                if role in there and not _made_here(there[role]):
                    continue
                if role in there or found.user_id in needed:
                    login = Login(role, self._store.secrets.decrypt(found.password))
                    await self._make(connection, login, found.user_id)

    async def shut_out(self, role: str) -> None:
        """Let nobody log in as a role, until it is ensured, and end its sessions.

        They would stay after it, or hold locks on what is to be taken away.
        """
        self.forget()
        async with self._connections.use() as connection:
            if (await _look(connection, role))[0]:
                # First, too: a session may hold a lock on its role itself.
                await connection.execute(_END_SESSIONS, [END_MILLISECONDS, role])
                await connection.execute(statement("ALTER ROLE {} NOLOGIN", role))
                await connection.execute(_END_SESSIONS, [END_MILLISECONDS, role])

    async def drop(self, role: str) -> None:
        """Drop a role that has no database any more; what it made in others' is theirs.

        Raises
        ------
        Conflict
            It has one.
        """
        await self.shut_out(role)
        async with self._connections.use() as connection:
            if not (await _look(connection, role))[0]:
                return
            rows = await connection.execute(_OWNED, [role])
            if owned := [name for (name,) in await rows.fetchall()]:
                # REASSIGN OWNED would give it to the owner of wherever it is said.
                raise Conflict("role", role, f"{role} has the database {owned[0]}.")
            rows = await connection.execute(_TOUCHED, [role])
            touched = await rows.fetchall()
        for database, owner, open_ in touched:
            if not open_:
                await self._let_connect(database)
            async with self._connections.to(database) as inside:
                await inside.execute(statement("REASSIGN OWNED BY {} TO {}", role, owner))
                # What is left are its privileges.
                await inside.execute(statement("DROP OWNED BY {}", role))
        async with self._connections.use() as connection:
            # Those of databases themselves belong to none.
            await connection.execute(statement("DROP OWNED BY {}", role))
            await connection.execute(statement("DROP ROLE {}", role))

    # -- inside --------------------------------------------------------------------------------

    async def _let_connect(self, database: str) -> None:
        """Open a database that its owner closed to everybody."""
        async with self._connections.use() as connection:
            await connection.execute(
                statement("ALTER DATABASE {} ALLOW_CONNECTIONS true", database)
            )

    async def _claimed(self, account: Account | None) -> Login:
        """Read the role and its password, written down before PostgreSQL knows of them."""
        user_id = account.id if account is not None else None
        role = SUPERUSER if account is None else _role_name(account.username)
        fresh = "".join(secrets.choice(_LETTERS) for _ in range(PASSWORD_LENGTH))
        whose = (
            DatabaseRole.role == SUPERUSER if user_id is None else DatabaseRole.user_id == user_id
        )
        async with self._store.write() as session:
            row = await session.scalar(select(DatabaseRole).where(whose))
            if row is None:
                insert = insert_for(self._store.is_sqlite)(DatabaseRole)
                values = {
                    "role": role,
                    "user_id": user_id,
                    "password": self._store.secrets.encrypt(fresh),
                }
                await session.execute(insert.values(values).on_conflict_do_nothing())
                row = await session.scalar(select(DatabaseRole).where(whose))
            if row is None:
                raise Conflict(
                    "role", role, f"The role {role!r} is another user's. Tell an administrator."
                )
            return Login(row.role, self._store.secrets.decrypt(row.password))

    async def _make(
        self, connection: AsyncConnection[Any], login: Login, user_id: str | None
    ) -> str:
        """Make an account's role, or set its password, and return the verifier of that."""
        # Hashed here: what a statement says may be logged.
        verifier = connection.pgconn.encrypt_password(
            login.password.encode(), login.role.encode(), b"scram-sha-256"
        ).decode()
        async with connection.transaction():
            await connection.execute(_SHORT_PATIENCE)
            # PostgreSQL refuses two changes of one role at once.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [login.role]
            )
            there, comment = await _look(connection, login.role)
            if there and not _made_here(comment):
                raise Conflict(
                    "role",
                    login.role,
                    f"PostgreSQL has a role {login.role!r} already, which was not made here. "
                    "Rename it there, or have the user take another name.",
                )
            if there and account_in(comment) not in (None, user_id):
                await _retire(connection, login.role)
                there = False
            if not there:
                may = (
                    "SUPERUSER"
                    if user_id is None
                    else "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
                )
                await connection.execute(statement("CREATE ROLE {} NOLOGIN " + may, login.role))
            if comment != _mark(user_id):
                await mark_role(connection, login.role, user_id)
            await connection.execute(
                statement(
                    "ALTER ROLE {} LOGIN CONNECTION LIMIT {most} PASSWORD {verifier}",
                    login.role,
                    most=self._most,
                    verifier=verifier,
                )
            )
        return verifier


async def mark_role(
    connection: AsyncConnection[Any], role: str, user_id: str | None = None
) -> None:
    """Say of a role that it was made here, and for which account."""
    await connection.execute(statement("COMMENT ON ROLE {} IS {mark}", role, mark=_mark(user_id)))


def account_in(comment: str | None) -> str | None:
    """Return the account for which a role was made, from its comment."""
    return (comment or "").removeprefix(MARK).strip() or None if _made_here(comment) else None


def _mark(user_id: str | None) -> str:
    return MARK if user_id is None else f"{MARK} {user_id}"


def _made_here(comment: str | None) -> bool:
    return (comment or "").partition(" ")[0] == MARK


async def _retire(connection: AsyncConnection[Any], role: str) -> None:
    """Take the name of a role whose user is gone: another one has it by now, or may have it."""
    _log.warning("The role %s is of a user who is gone", role)
    name = GONE + new_id("role")
    await connection.execute(statement("ALTER ROLE {} RENAME TO {}", role, name))
    await connection.execute(statement("ALTER ROLE {} NOLOGIN", name))


def _role_name(username: str) -> str:
    """Return the role of a user name; names that mean something to PostgreSQL are marked."""
    # No user name has a dot, so nobody else's role is called so.
    taken = username in RESERVED or username.startswith("pg_")
    return f"user.{username}" if taken else username


async def _leads_in(connection: AsyncConnection[Any], known: _Known) -> bool:
    rows = await connection.execute(
        "SELECT 1 FROM pg_authid WHERE rolname = %s AND rolpassword = %s AND rolcanlogin",
        [known.login.role, known.verifier],
    )
    return await rows.fetchone() is not None


async def _look(connection: AsyncConnection[Any], role: str) -> tuple[bool, str | None]:
    """Return whether there is a role, and its comment."""
    rows = await connection.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", [role]
    )
    row = await rows.fetchone()
    return row is not None, row[0] if row is not None else None
