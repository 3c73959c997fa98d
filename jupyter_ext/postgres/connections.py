"""Connections to the cluster as its superuser, and what its errors mean."""

from __future__ import annotations

import asyncio
import re
import select
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import Away, Conflict, InvalidRequest, NotFound, PlatformError, Unavailable
from .place import Place
from .sessions import SAFE, safely

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg import AsyncConnection, Error
    from psycopg.sql import Composed
    from psycopg_pool import AsyncConnectionPool

MOST = 8
"""Connections that the product itself holds at once."""

OUTSIDE = "template1"
"""The database from which the maintenance database is renamed: every cluster has it."""

EMPTY_PATIENCE = 60.0
"""Seconds that whoever renames the maintenance database waits for work of others to end."""

LONG = 200
"""The same for statements that take long: as good as no bound, since each role has its own."""

AT_ONCE = 4
"""Statements that take long, for each role, at once: nobody's lock or size keeps others waiting."""

PATIENCE = 10.0
"""Seconds that somebody waits for one of them."""


class Connections:
    """A pool of connections to the maintenance database, and single ones to others.

    The pool outlasts a restart of PostgreSQL: what PostgreSQL ended is never lent.

    Attributes
    ----------
    version
        The major one of the server; 0 before it is known.
    """

    def __init__(self) -> None:
        self._conninfo: dict[str, str] = {}
        self.version = 0
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] | None = None
        self._long: AsyncConnectionPool[AsyncConnection[Any]] | None = None
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            partial(asyncio.Semaphore, AT_ONCE)
        )
        self._lent = 0
        self._returned = asyncio.Event()
        self._unlocked = asyncio.Event()
        self._unlocked.set()

    async def open(self, conninfo: Mapping[str, str], version: int) -> None:
        """Be ready for a server; those of another one are closed.

        Parameters
        ----------
        version
            The major one of the server.

        Raises
        ------
        Unavailable
            psycopg is not installed.
        """
        if self._pool is not None and (self._conninfo, self.version) == (conninfo, version):
            return
        await self.close()
        with _needing_psycopg():
            from psycopg.conninfo import make_conninfo
            from psycopg_pool import AsyncConnectionPool
        self._conninfo, self.version = dict(conninfo), version
        self._pool, self._long = (
            AsyncConnectionPool(
                make_conninfo("", **safely(conninfo, version)),
                kwargs={"autocommit": True},
                min_size=0,
                max_size=most,
                timeout=PATIENCE,
                max_idle=60,
                check=_check,
                reset=reset,
                open=False,
            )
            for most, reset in ((MOST, None), (LONG, _unmark))
        )
        await self._pool.open()
        await self._long.open()

    async def close(self) -> None:
        """Let go of all."""
        pools = (self._pool, self._long)
        self._pool = self._long = None
        for pool in pools:
            if pool is not None:
                await pool.close(timeout=2)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Borrow a connection to the maintenance database; each statement is a transaction.

        Raises
        ------
        Away
            The server does not answer.
        """
        async with self._entered():
            if self._pool is None:
                raise _stopped()
            with translating():
                async with self._pool.connection() as connection:
                    yield connection

    @asynccontextmanager
    async def alone(
        self, role: str, mark: str | None = None
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """Borrow a connection to the maintenance database for what takes long.

        Parameters
        ----------
        role
            For whom: each has so many turns at once.
        mark
            What PostgreSQL's list of sessions calls it meanwhile.

        Raises
        ------
        Away
            The server does not answer.
        """
        async with self._turns[role], self._entered():
            if self._long is None:
                raise _stopped()
            with translating():
                async with self._long.connection() as connection:
                    if mark is not None:
                        await _call(connection, mark)
                    yield connection

    @asynccontextmanager
    async def to(
        self, database: str, login: tuple[str, str] | None = None
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """Open a connection to one database.

        Parameters
        ----------
        login
            Role and password; the superuser without.
        """
        with _needing_psycopg():
            from psycopg import AsyncConnection
            from psycopg.conninfo import make_conninfo
        as_whom = {} if login is None else {"user": login[0], "password": login[1]}
        conninfo = make_conninfo(
            "", **safely({**self._conninfo, **as_whom, "dbname": database}, self.version)
        )
        with translating():
            connection = await AsyncConnection.connect(conninfo, autocommit=True)
            async with connection:
                yield connection

    @asynccontextmanager
    async def outside(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Leave the maintenance database, which is to be renamed, and connect to another one.

        Whoever needs a connection waits meanwhile: it is for what takes a moment.

        Raises
        ------
        Conflict
            What others have going on does not end.
        """
        try:
            async with asyncio.timeout(EMPTY_PATIENCE):
                while self._lent or not self._unlocked.is_set():
                    self._returned.clear()
                    await self._returned.wait()
        except TimeoutError:
            raise Conflict(
                "database",
                self._conninfo.get("dbname", ""),
                "Databases are made and deleted without a pause. Try again when that is over.",
            ) from None
        self._unlocked.clear()
        conninfo, version = dict(self._conninfo), self.version
        try:
            await self.close()
            async with self.to(OUTSIDE) as connection:
                yield connection
        finally:
            await asyncio.shield(self._come_back(conninfo, version))

    async def _come_back(self, conninfo: Mapping[str, str], version: int) -> None:
        if self._pool is None:
            await self.open(conninfo, version)
        self._unlocked.set()
        self._returned.set()

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[None]:
        """Count who is in the maintenance database; wait while nobody may be."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._unlocked.wait()
        except TimeoutError:
            raise Away("PostgreSQL is busy with a restore.", "Try again.") from None
        self._lent += 1
        try:
            yield
        finally:
            self._lent -= 1
            if not self._lent:
                self._returned.set()


async def _check(connection: AsyncConnection[Any]) -> None:
    """Ask a connection whether it lives, where its socket does not look as it was left.

    What PostgreSQL said unasked, or its end, is there to be read: without it the question, which
    takes as long as many a statement, is not needed.
    """
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if socket.poll(0):
        from psycopg_pool import AsyncConnectionPool

        await AsyncConnectionPool.check_connection(connection)


async def _call(connection: AsyncConnection[Any], name: str) -> None:
    await connection.execute("SELECT set_config('application_name', %s, false)", [name])


async def _unmark(connection: AsyncConnection[Any]) -> None:
    """Before it is lent again: its mark and its locks are never somebody else's work's."""
    await connection.execute(
        "SELECT set_config('application_name', %s, false), pg_advisory_unlock_all()",
        [SAFE["application_name"]],
    )


def statement(text: LiteralString, *names: str, **values: object) -> Composed:
    """Compose what takes no parameters: each ``{}`` is a name, ``{word}`` a value of `values`."""
    from psycopg import sql

    quoted = {word: sql.Literal(value) for word, value in values.items()}
    return sql.SQL(text).format(*map(sql.Identifier, names), **quoted)


@asynccontextmanager
async def connected(
    place: Place, database: str = "postgres"
) -> AsyncIterator[AsyncConnection[tuple[Any, ...]]]:
    """Connect to a cluster of this machine as its superuser; each statement is a transaction.

    Raises
    ------
    Away
        It does not answer, or lets nobody into this database.
    """
    with _needing_psycopg():
        from psycopg import AsyncConnection
        from psycopg.conninfo import make_conninfo
    with translating():
        conninfo = make_conninfo("", **safely(place.conninfo(database), place.programs.version))
        connection = await AsyncConnection.connect(conninfo, autocommit=True)
        async with connection:
            yield connection


async def ping(conninfo: Mapping[str, str], deadline: float, version: int = 0) -> tuple[str, int]:
    """Return the system identifier of a server, and its major version.

    Parameters
    ----------
    version
        That one, where it is known.

    Raises
    ------
    Unavailable
        It does not answer in time.
    """
    with _needing_psycopg():
        from psycopg import AsyncConnection
        from psycopg.conninfo import make_conninfo
    with translating():
        async with asyncio.timeout(deadline):
            connection = await AsyncConnection.connect(
                make_conninfo("", **safely(conninfo, version)), autocommit=True
            )
            async with connection:
                cursor = await connection.execute(
                    "SELECT system_identifier::text FROM pg_control_system()"
                )
                row = await cursor.fetchone()
                return str(row[0]) if row else "", connection.info.server_version // 10_000


@contextmanager
def translating() -> Iterator[None]:
    """Say in our words what PostgreSQL says."""
    try:
        yield
    except TimeoutError as error:
        raise Away("PostgreSQL does not answer.", _CURE) from error
    except PlatformError:
        raise
    except Exception as error:
        translated = _translated(error)
        if translated is None:
            raise
        raise translated from error


def _stopped() -> Away:
    return Away(
        "PostgreSQL does not run.", "The server starts it again; its log says why it ended."
    )


CLOSED_TO_ALL = "is not currently accepting connections"
"""What PostgreSQL says of a database whose owner forbade connections."""

CHANGED_TOO = "tuple concurrently updated"
"""What it says of a role or a database whose change another one's came before."""

