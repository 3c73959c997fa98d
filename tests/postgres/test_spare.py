"""The database that is made beforehand: never another one than PostgreSQL would make now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from jupyter_ext.postgres.schemas import SPARE
from jupyter_ext.postgres.spare import LOOK

from ..engines.scratch import wait_until
from .conftest import Desk
from .test_databases import one, run

pytestmark = pytest.mark.postgres

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def dba_url(desk: Desk) -> str:
    url: str = desk.made(desk.admin, "of dba", owner="dba")["connection_url"]
    return url.removesuffix(quote("of dba"))


@pytest.fixture
def dba(dba_url: str) -> Iterator[Connection]:
    with psycopg.connect(f"{dba_url}postgres", autocommit=True) as connection:
        yield connection


def spare(dba: Connection) -> int | None:
    """Return the oid of the database that is ready, which is what template1 is."""
    row = dba.execute(LOOK, [SPARE]).fetchone()
    return oid(dba, SPARE) if row is not None and row[1] == row[2] else None


def ready(desk: Desk, dba: Connection) -> int:
    if spare(dba) is None:
        # Whether it is what template1 is, is seen when one is made.
        desk.made(desk.admin, "who looks")
        desk.admin.delete(one("who looks")).raise_for_status()
    wait_until(lambda: spare(dba) is not None, "a database that is ready")
    found = spare(dba)
    assert found is not None
    return found


def oid(dba: Connection, name: str) -> int | None:
    row = dba.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone()
    return int(row[0]) if row else None


def test_it_becomes_the_one_that_is_made_and_is_made_again(desk: Desk, dba: Connection) -> None:
    number = ready(desk, dba)
    with desk.user("fast") as user:
        made = desk.made(user, "at once", extensions=["hstore"])

        assert oid(dba, "at once") == number
        rows = run(
            made["connection_url"],
            "CREATE TABLE t AS SELECT 'a=>1'::hstore AS x",
            "SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'),"
            " datacl::text FROM pg_database WHERE datname = current_database()",
        )
        assert rows == [("fast", -1, None, "{fast=CTc/fast}")]
        assert ready(desk, dba) != number


def test_it_is_what_postgresql_would_make(desk: Desk, dba: Connection, dba_url: str) -> None:
    query = (
        "SELECT nspname, pg_get_userbyid(nspowner), nspacl::text FROM pg_namespace ORDER BY nspname"
    )
    row = "SELECT to_jsonb(d) - ARRAY['oid', 'datname', 'datfrozenxid'] FROM pg_database d"
    with desk.user("alike") as user:
        number = ready(desk, dba)
        ours = run(desk.made(user, "alike ours")["connection_url"], query)
        assert oid(dba, "alike ours") == number
        dba.execute("CREATE DATABASE theirs OWNER alike")
        dba.execute("REVOKE ALL ON DATABASE theirs FROM PUBLIC")

        assert ours == run(f"{dba_url}theirs", query)
        both = dba.execute(f"{row} WHERE datname IN ('alike ours', 'theirs')").fetchall()
        assert both[0] == both[1]
        dba.execute("DROP DATABASE theirs")


def test_nobody_sees_or_touches_it(desk: Desk, dba: Connection, dba_url: str) -> None:
    ready(desk, dba)

    assert SPARE not in desk.admin.get("databases?fresh=true").text
    assert desk.admin.get(one(SPARE)).status_code == 404
    assert desk.admin.get(f"{one(SPARE)}/connection").status_code == 404
    assert desk.admin.delete(one(SPARE)).status_code == 404
    assert desk.admin.post("databases", json={"name": SPARE}).status_code == 409
    with desk.user("nosy", databases=["of dba"]) as nosy:
        url = nosy.get(f"{one('of dba')}/connection").json()["url"]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url.replace(quote("of dba"), quote(SPARE)))
        body = {"username": "x", "password": "correct horse", "databases": [SPARE]}
        assert desk.admin.post("users", json=body).status_code == 404
    assert spare(dba) is not None


@pytest.mark.parametrize(
    ("database", "change", "undo"),
    [
        ("template1", "CREATE TABLE pattern (x int)", "DROP TABLE pattern"),
        (
            "postgres",
            "ALTER DATABASE template1 CONNECTION LIMIT 50",
            "ALTER DATABASE template1 CONNECTION LIMIT -1",
        ),
    ],
    ids=["its content", "its row"],
)
def test_a_change_of_template1_is_never_lost(
    desk: Desk, dba: Connection, dba_url: str, database: str, change: str, undo: str
) -> None:
    number = ready(desk, dba)
    run(f"{dba_url}{database}", change)
    try:
        url = desk.made(desk.admin, "of a change", owner="dba")["connection_url"]

        assert oid(dba, "of a change") != number
        if database == "template1":
            assert run(url, "SELECT count(*) FROM pattern") == [(0,)]
        wait_until(lambda: spare(dba) not in (None, number), "another one")
    finally:
        desk.admin.delete(one("of a change"))
        run(f"{dba_url}{database}", undo)


def is_ended(connection: Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def test_a_change_of_template1_before_a_crash_is_never_lost(desk: Desk, dba_url: str) -> None:
    with psycopg.connect(f"{dba_url}postgres", autocommit=True) as dba:
        number = ready(desk, dba)
        run(f"{dba_url}template1", "CREATE TABLE pattern (x int)")
        with psycopg.connect(f"{dba_url}postgres") as victim:
            # All counters begin again.
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                victim.execute("SELECT 1")
        # PostgreSQL ends all sessions a moment later.
        wait_until(lambda: is_ended(dba), "the end of all sessions")
    wait_until(lambda: desk.admin.get("databases").status_code == 200, "the databases", 60)

    url = desk.made(desk.admin, "of a crash", owner="dba")["connection_url"]

    assert run(url, "SELECT count(*) FROM pattern") == [(0,)]
    assert run(url, "SELECT oid FROM pg_database WHERE datname = 'of a crash'") != [(number,)]
    desk.admin.delete(one("of a crash"))
    run(f"{dba_url}template1", "DROP TABLE pattern")


def test_somebody_in_it_keeps_nobody_waiting(desk: Desk, dba: Connection, dba_url: str) -> None:
    number = ready(desk, dba)
    with psycopg.connect(f"{dba_url}{quote(SPARE)}"):
        before = time.monotonic()
        desk.made(desk.admin, "beside it", owner="dba")

        assert oid(dba, "beside it") != number
        # PostgreSQL itself would wait for five seconds.
        assert time.monotonic() - before < 4
    desk.admin.delete(one("beside it"))


def test_many_at_once_get_one_each(desk: Desk, dba: Connection) -> None:
    number = ready(desk, dba)
    with desk.user("crowd") as user, ThreadPoolExecutor(6) as threads:
        names = [f"crowd {each}" for each in range(6)]

        urls = [made["connection_url"] for made in threads.map(partial(desk.made, user), names)]

        assert [run(url, "SELECT current_database()") for url in urls] == [
            [(name,)] for name in names
        ]
        assert sum(oid(dba, name) == number for name in names) == 1
