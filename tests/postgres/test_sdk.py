"""Both clients, and psycopg through them, against a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from jupyter_ext.client import AsyncClient, Client, Thing
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound
from jupyter_ext.notebook.password_file import PasswordFile
from jupyter_ext.notebook.sql import engine_of

from ..engines.scratch import scratch_folder
from .conftest import Desk

pytestmark = pytest.mark.postgres

NAMES = ('it"s', "$(touch x); rm -rf x", "größe 🐘", "a/b", "...", "host=evil dbname=x", "100%41")


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[Client]:
    desk.user("sdk").close()
    with Client(desk.server.url, desk.server.user_key("sdk"), timeout=60) as made:
        yield made


def test_a_database_lives_by_the_client(client: Client) -> None:
    seen: list[Thing] = []
    made = client.databases.create("life", progress=seen.append)
    assert (made.name, made.owner) == ("life", "sdk")
    assert seen[-1].state == "succeeded"
    assert "password" not in repr(seen)
    with psycopg.connect(made.connection_url) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    client.databases.clone("life", "copy", progress=seen.append)
    with client.databases.connect("copy") as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
    client.databases.clone("life", "empty", schema_only=True)
    with client.databases.connect("empty", autocommit=True) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == []
        assert client.databases.connection("empty").password not in repr(connection)
        with pytest.raises(Conflict, match="1 session is in empty"):
            client.databases.delete("empty")
        client.databases.delete("empty", force=True)
    assert {found.name for found in client.databases.list(fresh=True)} == {"life", "copy"}
    for name in ("life", "copy"):
        assert client.databases.delete(name).status == "deleted"
    with pytest.raises(NotFound):
        client.databases.get("life")


def test_the_address_comes_without_progress_too(client: Client) -> None:
    made = client.databases.create("quick", extensions=["pg_trgm"])
    with psycopg.connect(made.connection_url) as connection:
        found = connection.execute("SELECT extname FROM pg_extension").fetchall()
    assert ("pg_trgm",) in found
    client.databases.delete("quick")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name(client: Client, name: str) -> None:
    client.databases.create(name)
    assert client.databases.get(name).name == name
    with client.databases.connect(name) as connection:
        assert connection.info.dbname == name
    client.databases.delete(name)


def test_a_name_that_is_too_long_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.databases.create("ä" * 32)
    assert "64 bytes" in raised.value.fields["name"]


def test_the_awaited_client(desk: Desk, client: Client) -> None:
    async def work() -> str:
        async with AsyncClient(desk.server.url, client.server.credential.key) as awaited:
            await awaited.databases.create("awaited")
            async with await awaited.databases.connect("awaited") as connection:
                found = await connection.execute("SELECT current_database()")
                row = await found.fetchone()
            await awaited.databases.delete("awaited")
            return str(row[0]) if row else ""

    assert asyncio.run(work()) == "awaited"


def test_an_engine_has_no_password_to_show(client: Client) -> None:
    """What JupySQL is given."""
    name = "host=evil user=x"
    client.databases.create(name)
    found = client.databases.connection(name)
    with scratch_folder("runtime") as folder:
        file = PasswordFile(folder)
        file.add(found)
        engine = engine_of(found, file.path)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar() == name
        engine.dispose()
        shown = engine.url.render_as_string(hide_password=False) + repr(tuple(engine.url))
        assert found.password not in shown
        assert file.path.stat().st_mode & 0o777 == 0o600
        file.remove()
        assert list(folder.iterdir()) == []
    client.databases.delete(name)
