"""Databases over REST, in a cluster that the server made by itself."""

from __future__ import annotations

import time
from datetime import datetime
from urllib.parse import quote

import httpx
import psycopg
import pytest

from ..engines import clusters, jupyter
from ..engines.scratch import wait_until
from .conftest import Desk, settings

pytestmark = pytest.mark.postgres


def one(name: str) -> str:
    """Return the path of a database."""
    return f"databases/{quote(name, safe='')}"


def url_of(client: httpx.Client, name: str) -> str:
    reply = client.get(f"{one(name)}/connection")
    assert reply.status_code == 200, reply.text
    url: str = reply.json()["url"]
    return url


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements, and return the rows of the last."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def listed(client: httpx.Client) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in client.get("databases").json()["databases"]}


def quota_used(client: httpx.Client) -> object:
    rows = client.get("quota").json()
    return rows["quotas"]["databases"]["used"]


class TestMaking:
    def test_it_is_made_used_and_deleted(self, desk: Desk) -> None:
        made = desk.made(desk.admin, "mydb", owner="dba")

        assert (made["name"], made["owner"]) == ("mydb", "dba")
        assert made["size_bytes"] > 1 << 20
        assert run(made["connection_url"], "SELECT current_database()") == [("mydb",)]
        found = listed(desk.admin)
        assert found["mydb"]["owner"] == "dba"
        assert found["postgres"]["owner"] == "dba"
        assert found["postgres"]["system"]
        assert found["mydb"]["connection_url"] is None
        gone = desk.admin.delete("databases/mydb")
        assert gone.json() == {"name": "mydb", "status": "deleted"}
        assert "mydb" not in listed(desk.admin)

    def test_a_user_owns_what_they_make(self, desk: Desk) -> None:
        with desk.user("owner1") as user:
            made = desk.made(user, "theirs")

            assert made["owner"] == "owner1"
            rows = run(
                made["connection_url"],
                "CREATE TABLE t (x int)",
                "INSERT INTO t VALUES (7)",
                "CREATE EXTENSION pg_trgm",
                "SELECT x, current_user::text FROM t",
            )
            assert rows == [(7, "owner1")]

    def test_the_operation_does_not_keep_the_password(self, desk: Desk) -> None:
        with desk.user("owner2") as user:
            made = desk.made(user, "kept")
            password = psycopg.conninfo.conninfo_to_dict(made["connection_url"])["password"]

            operations = user.get("operations", params={"kind": "database.create"}).text

            assert "kept" in operations
            assert str(password) not in operations
            assert str(password) not in user.get("databases").text

    @pytest.mark.parametrize(
        "name",
        [
            'with "quotes"',
            "it's",
            "two words",
            "данные 数据",
            "$(touch /tmp/x); rm -rf `pwd`",
            "a/b?c=d&e#f%20",
            "dbname=postgres",
            "postgresql://127.0.0.1/postgres",
            "; DROP DATABASE postgres --",
            "back\\slash",
            "-e",
            "é" * 31 + "x",
            "CaSe",
        ],
    )
    def test_any_name_that_can_be_printed_is_right(self, desk: Desk, name: str) -> None:
        made = desk.made(desk.admin, name)

        assert run(made["connection_url"], "SELECT current_database()") == [(name,)]
        copy = f"{name[:20]} 2"
        # Somebody is in it, so that it is dumped and restored.
        with psycopg.connect(made["connection_url"], autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS x")
            cloned = desk.admin.post(f"{one(name)}/clone", json={"name": copy})
        assert cloned.status_code == 201, cloned.text
        assert run(url_of(desk.admin, copy), "SELECT x FROM t") == [(1,)]
        for each in (name, copy):
            assert desk.admin.delete(one(each)).status_code == 200

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("", "is needed"),
            ("x" * 64, "63"),
            ("é" * 32, "64 bytes"),
            ("a\nb", "control"),
            ("nul\0", "NUL"),
            (" x", "space"),
            ("x ", "space"),
            ("..", "address"),
        ],
    )
    def test_a_name_that_is_none_is_refused_at_its_field(
        self, desk: Desk, name: str, problem: str
    ) -> None:
        for path in ("databases", "databases/postgres/clone"):
            reply = desk.admin.post(path, json={"name": name})

            assert reply.status_code == 400
            assert problem in reply.json()["error"]["details"]["name"]

    def test_a_name_is_taken_once(self, desk: Desk) -> None:
        desk.made(desk.admin, "once")
        with desk.user("second") as user:
            for path in ("databases", "databases/once/clone"):
                reply = (user if path == "databases" else desk.admin).post(
                    path, json={"name": "once"}
                )
                assert reply.status_code == 409, reply.text
                assert reply.json()["error"]["code"] == "CONFLICT"

    def test_two_who_want_one_name_at_once(self, desk: Desk) -> None:
        headers = {**desk.admin.headers, "Prefer": "respond-async"}

        replies = [
            desk.admin.post("databases", json={"name": "wanted"}, headers=headers) for _ in range(2)
        ]

        assert sorted(reply.status_code for reply in replies) == [202, 409]

    def test_extensions_are_there_from_the_beginning(self, desk: Desk) -> None:
        with desk.user("extended") as user:
            made = desk.made(user, "searchable", extensions=["pg_trgm", "hstore"])

            rows = run(made["connection_url"], "SELECT similarity('a', 'a'), 'a=>1'::hstore -> 'a'")
            assert rows == [(1.0, "1")]

    def test_an_extension_that_is_none_is_refused_at_its_field(self, desk: Desk) -> None:
        body = {"name": "none", "extensions": ["pg_trgm", "no such"]}

        reply = desk.admin.post("databases", json=body)

        assert reply.status_code == 400
        assert "not installed" in reply.json()["error"]["details"]["extensions.1"]
        assert "none" not in listed(desk.admin)

    def test_an_extension_that_reaches_further_is_an_administrators(self, desk: Desk) -> None:
        body = {"name": "reaching", "extensions": ["dblink"]}
        with desk.user("reacher") as user:
            assert user.post("databases", json=body).status_code == 403
        desk.made(desk.admin, "reaching", extensions=["dblink"])

    def test_a_template_brings_its_content(self, desk: Desk) -> None:
        with desk.user("templater") as user:
            url = desk.made(user, "pattern")["connection_url"]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE t AS SELECT 5 AS x")
                body = {"name": "copy of it", "template": "pattern"}
                busy = user.post("databases", json=body)
            assert busy.status_code == 409
            assert "1 session" in busy.json()["error"]["message"]

            made = desk.made(user, "copy of it", template="pattern")

            assert run(made["connection_url"], "SELECT x FROM t") == [(5,)]

    def test_the_quota_counts(self, desk: Desk) -> None:
        with desk.user("limited") as user:
            desk.admin.put("quotas/limited", json={"databases": 1}).raise_for_status()
            desk.made(user, "first of one")

            refused = user.post("databases", json={"name": "second of one"})

            assert refused.status_code == 403
            assert "first of one" in refused.json()["error"]["message"]
            assert user.delete(one("first of one")).status_code == 200
            desk.made(user, "second of one")
            assert quota_used(user) == 1


