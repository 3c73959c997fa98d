"""A new key: every secret is encrypted anew, and at each moment some key opens all."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Connection,
    Dialect,
    String,
    TypeDecorator,
    create_engine,
    insert,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from jupyter_ext.errors import Conflict, Unavailable
from jupyter_ext.store import Store
from jupyter_ext.store.base import Base, Fact
from jupyter_ext.store.leases import ServerLease
from jupyter_ext.store.rotation import APPEND_ONLY, rotate, text_columns
from jupyter_ext.store.secrets import Secrets, new_key, read_keys

from ..engines.jupyter import ROOT
from ..engines.stores import KEY
from . import test_schema  # noqa: F401 - knows that it imports the records of every part


def unseen(_share: float, _table: str) -> None:
    pass


def secrets_of(*keys: bytes) -> Secrets:
    secrets = Secrets(",".join(key.decode() for key in keys))
    secrets.load()
    return secrets


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "the.key"
    path.write_text(KEY)
    return path


@pytest.fixture
def known_store(store_url: str, key_file: Path) -> Store:
    """A store that a server had open once."""
    store = Store(store_url, key_file=key_file)

    async def once() -> None:
        await store.open()
        async with store.write() as session:
            session.add(Fact(name="secret", value=store.secrets.encrypt("hunter2")))
        await store.close()

    asyncio.run(once())
    return store


def connected(store: Store) -> Any:
    url = store.url.set(drivername="sqlite+pysqlite") if store.is_sqlite else store.url
    return create_engine(url, poolclass=NullPool).begin()


def secret_of(connection: Connection) -> str:
    found: str = connection.execute(select(Fact.value).where(Fact.name == "secret")).scalar_one()
    return found


def records() -> set[tuple[str, str]]:
    """Every column of a record that may hold a text, as SQLite has it."""
    dialect = sqlite.dialect()
    return {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        if table.name not in APPEND_ONLY
        for column in table.columns
        if isinstance(_plain(column.type, dialect), (String, JSON)) and not column.primary_key
    }


def _plain(kind: Any, dialect: Dialect) -> Any:
    return kind.load_dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind


def test_only_the_new_key_opens_all(known_store: Store, key_file: Path) -> None:
    shares: list[float] = []
    done = rotate(known_store, lambda share, _table: shares.append(share))
    (name,) = keys = read_keys(key_file.read_text())
    assert name == done.key != secrets_of(KEY.encode()).fingerprint
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert (done.secrets, done.unreadable, done.resumed, done.retire) == (1, 0, False, None)
    assert shares == sorted(shares) and shares[-1] == 1.0
    with connected(known_store) as connection:
        hidden = secret_of(connection)
    assert secrets_of(*keys.values()).decrypt(hidden) == "hunter2"

    async def opens() -> None:
        again = Store(known_store.url.render_as_string(hide_password=False), key_file=key_file)
        await again.open()
        await again.close()

    asyncio.run(opens())


def test_every_column_of_every_record_is_looked_into(known_store: Store) -> None:
    with connected(known_store) as connection:
        looked = {(each.table.name, each.name) for each in text_columns(connection)}
    assert records() - looked == set()
    assert {("containers", "password"), ("store_facts", "value")} <= looked


def test_a_secret_in_any_column_is_encrypted_anew(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(sqlite_template.read_bytes())
    old, new = KEY.encode(), new_key()
    before = secrets_of(old)
    key_file = tmp_path / "store.key"
    key_file.write_bytes(new + b"\n" + old)
    store = Store(f"sqlite:///{path}", key_file=key_file)
    filled: set[tuple[str, str]] = set()
    engine = create_engine(f"sqlite+pysqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        # One row for each table, whatever it would mean.
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        for column in text_columns(connection):
            filled.add((column.table.name, column.name))
        tables = {each.table for each in text_columns(connection)}
        for table in tables:
            row: dict[str, Any] = {}
            for column in table.columns:
                place = (table.name, column.name)
                if place in filled:
                    hidden = before.encrypt("/".join(place))
                    nested = {"deep": [hidden, "other"]}
                    row[column.name] = nested if isinstance(column.type, JSON) else hidden
                elif isinstance(column.type, String):
                    row[column.name] = "x"
                elif column.type.python_type is datetime:
                    row[column.name] = datetime(2026, 1, 1)
                else:
                    # Some tables have a first row from the start.
                    row[column.name] = 77 if column.type.python_type is int else 1
            connection.execute(insert(table).values(row))
        connection.execute(insert(Fact).values(name="id", value="store-x"))
        connection.execute(insert(Fact).values(name="key", value=before.fingerprint))
        connection.exec_driver_sql("DELETE FROM servers")
        connection.commit()
    filled = {place for place in filled if place[0] != "servers"}
    done = rotate(store, unseen)
    assert (done.secrets, done.unreadable, done.resumed) == (len(filled), 0, True)
    after = secrets_of(new)
    with engine.connect() as connection:
        for column in text_columns(connection):
            place = (column.table.name, column.name)
            if place not in filled:
                continue
            values = connection.execute(select(column)).scalars().all()
            read = [each["deep"][0] if isinstance(each, dict) else each for each in values]
            mine = [text for text in read if text and text.startswith(after.fingerprint[:8] + ".")]
            assert [after.decrypt(text) for text in mine] == ["/".join(place)]
    assert before.fingerprint[:8].encode() + b"." not in path.read_bytes()


STEPS = ["before the key", "after the key", "within", "before the end", "after the end"]

KILLED = """
import os, signal, sys
from pathlib import Path
from jupyter_ext.store import Store, rotation
step, url, file = sys.argv[1:]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
write, calls = rotation.write_keys, []
def killing(path, keys):
    calls.append(path)
    at = "the key" if len(calls) == 1 else "the end"
    if step == f"before {at}": die()
    write(path, keys)
    if step == f"after {at}": die()
