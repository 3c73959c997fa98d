"""What PostgreSQL's catalogue says of databases, and the statements that make and end them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, NotFound
from .connections import Connections, statement
from .place import SUPERUSER
from .schemas import MAINTENANCE
from .spare import Spare

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg import AsyncConnection

CLOSED = 0
"""Connections that a database may have while it is made: the superuser alone can enter it."""

FILLED = 1
"""The same while its owner's role fills it, which takes the one."""

INVALID = -2
"""What PostgreSQL sets while it drops one, and leaves where it is interrupted."""

NO_LIMIT = -1

END_SECONDS = 5.0
"""That sessions which are ended have for it."""

DROPPING = 7_231 << 32
"""Of PostgreSQL's advisory locks, those of who drops the database of the oid that is added."""

COPY_FILES = 100 << 20
"""Bytes from which copying files beats writing each page into the WAL, for the two checkpoints that
it takes (see CREATE DATABASE, STRATEGY, in PostgreSQL's documentation)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A database as the catalogue has it.

    Parameters
    ----------
    made
        When its files were made, where the server tells.
    closed
        Whether it is still being made, or half gone.
    oid
        Which one of those that ever had this name; 0 where the catalogue was not asked.
    """

    name: str
    role: str
    made: datetime | None
    closed: bool
    oid: int = 0


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that the server has.

    Parameters
    ----------
    trusted
        Whether the owner of a database may have it without a superuser.
    """

    name: str
    trusted: bool


class Catalog:
    """The databases of the server."""

    def __init__(self, connections: Connections, spare: Spare) -> None:
        self._connections = connections
        self._spare = spare

    async def list(self) -> Sequence[Found]:
        """List all databases."""
        return await self._databases("ORDER BY d.datname")

    async def find(self, name: str) -> Found:
        """Return a database.

        Raises
        ------
        NotFound
            There is none of this name.
        """
        found = await self._found(name)
        if found is None:
            raise no_database(name)
        return found

    async def sizes(self, names: Collection[str] | None = None) -> Mapping[str, int]:
        """Measure databases, in bytes; all without `names`."""
        query = "SELECT datname, coalesce(pg_database_size(oid), 0) FROM pg_database"
        async with self._connections.use() as connection:
            if names is None:
                rows = await connection.execute(query)
            else:
                rows = await connection.execute(f"{query} WHERE datname = ANY(%s)", [list(names)])
            return dict(await rows.fetchall())

    async def version(self) -> int:
        """Return the server's major version."""
        async with self._connections.use() as connection:
            return connection.info.server_version // 10_000

    async def extensions(self) -> Mapping[str, Extension]:
        """List the extensions that the server has."""
        query = (
            "SELECT e.name, coalesce(v.trusted, false) FROM pg_available_extensions e"
            " LEFT JOIN pg_available_extension_versions v"
            " ON v.name = e.name AND v.version = e.default_version"
        )
        async with self._connections.use() as connection:
            rows = await connection.execute(query)
            return {name: Extension(name, trusted) for name, trusted in await rows.fetchall()}

    async def sessions(self, found: Found, *, patience: float = 0.0) -> int:
        """Count who is in a database; in one that is gone is nobody.

        Parameters
        ----------
        patience
            Seconds that are given to sessions to leave: one whose client has just closed it is
            there for a moment longer.
        """
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datid = %s AND backend_type = 'client backend'"
        )
        end = time.monotonic() + patience
        while True:
            async with self._connections.use() as connection:
                row = await (await connection.execute(query, [found.oid])).fetchone()
            count = int(row[0]) if row else 0
            if count == 0 or time.monotonic() >= end:
                return count
            await asyncio.sleep(0.05)

    async def in_use(self, found: Found) -> bool:
        """Whether somebody is in a database or has a lock on it, so that its drop would wait."""
        query = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datid = %(oid)s AND backend_type = 'client backend')"
            " OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'object'"
            " AND classid = 'pg_database'::regclass AND objid = %(oid)s)"
        )
        async with self._connections.use() as connection:
            row = await (await connection.execute(query, {"oid": found.oid})).fetchone()
        return bool(row and row[0])

    async def burden(self, name: str) -> tuple[int, int] | None:
        """Count who is in a database, and its bytes, which is what copying it depends on.

        Returns
        -------
        tuple of int
            Sessions and bytes; None where there is no such database.
        """
        query = (
            "SELECT (SELECT count(*) FROM pg_stat_activity a"
            " WHERE a.datid = d.oid AND a.backend_type = 'client backend'),"
            " coalesce(pg_database_size(d.oid), 0) FROM pg_database d WHERE d.datname = %s"
        )
        async with self._connections.use() as connection:
            row = await (await connection.execute(query, [name])).fetchone()
            return (int(row[0]), int(row[1])) if row else None

    # -- changes -------------------------------------------------------------------------------

    async def create(
        self, name: str, role: str, mark: str, *, template: str | None = None, copy: bool = False
    ) -> None:
        """Make a database that is closed.

        Parameters
        ----------
        mark
            By which `end_work` finds it while it goes on.
        copy
            Copy the template's files, sharing their blocks where that can be.

        Raises
        ------
        Conflict
            There is one of this name, or somebody is in the template.
        """
        text = "CREATE DATABASE {} OWNER {} CONNECTION LIMIT 0 TEMPLATE {}"
        async with self._connections.alone(role, mark) as connection:
            if template is None and await self._spare.take(connection, name, role):
                return
            version = connection.info.server_version
            if copy and version >= 180_000:
                # Where the file system can't share blocks, it copies.
                await connection.execute("SET file_copy_method = clone")
            if copy and version >= 150_000:
                text += " STRATEGY file_copy"
            await connection.execute(statement(text, name, role, template or "template1"))

    async def end_work(self, mark: str) -> None:
        """End what a server that is gone had the database do."""
        query = (
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE application_name = %s"
        )
        async with self._connections.use() as connection:
            await connection.execute(query, [int(END_SECONDS * 1000), mark])

    async def enable(self, name: str, extensions: Sequence[str]) -> None:
        """Put extensions into a database, in the schema in which everybody looks."""
        if not extensions:
            return
        async with self._connections.to(name) as connection:
            # Its owner may have dropped it.
            await connection.execute(
                "CREATE SCHEMA IF NOT EXISTS public AUTHORIZATION pg_database_owner"
            )
            for extension in extensions:
                await connection.execute(
                    statement("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public CASCADE", extension)
                    if await _movable(connection, extension)
                    else statement("CREATE EXTENSION IF NOT EXISTS {} CASCADE", extension)
                )

    async def open(self, name: str, role: str, limit: int = NO_LIMIT) -> None:
        """Let in whom a database belongs to, as often as `limit` says, and nobody else."""
        async with self._connections.use() as connection:
            if connection.info.server_version < 150_000 and role != SUPERUSER:
                # From 15 on the public schema is the owner's, and nobody else's.
                async with self._connections.to(name) as inside:
                    if await _has_public(inside):
                        await inside.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
                        await inside.execute(statement("GRANT ALL ON SCHEMA public TO {}", role))
            # Sent together they are one transaction.
            await connection.execute(
                statement(
                    "REVOKE ALL ON DATABASE {} FROM PUBLIC;"
                    " ALTER DATABASE {} CONNECTION LIMIT {limit}",
                    *(name, name),
                    limit=limit,
                )
            )

    @asynccontextmanager
    async def switching(self, names: Collection[str]) -> AsyncIterator[AsyncConnection[Any]]:
        """Connect to where databases can be renamed from: none is by who is in it.

        Raises
        ------
        Conflict
            The maintenance database is among them, and what others have going on does not end.
        """
        way = self._connections.outside if MAINTENANCE in names else self._connections.use
        async with way() as connection:
            yield connection

    async def shut(self, connection: AsyncConnection[Any], name: str, role: str) -> None:
        """Let nobody into a role's database any more but superusers, and end the sessions in it.

        Raises
        ------
        Conflict
            The name is of another role's database by now; who is in that one stays.
        """
        ends = (
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
            " WHERE datid = %s AND backend_type = 'client backend'"
        )
        async with connection.transaction():
            await connection.execute(
                statement("ALTER DATABASE {} CONNECTION LIMIT {limit}", name, limit=CLOSED)
            )
            rows = await connection.execute(
                "SELECT oid, pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [name]
            )
            oid, owner = await rows.fetchone() or (0, role)
            if owner != role:
                raise _by_now(name)
        await connection.execute(ends, [int(END_SECONDS * 1000), oid])

    async def rename(
        self,
        connection: AsyncConnection[Any],
        moves: Sequence[tuple[str, str]],
        roles: Mapping[str, str] | None = None,
    ) -> None:
        """Rename databases in order, all of them or none.

        Parameters
        ----------
        roles
            By new names whose these have to be: a name may be another database's by now.

        Raises
        ------
        Conflict
            Somebody is in one of them, a name is taken, or one is another role's.
        """
        wanted = roles or {}
        # Who drops one of these has looked at its name, and drops whatever has it then.
        lock = (
            "SELECT pg_advisory_xact_lock(%s + oid::bigint) FROM pg_database"
            " WHERE datname = ANY(%s) ORDER BY oid"
        )
        query = (
            "SELECT datname::text, pg_get_userbyid(datdba)::text FROM pg_database"
            " WHERE datname = ANY(%s)"
        )
        async with connection.transaction():
            await connection.execute(lock, [DROPPING, [old for old, _ in moves]])
            for old, new in moves:
                await connection.execute(statement("ALTER DATABASE {} RENAME TO {}", old, new))
            # Renamed they are locked: from here on nobody drops one and makes another.
            rows = await connection.execute(query, [list(wanted)])
            for new, role in await rows.fetchall():
                if wanted[new] != role:
                    raise _by_now(next(old for old, later in moves if later == new))

    async def drop(self, found: Found, *, force: bool = False) -> bool:
        """Drop a database as it was found, and no other; one that is not there is no error.

        Its name may be another one's by now, or the database another role's: these stay.

        Returns
        -------
        bool
            Whether it was there.

        Raises
        ------
        Conflict
            Somebody is in it.
        """
        text = "DROP DATABASE IF EXISTS {} WITH (FORCE)" if force else "DROP DATABASE IF EXISTS {}"
        async with self._connections.alone(found.role) as connection:
            # PostgreSQL drops by name. Nobody else drops this one while this connection has the
            # lock, so that the name stays its own between the look and the end.
            await connection.execute("SELECT pg_advisory_lock(%s)", [DROPPING + found.oid])
            rows = await connection.execute(
                "SELECT datistemplate FROM pg_database"
                " WHERE oid = %s AND datname = %s AND pg_get_userbyid(datdba) = %s",
                [found.oid, found.name, found.role],
            )
            row = await rows.fetchone()
            if row is None:
                return False
            if row[0]:
                # Its owner may say so, and a template is not dropped.
                await connection.execute(
                    statement("ALTER DATABASE {} IS_TEMPLATE false", found.name)
                )
            # A recovery ends before a commit, and its files go before that of their removal:
            # without one in between, the moment before could not be restored.
            await connection.execute("SELECT pg_current_xact_id()")
            await connection.execute(statement(text, found.name))
        return True

    async def undo(self, name: str, role: str) -> bool:
        """Drop what is half made; a database that somebody else made meanwhile stays.

        Returns
        -------
        bool
            False where it is open: somebody may be in it already.
        """
        found = await self._found(name)
        if found is None or found.role != role:
            return True
        if found.closed:
            await self.drop(found, force=True)
        return found.closed

    async def give(self, name: str, role: str, to: str) -> None:
        """Make a database another role's, with all that the one before owns in it."""
        async with self._connections.use() as connection:
            await connection.execute(statement("ALTER DATABASE {} OWNER TO {}", name, to))
            # Who had it may have closed it to everybody.
            await connection.execute(statement("ALTER DATABASE {} ALLOW_CONNECTIONS true", name))
        if role == SUPERUSER:
            return
        async with self._connections.to(name) as inside:
            await inside.execute(statement("REASSIGN OWNED BY {} TO {}", role, to))
            if await _has_public(inside):
                await inside.execute(statement("GRANT ALL ON SCHEMA public TO {}", to))

    async def let_in(self, name: str, role: str, owner: str) -> None:
        """Let a role read and write in a database that is not its own, and make nothing there.

        What it made in a schema where the owner looks could be run as the owner.
        """
        async with self._connections.use() as connection:
            await connection.execute(
                statement("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", name, role)
            )
        async with self._connections.to(name) as inside, inside.transaction():
            rows = await inside.execute(
                "SELECT nspname FROM pg_namespace"
                " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            )
            for (schema,) in await rows.fetchall():
                await inside.execute(statement("GRANT USAGE ON SCHEMA {} TO {}", schema, role))
                for text in _USE:
                    await inside.execute(
                        statement(f"GRANT {text} IN SCHEMA {{}} TO {{}}", schema, role)
                    )
            # What the owner makes from now on.
            for text in _USE_LATER:
                await inside.execute(
                    statement(
                        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} GRANT {text} TO {{}}", owner, role
                    )
                )

    async def _found(self, name: str) -> Found | None:
        # As a `name` PostgreSQL would cut it off, and find another one's.
        found = await self._databases("WHERE d.datname = {name}::text", name=name)
        return next(iter(found), None)

    async def _databases(self, which: LiteralString, **values: str) -> Sequence[Found]:
        query: LiteralString = (
            "SELECT d.oid, d.datname, r.rolname, d.datconnlimit,"
            " (pg_stat_file('base/' || d.oid || '/PG_VERSION', true)).modification"
            " FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba "
        )
        async with self._connections.use() as connection:
            rows = await connection.execute(statement(query + which, **values))
            return [
                Found(name, role, made, limit in (CLOSED, FILLED, INVALID), oid)
                for oid, name, role, limit, made in await rows.fetchall()
            ]