class TestWhoMay:
    def test_an_unknown_owner_is_named(self, desk: Desk) -> None:
        reply = desk.admin.post("databases", json={"name": "x", "owner": "nobody"})

        assert reply.status_code == 404
        assert reply.json()["error"]["details"] == {"owner": "nobody"}

    def test_an_unknown_database_is_told_in_the_documents_words(self, desk: Desk) -> None:
        for reply in (
            desk.admin.delete("databases/nonexistent"),
            desk.admin.get("databases/nonexistent"),
            desk.admin.post("databases/nonexistent/clone", json={"name": "x"}),
        ):
            assert reply.status_code == 404
            assert reply.json()["error"] == {
                "code": "NOT_FOUND",
                "message": "数据库未找到",
                "details": {"database": "nonexistent"},
            }

    def test_whoever_asks_for_english_is_told_so_in_english(self, desk: Desk) -> None:
        for language, message in (
            ("en-US,en;q=0.9", "There is no database 'nonexistent'."),
            ("zh-CN,en;q=0.5", "数据库未找到"),
        ):
            reply = desk.admin.get("databases/nonexistent", headers={"Accept-Language": language})
            assert reply.json()["error"]["message"] == message

    @pytest.mark.parametrize("name", ["postgres", "template1"])
    def test_what_is_postgresqls_own_stays(self, desk: Desk, name: str) -> None:
        reply = desk.admin.delete(f"databases/{name}?force=true")

        assert reply.status_code == 403
        assert name in listed(desk.admin)

    def test_an_administrator_makes_it_for_somebody(self, desk: Desk) -> None:
        with desk.user("given") as user, desk.user("other") as other:
            made = desk.made(desk.admin, "a present", owner="given")

            assert made["connection_url"] is None
            assert run(url_of(user, "a present"), "SELECT current_user::text") == [("given",)]
            refused = other.post("databases", json={"name": "x", "owner": "given"})
            assert refused.status_code == 403
            assert other.post("databases", json={"name": "x", "owner": "dba"}).status_code == 403

    def test_an_administrator_enters_somebody_elses_as_its_owner(self, desk: Desk) -> None:
        with desk.user("careful") as user:
            desk.made(user, "of careful")

            rows = run(url_of(desk.admin, "of careful"), "SELECT session_user::text")

            # Functions of the owner's would run as the superuser otherwise.
            assert rows == [("careful",)]

    def test_others_see_nothing_of_it(self, desk: Desk) -> None:
        with desk.user("ada") as ada, desk.user("bob") as bob:
            desk.made(ada, "secret of ada")
            desk.made(bob, "of bob")
            path = one("secret of ada")

            assert set(listed(bob)) == {"of bob"}
            assert bob.get(path).status_code == 404
            assert bob.get(f"{path}/connection").status_code == 404
            assert bob.delete(path).status_code == 404
            assert bob.post(f"{path}/clone", json={"name": "mine"}).status_code == 404
            template = {"name": "mine", "template": "secret of ada"}
            assert bob.post("databases", json=template).status_code == 404

    def test_a_role_reaches_its_own_databases_only(self, desk: Desk) -> None:
        with desk.user("carl") as carl, desk.user("dora") as dora:
            desk.made(carl, "of carl")
            url = desk.made(dora, "of dora")["connection_url"]
            for name in ("of carl", "postgres", "template1"):
                elsewhere = url.replace(quote("of dora"), quote(name))
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    psycopg.connect(elsewhere)
            for statement in (
                "CREATE DATABASE x",
                "CREATE ROLE x",
                "COPY (SELECT 1) TO PROGRAM 'id'",
                "SELECT pg_read_file('pg_hba.conf')",
                "SET ROLE dba",
                "GRANT pg_read_all_data TO dora",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    run(url, statement)

    def test_names_that_mean_something_to_postgresql(self, desk: Desk) -> None:
        for name in ("postgres", "pg_monitor", "public", "dba"):
            with desk.user(name) as user:
                url = desk.made(user, f"of {name}")["connection_url"]
                rows = run(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
                assert rows == [(False,)]

    def test_a_user_is_let_into_a_database_that_is_there(self, desk: Desk) -> None:
        desk.made(desk.admin, "shared", owner="dba")
        run(url_of(desk.admin, "shared"), "CREATE TABLE t AS SELECT 1 AS x")
        missing = {"username": "guest", "password": "secure_password", "databases": ["none"]}
        assert desk.admin.post("users", json=missing).status_code == 404

        with desk.user("guest", databases=["shared"]) as guest:
            assert set(listed(guest)) == {"shared"}
            rows = run(url_of(guest, "shared"), "UPDATE t SET x = 2", "SELECT x FROM t")
            assert rows == [(2,)]
            # What the owner makes later, too; but nothing of the server's, or of its own there.
            run(url_of(desk.admin, "shared"), "CREATE SCHEMA s CREATE TABLE later (x serial)")
            url = url_of(guest, "shared")
            assert run(url, "INSERT INTO s.later DEFAULT VALUES RETURNING x") == [(1,)]
            for statement in (
                "SELECT * FROM pg_authid",
                "CREATE TABLE public.mine (x int)",
                "CREATE SCHEMA dba",
                "DROP TABLE t",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    run(url, statement)
            assert guest.delete("databases/shared").status_code == 403
            assert guest.post("databases/shared/clone", json={"name": "x"}).status_code == 403
            users = desk.admin.get("users").json()["users"]
            assert next(u for u in users if u["username"] == "guest")["databases"] == ["shared"]


class TestEnding:
    def test_whoever_is_in_it_is_named_and_thrown_out_by_force_only(self, desk: Desk) -> None:
        url = desk.made(desk.admin, "busy")["connection_url"]
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1")
            refused = desk.admin.delete("databases/busy")
            assert refused.status_code == 409
            assert "1 session" in refused.json()["error"]["message"]

            assert desk.admin.delete("databases/busy?force=true").status_code == 200

            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    def test_a_user_who_goes(self, desk: Desk) -> None:
        with desk.user("heir") as heir, desk.user("leaving") as leaving:
            url = desk.made(leaving, "legacy")["connection_url"]
            run(url, "CREATE TABLE t AS SELECT 9 AS x")
            refused = desk.admin.delete("users/leaving")
            assert refused.status_code == 409
            assert "database legacy" in refused.json()["error"]["message"]

            gone = desk.admin.delete("users/leaving", params={"transfer_to": "heir"})

            assert gone.status_code == 200, gone.text
            rows = run(url_of(heir, "legacy"), "INSERT INTO t VALUES (1)", "SELECT sum(x) FROM t")
            assert rows == [(10,)]
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                psycopg.connect(url)
        assert desk.admin.delete("users/heir?purge=true").status_code == 200
        assert "legacy" not in listed(desk.admin)

    @pytest.mark.parametrize("how", [{"purge": "true"}, {"transfer_to": "heiress"}])
    def test_who_is_kept_by_what_goes_on_keeps_all(self, desk: Desk, how: dict[str, str]) -> None:
        with desk.user("heiress"), desk.user("busy") as busy:
            desk.made(busy, "treasure")
            begun = busy.post("backups", json={}, headers={"Prefer": "respond-async"})
            assert begun.status_code == 202, begun.text

            refused = desk.admin.delete("users/busy", params=how)

            assert refused.status_code == 409
            assert "going on" in refused.json()["error"]["message"]
            assert listed(busy)["treasure"]["owner"] == "busy"
            wait_until(
                lambda: not busy.get("operations?active=true").json()["operations"], "the backup"
            )
            assert desk.admin.delete("users/busy", params=how).status_code == 200
        desk.admin.delete("users/heiress?purge=true").raise_for_status()

    def test_a_user_without_databases_leaves_no_role(self, desk: Desk) -> None:
        with desk.user("brief") as brief:
            desk.made(brief, "brief")
            assert brief.delete("databases/brief").status_code == 200

        assert desk.admin.delete("users/brief").status_code == 200
        with desk.user("brief") as again:
            desk.made(again, "brief again")


class TestCloning:
    def test_a_clone_has_the_rows_and_its_sources_owner(self, desk: Desk) -> None:
        with desk.user("cloner") as user:
            url = desk.made(user, "source")["connection_url"]
            run(url, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS x")

            made = desk.admin.post("databases/source/clone", json={"name": "admins clone"}).json()
            own = user.post("databases/source/clone", json={"name": "own clone"}).json()

            assert made["owner"] == own["owner"] == "cloner"
            assert made["connection_url"] is None
            rows = run(own["connection_url"], "INSERT INTO t VALUES (0)", "SELECT sum(x) FROM t")
            assert rows == [(500500,)]

    def test_the_schema_alone(self, desk: Desk) -> None:
        with desk.user("schemer") as user:
            url = desk.made(user, "full")["connection_url"]
            run(url, "CREATE TABLE t (x int PRIMARY KEY)", "INSERT INTO t VALUES (1)")

            body = {"name": "empty", "schema_only": True}
            made = user.post("databases/full/clone", json=body).json()

            assert run(made["connection_url"], "SELECT count(*) FROM t") == [(0,)]

    def test_a_source_in_which_somebody_works(self, desk: Desk) -> None:
        with desk.user("worker") as user:
            url = desk.made(user, "worked on", extensions=["hstore"])["connection_url"]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE t AS SELECT 'a=>1'::hstore AS x")
                connection.execute("CREATE SCHEMA other CREATE VIEW v AS SELECT 2 AS y")

                reply = user.post(f"{one('worked on')}/clone", json={"name": "aside"})

            assert reply.status_code == 201, reply.text
            rows = run(
                reply.json()["connection_url"],
                "INSERT INTO t VALUES ('b=>2')",
                "SELECT count(*), (SELECT y FROM other.v) FROM t",
            )
            assert rows == [(2, 2)]

    def test_what_a_user_has_set_for_their_own_sessions_ends_no_copy(self, desk: Desk) -> None:
        with desk.user("hurried") as user:
            url = desk.made(user, "slow")["connection_url"]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE t AS SELECT generate_series(1, 300000) AS x")
                connection.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 AS y")
                settings = ["statement_timeout", "idle_session_timeout"]
                if connection.info.server_version >= 170_000:
                    settings.append("transaction_timeout")
                for name in settings:
                    connection.execute(f"ALTER ROLE hurried SET {name} = 1".encode())

                reply = user.post(f"{one('slow')}/clone", json={"name": "slow as well"})

                connection.execute("ALTER ROLE hurried RESET ALL")
            assert reply.status_code == 201, reply.text
            assert run(reply.json()["connection_url"], "SELECT count(*) FROM t") == [(300000,)]

    def test_a_copy_runs_no_code_of_a_user_as_the_superuser(self, desk: Desk) -> None:
        with desk.user("mallory") as user:
            url = desk.made(user, "trap")["connection_url"]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "CREATE FUNCTION spring(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
                    " IF session_user <> 'mallory' THEN RAISE 'sprung by %', session_user;"
                    " END IF; RETURN true; END $$"
                )
                connection.execute("CREATE TABLE t (x int CHECK (public.spring(x)))")
                connection.execute("INSERT INTO t VALUES (1)")

                reply = user.post("databases/trap/clone", json={"name": "sprung"})

            assert reply.status_code == 201, reply.text

    def test_a_copy_that_fails_leaves_nothing(self, desk: Desk) -> None:
        with desk.user("failing") as user:
            url = desk.made(user, "broken")["connection_url"]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE ok (x int)")
                connection.execute(
                    "CREATE FUNCTION no(int) RETURNS boolean LANGUAGE plpgsql AS"
                    " $$ BEGIN RETURN current_database() = 'broken'; END $$"
                )
                connection.execute("CREATE TABLE t (x int CHECK (public.no(x)))")
                connection.execute("INSERT INTO t VALUES (1)")

                reply = user.post("databases/broken/clone", json={"name": "never"})

            assert reply.status_code == 503
            assert "violates check constraint" in reply.json()["error"]["message"]
            assert set(listed(user)) == {"broken"}
            assert quota_used(user) == 1
            desk.made(user, "never")


def test_the_name_of_what_was_dropped_with_psql_is_free_again() -> None:
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder, size_interval=5)) as server,
        server.client() as admin,
    ):
        desk = Desk(server, admin, folder)
        with desk.user("paula") as paula, desk.user("quinn") as quinn:
            url = desk.made(paula, "stays")["connection_url"]
            desk.made(paula, "passing")
            assert quota_used(paula) == 2
            run(url, "DROP DATABASE passing")

            wait_until(lambda: quota_used(paula) == 1, "it is counted no more")
            desk.made(quinn, "passing")
            assert set(listed(paula)) == {"stays"}


def test_sizes_are_measured_beside_and_when_asked(desk: Desk) -> None:
    made = desk.made(desk.admin, "growing")
    run(
        made["connection_url"],
        "CREATE TABLE t AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)",
    )
    before = listed(desk.admin)["growing"]
    time.sleep(0.01)

    after = {
        each["name"]: each for each in desk.admin.get("databases?fresh=true").json()["databases"]
    }["growing"]

    assert before["size_bytes"] == made["size_bytes"]
    assert after["size_bytes"] > made["size_bytes"] + (10 << 20)
    assert datetime.fromisoformat(after["size_at"]) > datetime.fromisoformat(made["size_at"])