rotation.write_keys = killing
def progress(share, table):
    if step == "within" and share == 1: die()
rotation.rotate(Store(url, key_file=Path(file)), progress)
"""


KILLS: list[Any] = [("sqlite", step) for step in STEPS]
KILLS.append(pytest.param("postgres", "within", marks=pytest.mark.postgres))


@pytest.mark.parametrize(("store_url", "step"), KILLS, indirect=["store_url"])
def test_killed_anywhere_all_can_be_read_and_the_next_run_ends_it(
    store_url: str, key_file: Path, step: str
) -> None:
    url = store_url

    async def look() -> str:
        store = Store(url, key_file=key_file)
        await store.open()
        async with store.write() as session:
            found = await session.get(Fact, "secret")
            if found is None:
                session.add(Fact(name="secret", value=store.secrets.encrypt("hunter2")))
        await store.close()
        return store.secrets.decrypt(found.value) if found else ""

    asyncio.run(look())
    words = [sys.executable, "-c", KILLED, step, url, str(key_file)]
    ended = subprocess.run(words, env={"PYTHONPATH": str(ROOT)}, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert asyncio.run(look()) == "hunter2"
    rotate(Store(url, key_file=key_file), unseen)
    assert len(read_keys(key_file.read_text())) == 1
    assert KEY not in key_file.read_text()
    assert asyncio.run(look()) == "hunter2"


def test_a_key_from_elsewhere_is_not_written_but_can_be_replaced(store_url: str) -> None:
    async def once() -> None:
        store = Store(store_url, key=KEY)
        await store.open()
        async with store.write() as session:
            session.add(Fact(name="secret", value=store.secrets.encrypt("hunter2")))
        await store.close()

    asyncio.run(once())
    with pytest.raises(Unavailable, match="the configuration, which is not this program's") as told:
        rotate(Store(store_url, key=KEY), unseen)
    assert "NEW,OLD" in told.value.cure
    new = new_key()
    done = rotate(Store(store_url, key=f"{new.decode()},{KEY}"), unseen)
    assert (done.secrets, done.retire) == (1, "the configuration")
    with connected(Store(store_url, key=KEY)) as connection:
        assert secrets_of(new).decrypt(secret_of(connection)) == "hunter2"


def test_a_store_that_a_server_has_open_is_left_alone(known_store: Store, key_file: Path) -> None:
    async def beside() -> None:
        await known_store.open()
        lease = ServerLease(known_store)
        await lease.start()
        try:
            other = Store(known_store.url.render_as_string(hide_password=False), key_file=key_file)
            with pytest.raises(Conflict, match="A server has the store open"):
                await asyncio.to_thread(rotate, other, unseen)
        finally:
            await lease.stop()
            await known_store.close()

    asyncio.run(beside())
    assert key_file.read_text() == KEY


def test_what_is_damaged_stays_and_is_counted(tmp_path: Path, sqlite_template: Path) -> None:
    path, key_file = tmp_path / "store.db", tmp_path / "the.key"
    path.write_bytes(sqlite_template.read_bytes())
    key_file.write_text(KEY)
    secrets = secrets_of(KEY.encode())
    damaged = secrets.encrypt("x")[:-8] + "AAAAAAA="
    with closing(sqlite3.connect(path)) as database, database:
        facts = [("id", "store-x"), ("key", secrets.fingerprint), ("bad", damaged)]
        database.executemany("INSERT INTO store_facts (name, value) VALUES (?, ?)", facts)
    done = rotate(Store(f"sqlite:///{path}", key_file=key_file), unseen)
    assert (done.secrets, done.unreadable) == (0, 1)
    with closing(sqlite3.connect(path)) as database:
        kept = database.execute("SELECT value FROM store_facts WHERE name = 'bad'").fetchone()
    assert kept == (damaged,)
