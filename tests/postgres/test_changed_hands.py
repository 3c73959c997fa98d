"""Whoever deletes a database deletes the one that they saw, however long that waits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from jupyter_ext.postgres.catalog import DROPPING

from ..engines import clusters, jupyter
from ..engines.scratch import wait_until
from .conftest import Desk, settings
from .test_backups import taken
from .test_databases import listed, quota_used, run, url_of
from .test_restores import restored, rows, table, write

pytestmark = pytest.mark.postgres

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
BOTH_WAITING = f"{WAITING} OFFSET 1"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A server that soon sees what was dropped past it."""
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder, size_interval=5)) as server,
        server.client() as admin,
    ):
        yield Desk(server, admin, folder)
        print(server.log[-6000:])


@contextmanager
def deletion(desk: Desk, client: httpx.Client, name: str) -> Iterator[Future[httpx.Response]]:
    """Have a deletion wait, as for another server that is about to drop the same database."""
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(url_of(desk.admin, "postgres"), autocommit=True) as other,
    ):
        other.execute(
            "SELECT pg_advisory_lock(%s + oid::bigint) FROM pg_database WHERE datname = %s",
            [DROPPING, name],
        )
        deleting = pool.submit(client.delete, f"databases/{name}")
        wait_until(lambda: other.execute(WAITING).fetchone(), "the deletion that waits")
        yield deleting


def make_when_free(client: httpx.Client, name: str) -> str:
    """Make a database as soon as the store knows that the one of this name is gone."""
    made = httpx.Response(409)

    def free() -> bool:
        nonlocal made
        made = client.post("databases", json={"name": name})
        return made.status_code == 201

    wait_until(free, "the name")
    url: str = made.json()["connection_url"]
    return url


def test_what_somebody_else_made_meanwhile_stays(desk: Desk) -> None:
    with desk.user("mal") as mal, desk.user("good") as good:
        desk.made(mal, "race")
        elsewhere = desk.made(mal, "elsewhere")["connection_url"]
        with deletion(desk, mal, "race") as deleting:
            run(elsewhere, "DROP DATABASE race")
            url = make_when_free(good, "race")
            run(url, "CREATE TABLE t ()")

        # She is not told who has it.
        assert deleting.result().status_code == 404, deleting.result().text
        run(url, "SELECT FROM t")
        assert good.get("databases/race").json()["owner"] == "good"
        assert (quota_used(mal), quota_used(good)) == (1, 1)


def test_what_its_owner_made_anew_meanwhile_stays(desk: Desk) -> None:
    with desk.user("nell") as nell:
        desk.made(nell, "again")
        elsewhere = desk.made(nell, "beside")["connection_url"]
        with deletion(desk, nell, "again") as deleting:
            run(elsewhere, "DROP DATABASE again")
            url = make_when_free(nell, "again")

        assert deleting.result().status_code == 409
        assert "meanwhile" in deleting.result().json()["error"]["message"]
        run(url, "SELECT 1")
        assert quota_used(nell) == 2
        assert nell.delete("databases/again").status_code == 200
        assert quota_used(nell) == 1


def test_what_was_given_away_meanwhile_stays(desk: Desk) -> None:
    with desk.user("giver") as giver, desk.user("taker") as taker:
        desk.made(giver, "gift")
        with deletion(desk, giver, "gift") as deleting:
            gone = desk.admin.delete("users/giver", params={"transfer_to": "taker"})
            assert gone.status_code == 200, gone.text

        assert deleting.result().status_code == 404, deleting.result().text
        run(url_of(taker, "gift"), "SELECT 1")
        assert quota_used(taker) == 1


def test_who_deletes_it_twice_at_once_is_told_the_second_time(desk: Desk) -> None:
    with desk.user("twice") as user, ThreadPoolExecutor(2) as pool:
        desk.made(user, "double")
        with deletion(desk, user, "double") as first:
            second = pool.submit(user.delete, "databases/double?force=true")
            super_url = url_of(desk.admin, "postgres")
            wait_until(lambda: run(super_url, BOTH_WAITING), "both that wait")

        assert sorted(each.result().status_code for each in (first, second)) == [200, 404]
        assert quota_used(user) == 0
        desk.made(user, "double")


def test_what_a_restore_puts_there_meanwhile_stays(desk: Desk) -> None:
    lock = (
        "SELECT pg_advisory_lock(%s + oid::bigint) FROM pg_database WHERE datname LIKE 'restore-%%'"
    )
    with desk.user("goer") as user:
        url = table(user, "back")
        write(url, 1)
        backup = taken(user)
        write(url, 2)
        with (
            ThreadPoolExecutor(2) as pool,
            psycopg.connect(url_of(desk.admin, "postgres"), autocommit=True) as other,
        ):
            restoring = pool.submit(restored, user, backup, databases=["back"])
            # As if somebody dropped what is loaded, it keeps the restore from renaming anything.
            wait_until(lambda: other.execute(lock, [DROPPING]).fetchone(), "what is loaded", 60)
            wait_until(lambda: other.execute(WAITING).fetchone(), "the restore that waits", 60)
            deleting = pool.submit(user.delete, "databases/back?force=true")
            wait_until(lambda: other.execute(BOTH_WAITING).fetchone(), "both that wait")

        assert deleting.result().status_code == 409, deleting.result().text
        assert {"back", restoring.result()["kept"]["back"]} == set(listed(user))
        assert rows(url) == [1]


def test_what_somebody_else_made_while_its_owner_went_stays(desk: Desk) -> None:
    with (
        desk.user("leaver") as leaver,
        desk.user("stayer") as stayer,
        desk.server.client() as admin,
    ):
        desk.made(leaver, "contested")
        with (
            ThreadPoolExecutor(1) as pool,
            psycopg.connect(url_of(desk.admin, "postgres")) as other,
        ):
            # Who goes is shut out first.
            other.execute("ALTER ROLE leaver CONNECTION LIMIT 7")
            going = pool.submit(desk.admin.delete, "users/leaver", params={"purge": "true"})
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            wait_until(lambda: other.execute(waiting).fetchone(), "the purge that waits")
            assert admin.delete("databases/contested?force=true").status_code == 200
            desk.made(stayer, "contested")
            other.rollback()

        assert going.result().status_code == 200, going.result().text
        assert set(listed(stayer)) == {"contested"}
        run(url_of(stayer, "contested"), "SELECT 1")