_USE: Sequence[LiteralString] = (
    "SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES",
    "USAGE, SELECT, UPDATE ON ALL SEQUENCES",
)
_USE_LATER: Sequence[LiteralString] = (
    "USAGE ON SCHEMAS",
    "SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES",
    "USAGE, SELECT, UPDATE ON SEQUENCES",
)
"""What somebody may do in a database that they were let into."""


def no_database(name: str) -> NotFound:
    """Return the error in the document's own words."""
    error = NotFound("database", name, "数据库未找到")
    error.english = f"There is no database {name!r}."
    return error


def _by_now(name: str) -> Conflict:
    return Conflict("database", name, f"{name} is somebody else's by now.")


def taken(name: str) -> Conflict:
    """Return the error of a name that somebody has."""
    return Conflict(
        "database",
        name,
        f"There is a database {name!r} already. Choose another name.",
        fields={"name": "is taken"},
    )


async def _has_public(connection: AsyncConnection[Any]) -> bool:
    """Whether a database has the schema that its owner may drop."""
    rows = await connection.execute("SELECT to_regnamespace('public') IS NOT NULL")
    row = await rows.fetchone()
    return bool(row and row[0])


async def _movable(connection: AsyncConnection[Any], extension: str) -> bool:
    """Whether an extension lies in the schema that one says; others bring one of their own."""
    rows = await connection.execute(
        "SELECT v.schema IS NULL FROM pg_available_extensions e"
        " JOIN pg_available_extension_versions v"
        " ON v.name = e.name AND v.version = e.default_version WHERE e.name = %s",
        [extension],
    )
    row = await rows.fetchone()
    return bool(row and row[0])
