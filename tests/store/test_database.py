"""Reading, writing, and what is between two writers."""

from __future__ import annotations

import asyncio
import stat
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiosqlite
import psycopg
import pytest
from sqlalchemy import CursorResult, insert, select, text, update

from jupyter_ext.errors import InvalidRequest, Unavailable
from jupyter_ext.store import Store
from jupyter_ext.store.base import Counter, Fact
from jupyter_ext.store.database import BUSY_SECONDS, next_number, normal_url
from jupyter_ext.store.sqlite_driver import connect

from ..engines.postgres import PostgresServer
from ..engines.stores import KEY


async def test_what_is_written_is_read(store: Store) -> None:
    async with store.write() as session:
        session.add(Fact(name="colour", value="green"))
    async with store.read() as session:
        assert await session.scalar(select(Fact.value).where(Fact.name == "colour")) == "green"


async def test_a_failure_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.write() as session:
            session.add(Fact(name="colour", value="green"))
            await session.flush()
            raise ZeroDivisionError
    async with store.read() as session:
        assert await session.get(Fact, "colour") is None


async def test_no_number_is_given_twice(store: Store) -> None:
    other = await reopened(store)

    async def take(home: Store) -> int:
        async with home.write() as session:
            return await next_number(session, "cid")

    try:
        numbers = await asyncio.gather(*(take(home) for home in [store, other] * 20))
    finally:
        await other.close()
    assert sorted(numbers) == list(range(1, 41))


async def test_cancelled_writers_neither_block_nor_half_write(store: Store) -> None:
    async def write(number: int) -> None:
        async with store.write() as session:
            session.add(Fact(name=f"a{number}", value=""))
            await session.flush()
            session.add(Fact(name=f"b{number}", value=""))

    tasks = [asyncio.ensure_future(write(number)) for number in range(40)]
    for delay, task in enumerate(tasks):
        asyncio.get_running_loop().call_later(0.001 * delay, task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    # Sooner than a lock that somebody left behind would be given up.
    await asyncio.wait_for(write(1000), BUSY_SECONDS - 5)
    async with store.read() as session:
        names = set(await session.scalars(select(Fact.name)))
    assert {"a1000", "b1000"} <= names
    assert {name[1:] for name in names if name[0] == "a"} == {
        name[1:] for name in names if name[0] == "b"
    }


async def test_what_no_column_takes_is_the_requests_fault(store: Store) -> None:
    with pytest.raises(InvalidRequest):
        async with store.read() as session:
            await session.scalar(select(Counter).where(Counter.value == 2**70))
    async with store.read() as session:
        if store.is_sqlite:
            assert await session.get(Fact, "nul \0") is None
    if not store.is_sqlite:
        with pytest.raises(InvalidRequest):
            async with store.read() as session:
                await session.get(Fact, "nul \0")


async def test_a_statement_goes_once_to_the_thread_of_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[str] = []
    go = aiosqlite.Connection._execute

    async def noted(self: aiosqlite.Connection, call: Any, *rest: Any) -> Any:
        ways.append(str(rest[1] if rest else call.__name__).partition(" ")[0])
        return await go(self, call, *rest)

    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    await store.open()
    # It reads, too.
    await store.signals.stop()
    colour = select(Fact.value).where(Fact.name == "colour")
    try:
        async with store.read() as session:
            assert (await session.execute(colour)).all() == []
        monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
        async with store.write() as session:
            row = {"name": "colour", "value": "green"}
            made = await session.execute(insert(Fact).values(row).returning(Fact.name))
            assert made.scalar_one() == "colour"
            changed = await session.execute(update(Fact).values(value="blue"))
            assert isinstance(changed, CursorResult)
            assert changed.rowcount > 1
        async with store.read() as session:
            assert (await session.execute(colour)).scalar_one() == "blue"
    finally:
        monkeypatch.undo()
        await store.close()
    assert ways == ["BEGIN", "INSERT", "UPDATE", "commit", "BEGIN", "SELECT", "rollback"]


async def test_each_sqlalchemy_gets_a_cursor_in_its_way(tmp_path: Path) -> None:
    async with connect(str(tmp_path / "any.db")) as connection:
        awaited = await connection.cursor()
        await awaited.execute("SELECT 1")
        assert list(await awaited.fetchall()) == [(1,)]
        async with connection.cursor() as entered:
            await entered.execute("SELECT ?", (2,))
            assert list(await entered.fetchall()) == [(2,)]


async def test_readers_go_on_while_somebody_writes(store: Store) -> None:
    async with store.write() as session:
        await next_number(session, "cid")
        async with asyncio.timeout(5), store.read() as reading:
            assert await reading.get(Counter, "cid") is None


async def test_a_reader_of_sqlite_can_not_write(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    try:
        with pytest.raises(Unavailable, match="readonly"):
            async with store.read() as session:
                await session.execute(text("DELETE FROM counters"))
    finally:
        await store.close()


async def test_files_are_their_owners_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = Store(f"sqlite:///{folder}/store.db")
    await store.open()
    try:
        async with store.write() as session:
            await next_number(session, "cid")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        await store.close()
    assert set(modes) >= {"store.db", "store.db-wal", "store.key"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_open_files_are_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(mode=0o644)
    store = Store(f"sqlite:///{path}")
    await store.open()
    await store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_moments_are_read_as_utc(store: Store) -> None:
    async with store.write() as session:
        now = await store.now(session)
    assert now.utcoffset() == timedelta(0)


async def test_the_id_is_the_stores_own(store: Store) -> None:
    again = await reopened(store)
    await again.close()
    assert store.id == again.id
    assert store.id.startswith("store-")


@pytest.mark.postgres
async def test_a_database_that_is_gone_is_unavailable_and_comes_back(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database() as url:
        store = Store(url, key=KEY)
        await store.open()
        try:
            postgres_server.control("stop", "-m", "fast")
            try:
                with pytest.raises(Unavailable, match="does not answer") as caught:
                    async with store.read() as session:
                        await session.get(Fact, "id")
            finally:
                postgres_server.control("-l", str(postgres_server.folder / "server.log"), "start")
            assert "PostgreSQL" in caught.value.cure
            async with store.read() as session:
                assert await session.get(Fact, "id") is not None
        finally:
            await store.close()


async def test_a_password_is_never_told() -> None:
    store = Store("postgresql://me:hunter2@127.0.0.1:1/none", key=KEY)
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


async def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="file/store.db"):
        await Store(f"sqlite:///{tmp_path}/file/store.db").open()


async def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("my notes " * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        await Store(f"sqlite:///{path}").open()
    assert path.read_text() == "my notes " * 1000


@pytest.mark.postgres
async def test_a_user_without_rights_is_told_so(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS nobody_here")
            connection.execute("CREATE ROLE nobody_here LOGIN")
        with pytest.raises(Unavailable, match="permission denied") as caught:
            await Store(url.replace("postgres@", "nobody_here@"), key=KEY).open()
        assert "rights" in caught.value.cure


async def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Unavailable, match=r"jupyter-ext\[postgres\]"):
        await Store("postgresql://me@127.0.0.1:1/none", key=KEY).open()


@pytest.mark.parametrize("url", ["", "mysql://host/x", "sqlite://", "sqlite:///:memory:", "::"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Unavailable, match="Use sqlite:"):
        normal_url(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_goes_by_every_name(scheme: str) -> None:
    assert normal_url(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(Unavailable, match="not open"):
        async with store.read():
            pass


async def reopened(store: Store) -> Store:
    """Open the same database once more."""
    other = Store(store.url.render_as_string(hide_password=False), key=KEY)
    await other.open()
    return other
