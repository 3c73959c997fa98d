"""Stores for tests: every test that asks for `store_url` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql
from sqlalchemy import URL

from jupyter_ext.accounts.passwords import Passwords
from jupyter_ext.store import Store, schema, sqlite
from jupyter_ext.store.leases import ServerLease

from . import require
from .postgres import PostgresMissing, PostgresServer, cluster

T = TypeVar("T")

KEY = "dGhlIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzISE="

Run = Callable[[Coroutine[Any, Any, T]], T]
MakeStore = Callable[..., Store]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL cluster, shared by the session; a test makes databases of its own on it."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(cluster())
        except PostgresMissing as why:
            require.missing("postgres", str(why))
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, made once: a migration takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    sqlite.prepare_file(path)
    schema.migrate(Store(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database with all tables."""
    with postgres_server.database() as url:
        schema.migrate(Store(url))
        yield url.rpartition("/")[2]


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state/store.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@contextmanager
def ready_store(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Make the database that the fixture's parameter names, with all tables and nothing in them."""
    if request.param == "sqlite":
        path = folder / "state" / "store.db"
        path.parent.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(request.getfixturevalue("postgres_template")) as url:
        yield url


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with all tables, and nothing in them."""
    with ready_store(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=BOTH)
def module_store_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same for all tests of a module that share a server."""
    with ready_store(request, tmp_path_factory.mktemp("store")) as url:
        yield url


@dataclass(frozen=True)
class PostgresStore:
    """A database for a server of its own process, which makes the tables itself."""

    url: str

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """The traits of a server that keeps its state there."""
        return {"JupyterExt": {"store_url": self.url, "store_key": KEY}}

    def containers(self) -> list[str]:
        """Return the names that it keeps."""
        with psycopg.connect(self.url) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM containers")]


@pytest.fixture
def postgres_store(postgres_server: PostgresServer) -> Iterator[PostgresStore]:
    """An empty database. Ask for it before the server that uses it, so that it outlives it."""
    with postgres_server.database() as url:
        yield PostgresStore(url)


@pytest.fixture
def make_store(store_url: str, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[MakeStore]:
    """Open the database once more, as another server would: ``make_store()``."""
    made: list[Store] = []

    def make(*, key: str | None = KEY) -> Store:
        store = Store(store_url, key=key)
        made.append(store)
        jp_asyncio_loop.run_until_complete(store.open())
        return store

    yield make
    for store in made:
        jp_asyncio_loop.run_until_complete(store.close())


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """An open store."""
    return make_store()


@pytest.fixture
def lease(store: Store, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[ServerLease]:
    """A lease of this process."""
    lease = ServerLease(store)
    jp_asyncio_loop.run_until_complete(lease.start())
    yield lease
    jp_asyncio_loop.run_until_complete(lease.stop())


@contextmanager
def gone(url: URL) -> Iterator[None]:
    """Take a database away from everybody within the block, as an outage does.

    PostgreSQL ends its sessions and takes no more; SQLite's file is held by somebody who writes.
    """
    with ExitStack() as stack:
        if url.get_backend_name() == "sqlite":
            assert url.database is not None
            holder = stack.enter_context(closing(sqlite3.connect(url.database)))
            holder.isolation_level = None
            holder.execute("BEGIN IMMEDIATE")
            yield
            return
        plain = url.set(drivername="postgresql", database="postgres")
        where = plain.render_as_string(hide_password=False)
        admin = stack.enter_context(psycopg.connect(where, autocommit=True))
        name = sql.Identifier(url.database or "")
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        admin.execute(allow.format(name, sql.SQL("false")))
        try:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [url.database],
            )
            yield
        finally:
            admin.execute(allow.format(name, sql.SQL("true")))


class QuickPasswords(Passwords):
    """Argon2id with parameters that nobody should use."""

    @cached_property
    def _hasher(self) -> PasswordHasher:
        return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Told:
    """A bus that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any, str | None]] = []

    def publish(
        self, topic: str, data: Any, *, owner: str | None = None, key: str | None = None
    ) -> None:
        self.events.append((topic, data, owner))

    def of(self, topic: str) -> list[Any]:
        """Return the data of a topic's events, in order."""
        return [data for name, data, _ in self.events if name == topic]


@pytest.fixture
def bus() -> Told:
    """A bus that remembers what it was told."""
    return Told()
