"""The database engine: SQLite in the home folder by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, func, make_url, select
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from ..errors import InvalidRequest, Unavailable
from .base import Counter, Fact
from .secrets import Secrets
from .session import Session
from .signals import Signals
from .types import new_id, utcnow

BUSY_SECONDS = 15.0
"""How long a writer of SQLite waits for another process."""

READERS = 4
"""Connections (each a thread) that read SQLite beside its one writer."""

PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c statement_timeout=30s -c lock_timeout=15s "
    "-c idle_in_transaction_session_timeout=60s",
}
"""With PostgreSQL, unless the URL says otherwise: nothing waits for ever for one that is gone."""

POOL = 10
"""Connections to PostgreSQL, and as many more for a moment."""


class Store:
    """One database and everything that is said to it.

    Parameters
    ----------
    url
        ``sqlite:////path/store.db`` or ``postgresql://user@host/name``.
    key
        The secret key itself (several, newest first, separated by commas, while keys are rotated).
    key_file
        Where the secret key lies; beside SQLite's file by default.
    """

    def __init__(self, url: str, *, key: str | None = None, key_file: Path | None = None) -> None:
        self.url = normal_url(url)
        self.path = Path(self.url.database) if self.url.database and self.is_sqlite else None
        self.id = ""
        """Of the store, the same for every server that shares it; known once it is open."""
        self.secrets = Secrets(key, key_file, beside=self.path)
        self.signals = Signals(self)
        self._engines: list[AsyncEngine] = []
        self._read: async_sessionmaker[AsyncSession] | None = None
        self._write: async_sessionmaker[AsyncSession] | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the file in the home folder."""
        return self.url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Bring the schema up to date, check the key, and be ready.

        Raises
        ------
        Unavailable
            The database does not answer, its schema is newer than this program, or its key is
            another one.
        """
        if self._engines:
            return
        from .schema import ensure_schema, importing

        with importing():
            self._connect()
        try:
            self.secrets.load()
            await ensure_schema(self)
            async with self.write() as session:
                self.id = await self._identify(session)
                await self.secrets.check(session)
        except DBAPIError as error:
            await self.close()
            # No database at all, or one in which this user may do nothing.
            raise self._gone(error) from error
        except BaseException:
            await self.close()
            raise
        self.signals.start()

    async def close(self) -> None:
        """Let go of every connection. A store that was never open, or is closed, stays as it is."""
        await self.signals.stop()
        engines, self._engines = self._engines, []
        self._read = self._write = None
        for engine in engines:
            await engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session that only reads.

        Raises
        ------
        Unavailable
            The database does not answer.
        """
        with self.translating():
            async with self._session(self._read) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Open one transaction, committed at the end and rolled back by any exception.

        On SQLite it is the only one that writes, in this and every other process, from its first
        line on.

        Raises
        ------
        Unavailable
            The database does not answer.
        """
        with self.translating():
            async with self._session(self._write) as session:
                try:
                    # Begins now: on SQLite nothing that is read here changes before it is written.
                    await session.connection()
                    yield session
                except BaseException:
                    await session.rollback()
                    raise
                await session.commit()

    async def now(self, session: AsyncSession) -> datetime:
        """Read the clock that all servers of the store share.

        PostgreSQL's own; servers of one SQLite file share a machine, so Python's is the same there.
        """
        if self.is_sqlite:
            return utcnow()
        moment: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return moment.astimezone(UTC)

    # -- inside ----------------------------------------------------------------------

    def _connect(self) -> None:
        options: dict[str, Any] = {"pool_reset_on_return": "rollback"}
        if self.path is not None:
            from .sqlite import prepare_file, set_up
            from .sqlite_driver import connect

            prepare_file(self.path)
            options["connect_args"] = {"timeout": BUSY_SECONDS, "async_creator_fn": connect}
            writer = create_async_engine(
                self.url, pool_size=1, max_overflow=0, pool_timeout=60, **options
            )
            reader = create_async_engine(
                self.url, pool_size=READERS, max_overflow=0, pool_timeout=60, **options
            )
            set_up(writer.sync_engine, writes=True)
            set_up(reader.sync_engine, writes=False)
            self._engines = [writer, reader]
        else:
            options["connect_args"] = PATIENCE | dict(self.url.query)
            # Asked before it is lent: a server that restarted must not fail whoever comes first.
            writer = reader = create_async_engine(
                self.url,
                pool_size=POOL,
                max_overflow=POOL,
                pool_timeout=60,
                pool_pre_ping=True,
                **options,
            )
            self._engines = [writer]
        self._read = async_sessionmaker(reader, class_=Session, expire_on_commit=False)
        self._write = async_sessionmaker(writer, class_=Session, expire_on_commit=False)

    def _session(self, maker: async_sessionmaker[AsyncSession] | None) -> AsyncSession:
        if maker is None:
            raise Unavailable("The store is not open.", "Start the server again.")
        return maker()

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Say in our words that the database is gone; other failures stay what they are."""
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise self._gone(error) from error
        except (DataError, OverflowError) as error:
            # NUL in a text, or a number beyond the column's: no row has such a name.
            raise InvalidRequest("A text or number of the request can't be kept.") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise self._gone(error) from error
            raise

    def _gone(self, error: Exception) -> Unavailable:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if self.is_sqlite:
            return Unavailable(
                f"The store {self.path} can't be used: {reason}.",
                "Is its folder writable, and is there room on the disk?",
            )
        where = self.url.render_as_string(hide_password=True)
        answers = isinstance(error, DBAPIError) and not isinstance(error, OperationalError)
        problem = "can't be used" if answers else "does not answer"
        return Unavailable(
            f"The store {problem} at {where}: {reason}.",
            "Is PostgreSQL running there, and are user, password and rights as they should be?",
        )

    async def _identify(self, session: AsyncSession) -> str:
        """Read the store's own id, made by whoever opens it first."""
        table = Fact.__table__
        insert = insert_for(self.is_sqlite)(table)
        await session.execute(
            insert.values(name="id", value=new_id("store")).on_conflict_do_nothing()
        )
        return (await session.execute(select(Fact.value).where(Fact.name == "id"))).scalar_one()


async def next_number(session: AsyncSession, name: str) -> int:
    """Count `name` up by one, in the caller's transaction; nobody else gets the number."""
    dialect = session.get_bind().dialect.name
    insert = insert_for(dialect == "sqlite")(Counter)
    statement = (
        insert.values(name=name, value=1)
        .on_conflict_do_update(index_elements=[Counter.name], set_={"value": Counter.value + 1})
        .returning(Counter.value)
    )
    number: int = (await session.execute(statement)).scalar_one()
    return number


def normal_url(url: str) -> URL:
    """Return the URL with the driver that this package uses.

    Raises
    ------
    Unavailable
        It is no URL, or of a database that is not supported.
    """
    cure = "Use sqlite:////folder/store.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Unavailable("The store's URL can't be read.", cure) from error
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+psycopg",
        "postgres": "postgresql+psycopg",
    }
    driver = drivers.get(parsed.drivername.partition("+")[0])
    if driver is None:
        raise Unavailable(f"The store can't be kept in {parsed.drivername!r}.", cure)
    if driver.startswith("sqlite") and parsed.database in (None, "", ":memory:"):
        raise Unavailable("The store needs a file.", cure)
    return parsed.set(drivername=driver)


def insert_for(is_sqlite: bool) -> Any:
    """Return the database's own insert; each dialect brings many modules, and one is never used."""
    if is_sqlite:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert
