"""Users who do to their databases, and to the server, what they should not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing

import httpx
import psycopg
import pytest

from ..engines.scratch import wait_until
from .conftest import Desk
from .test_databases import listed, run, url_of

pytestmark = pytest.mark.postgres


def leave(desk: Desk, name: str, **how: str) -> httpx.Response:
    return desk.admin.delete(f"users/{name}", params=how)


class TestLog:
    def test_what_users_get_wrong_fills_no_disk(self, desk: Desk) -> None:
        with desk.user("loud") as loud:
            url = desk.made(loud, "megaphone")["connection_url"]
        [log] = desk.folder.glob("*/postgresql.log")
        text = "DO $$ BEGIN FOR i IN 1..72 LOOP RAISE WARNING '%', repeat('x', 1 << 20); END LOOP;"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"{text} RAISE WARNING 'the last'; END $$")
        wait_until(lambda: log.stat().st_size < 64 << 20, "a shorter log", 30)
        wait_until(lambda: b"the last" in log.read_bytes()[-4096:], "its end", 30)
        run(url, "DO $$ BEGIN RAISE WARNING 'once more'; END $$")
        wait_until(lambda: b"once more" in log.read_bytes()[-4096:], "what came since", 30)
        assert b"\0" not in log.read_bytes()
        leave(desk, "loud", purge="true")


class TestLeaving:
    def test_who_was_let_in_is_shut_out(self, desk: Desk) -> None:
        desk.made(desk.admin, "common", owner="dba")
        run(url_of(desk.admin, "common"), "CREATE TABLE t (x int)")
        with desk.user("visitor", databases=["common"]) as visitor:
            url = url_of(visitor, "common")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO t VALUES (1)")

            assert leave(desk, "visitor").status_code == 200

            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url)
        assert run(url_of(desk.admin, "common"), "SELECT x FROM t") == [(1,)]

    def test_a_namesake_inherits_nothing(self, desk: Desk) -> None:
        desk.made(desk.admin, "inheritance", owner="dba")
        desk.user("namesake", databases=["inheritance"]).close()
        assert leave(desk, "namesake").status_code == 200
        with desk.user("namesake") as again:
            url = desk.made(again, "own")["connection_url"]

            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(url.replace("/own", "/inheritance"))

    @pytest.mark.parametrize(
        "setting",
        [
            "SET role = 'obstinate'",
            "SET default_transaction_read_only = on",
            "SET local_preload_libraries = 'none'",
            "SET statement_timeout = 1",
            "SET idle_session_timeout = 1",
            "ALLOW_CONNECTIONS false",
            "IS_TEMPLATE true",
            "CONNECTION LIMIT 0",
        ],
    )
    @pytest.mark.parametrize("how", [{"transfer_to": "keeper"}, {"purge": "true"}])
    def test_settings_of_a_database_keep_nobody(
        self, desk: Desk, setting: str, how: dict[str, str]
    ) -> None:
        with desk.user("keeper"), desk.user("obstinate") as user:
            run(desk.made(user, "fortress")["connection_url"], "CREATE TABLE t AS SELECT 1 AS x")
            gate = desk.made(user, "gate")["connection_url"]
            run(gate, f"ALTER DATABASE fortress {setting}")
            # Who has nothing to do with it is not kept, either.
            desk.made(desk.admin, "meeting", owner="dba")
            desk.user("bystander", databases=["meeting"]).close()
        try:
            assert leave(desk, "bystander").status_code == 200

            gone = leave(desk, "obstinate", **how)

            assert gone.status_code == 200, gone.text
            assert ("fortress" in listed(desk.admin)) is ("transfer_to" in how)
        finally:
            desk.admin.delete("databases/meeting?force=true")
            for name in ("bystander", "obstinate", "keeper"):
                leave(desk, name, purge="true")

    @pytest.mark.parametrize("how", [{"transfer_to": "steward"}, {"purge": "true"}])
    def test_an_open_transaction_keeps_nobody(self, desk: Desk, how: dict[str, str]) -> None:
        with desk.user("steward"), desk.user("clinging") as user:
            desk.made(user, "clung to")
            url = desk.made(user, "stronghold")["connection_url"]
        with closing(psycopg.connect(url)) as connection:
            connection.execute("COMMENT ON DATABASE \"clung to\" IS 'mine'")
            connection.execute("ALTER ROLE clinging PASSWORD 'mine'")
            before = time.monotonic()

            assert leave(desk, "clinging", **how).status_code == 200

            assert time.monotonic() - before < 15
        leave(desk, "steward", purge="true")

    @pytest.mark.parametrize("limit", [0, 1])
    def test_a_database_that_its_owner_closes_does_not_vanish(self, desk: Desk, limit: int) -> None:
        with desk.user(f"closing{limit}") as user:
            name = f"closed{limit}"
            run(
                desk.made(user, name)["connection_url"],
                f"ALTER DATABASE {name} CONNECTION LIMIT {limit}",
            )

            assert name in listed(user)
            assert user.delete(f"databases/{name}").status_code == 200


class TestCrowding:
    def test_one_user_does_not_take_all_connections(self, desk: Desk) -> None:
        with desk.user("greedy") as greedy, desk.user("modest") as modest, ExitStack() as stack:
            url = desk.made(greedy, "greed")["connection_url"]
            with pytest.raises(psycopg.OperationalError, match="too many connections"):
                for _ in range(150):
                    stack.enter_context(psycopg.connect(url))

            assert run(desk.made(modest, "modesty")["connection_url"], "SELECT 1") == [(1,)]

    def test_a_lock_on_a_source_keeps_only_its_own_clones_waiting(self, desk: Desk) -> None:
        with desk.user("locking") as locking, desk.user("patient") as patient:
            desk.made(locking, "locked")
            url = desk.made(locking, "holder")["connection_url"]
            with psycopg.connect(url) as connection:
                connection.execute("COMMENT ON DATABASE locked IS 'held'")
                for number in range(12):
                    begun = locking.post(
                        "databases/locked/clone",
                        json={"name": f"waiting{number}"},
                        headers={"Prefer": "respond-async"},
                    )
                    assert begun.status_code == 202, begun.text
                time.sleep(1)
                before = time.monotonic()

                desk.made(patient, "unhindered")

                assert time.monotonic() - before < 5


def test_a_lock_on_ones_own_role_keeps_nobody_else(desk: Desk) -> None:
    with desk.user("grasping") as grasping, desk.user("neighbour") as neighbour:
        url = desk.made(grasping, "grip")["connection_url"]
        desk.made(neighbour, "garden")
        run(url, "ALTER ROLE grasping PASSWORD 'mine'")
        with closing(psycopg.connect(url, password="mine")) as connection:
            connection.execute("ALTER ROLE grasping PASSWORD 'mine too'")
            with ThreadPoolExecutor(12) as threads:
                waiting = [
                    threads.submit(grasping.get, "databases/grip/connection") for _ in range(12)
                ]
                before = time.monotonic()
                for path in ("databases", "databases/garden", "databases/garden/connection"):
                    assert neighbour.get(path).status_code == 200
                assert time.monotonic() - before < 5
                assert not all(each.done() for each in waiting)
                refused = next(as_completed(waiting)).result()
                assert refused.status_code == 409
                assert "COMMIT, ROLLBACK" in refused.json()["error"]["message"]
                connection.rollback()
                assert waiting[-1].result().status_code == 200
        assert url_of(grasping, "grip")
    for name in ("grasping", "neighbour"):
        leave(desk, name, purge="true")
