"""Stores for tests: every test that asks for `store_url` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher

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


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with all tables, and nothing in them."""
    if request.param == "sqlite":
        path = tmp_path / "state" / "store.db"
        path.parent.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(request.getfixturevalue("postgres_template")) as url:
        yield url


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