_WAY = re.compile(
    r"(?:connection failed: )?connection to server"
    r' (?:on socket "[^"]*"|at "[^"]*"(?: \([^)]*\))?, port \d+) failed: (?:FATAL: +)?'
)
"""As libpq begins what it says of a connection that it did not get."""

_CURE = "Is it running? `pig status` tells."


def _translated(error: Exception) -> PlatformError | None:
    try:
        from psycopg import DataError, Error, OperationalError, errors
        from psycopg_pool import PoolClosed, PoolTimeout
    except ImportError:
        return None
    if isinstance(error, PoolTimeout | PoolClosed):
        return Away("PostgreSQL does not answer.", _CURE)
    if not isinstance(error, Error):
        return None
    text = _text(error)
    if isinstance(error, errors.DiskFull):
        return Unavailable(
            f"The disk of the databases is full: {text}.", "Make room and try again."
        )
    if isinstance(error, errors.ObjectInUse):
        return Conflict("database", "", f"It is in use: {text}.")
    if isinstance(error, errors.LockNotAvailable):
        return Conflict(
            "database",
            "",
            "It is in use: an open transaction holds a lock on it, or on the role that has it. End "
            "that one (COMMIT, ROLLBACK, or close its session) and try again.",
        )
    if CHANGED_TOO in text:
        return Conflict("database", "", "It was changed by somebody else just then. Try again.")
    if CLOSED_TO_ALL in text:
        return Conflict(
            "database",
            "",
            f"{text[:1].upper()}{text[1:]}: it was closed to everybody. Its owner opens it from "
            "another database: ALTER DATABASE … ALLOW_CONNECTIONS true.",
        )
    if isinstance(error, errors.InvalidCatalogName):
        return NotFound("database", "", f"{text[:1].upper()}{text[1:]}.")
    if isinstance(error, errors.DuplicateDatabase | errors.DuplicateObject):
        return Conflict("database", "", f"{text[:1].upper()}{text[1:]}.")
    if isinstance(error, DataError):
        return InvalidRequest(f"PostgreSQL refuses it: {text}.")
    if isinstance(error, OperationalError):
        return Away(f"PostgreSQL does not answer: {text}.", _CURE)
    return None


def without_way(text: str) -> str:
    """Leave out of what PostgreSQL's programs say by which socket or port they came."""
    return _WAY.sub("", text)


def _text(error: Error) -> str:
    primary = error.diag.message_primary
    return without_way(primary or str(error)).strip().partition("\n")[0].rstrip(".")


@contextmanager
def _needing_psycopg() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Unavailable(
            f"Databases need the library {error.name}, which is not installed.",
            "Install it: `pip install 'jupyter-ext[postgres]'`.",
        ) from error
