"""The schema is brought up to date when the store opens, by one server at a time."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

from ..errors import Unavailable

if TYPE_CHECKING:
    from .database import Store

MIGRATIONS = Path(__file__).with_name("migrations")

LOCK = 0x6A7570657874
"""Of the advisory lock on PostgreSQL."""

PATIENCE = 120.0
"""Seconds that a second server waits for the first one's migration of SQLite."""

_log = logging.getLogger(__name__)


@cache
def revisions() -> tuple[str, ...]:
    """List what this program knows, oldest first, from the files' names: no Alembic needed."""
    folder = MIGRATIONS / "versions"
    return tuple(sorted(file.name[:4] for file in folder.glob("[0-9][0-9][0-9][0-9]_*.py")))


async def ensure_schema(store: Store) -> None:
    """Migrate where it is needed; where not, this is one query.

    Raises
    ------
    Unavailable
        The schema is newer than this program, or the database does not answer.
    """
    async with store.read() as session:
        connection = await session.connection()
        current = await connection.run_sync(current_revision)
    if _is_head(current):
        return
    # Not the loop's default executor, and not the loop: a migration may take long.
    thread = ThreadPoolExecutor(1, thread_name_prefix="jupyter-ext-schema")
    try:
        with store.translating():
            await asyncio.get_running_loop().run_in_executor(thread, migrate, store)
    finally:
        thread.shutdown(wait=False)


def migrate(store: Store) -> None:
    """Run what is missing, alone."""
    with alone(store) as connection:
        current = current_revision(connection)
        if _is_head(current):
            return
        from alembic import command
        from alembic.config import Config

        _log.info("The store's schema goes from %s to %s", current or "nothing", revisions()[-1])
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def alone(store: Store) -> Iterator[Connection]:
    """Open a connection in a transaction that no other server migrates beside."""
    if store.is_sqlite:
        engine = create_engine(
            store.url.set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            connect_args={"timeout": PATIENCE},
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN EXCLUSIVE") and None)
    else:
        engine = plain_engine(store)
    try:
        with engine.begin() as connection:
            if not store.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            yield connection
    finally:
        engine.dispose()


def plain_engine(store: Store, **options: Any) -> Engine:
    """Make an engine without a loop, for a store on PostgreSQL; `Unavailable` without psycopg."""
    with importing():
        return create_engine(store.url, poolclass=NullPool, **options)


@contextmanager
def importing() -> Iterator[None]:
    """Say what to install where the library of the database is missing."""
    try:
        yield
    except ImportError as error:
        raise Unavailable(
            f"PostgreSQL needs the library {error.name or 'psycopg'}, which is not installed.",
            "Install it with `pip install 'jupyter-ext[postgres]'`.",
        ) from error


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    from .sqlite import use_wal

    connection.isolation_level = None
    use_wal(connection, PATIENCE)


def current_revision(connection: Connection) -> str | None:
    """Return the schema's revision; None where there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    rows = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return rows[0] if rows else None


def _is_head(current: str | None) -> bool:
    known = revisions()
    if current is not None and current not in known:
        raise Unavailable(
            f"The store's schema ({current}) is newer than this version of jupyter-ext knows "
            f"({known[-1]}).",
            "Install the version that made it, or a newer one.",
        )
    return current == known[-1]
