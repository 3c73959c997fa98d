"""Copies of databases that are not as most are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from ..engines.scratch import wait_until
from .conftest import Desk
from .test_databases import listed, one, run, url_of
from .test_hostile import leave

pytestmark = pytest.mark.postgres


def test_an_extension_outside_the_public_schema_comes_along(desk: Desk) -> None:
    with desk.user("tidy") as user:
        url = desk.made(user, "in order")["connection_url"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA ext")
            connection.execute("CREATE EXTENSION hstore SCHEMA ext")
            connection.execute("CREATE EXTENSION pg_trgm")
            connection.execute("CREATE TABLE t AS SELECT 'a=>1'::ext.hstore AS x")

            reply = user.post(f"{one('in order')}/clone", json={"name": "in order, too"})

        assert reply.status_code == 201, reply.text
        rows = run(
            reply.json()["connection_url"],
            "SELECT x OPERATOR(ext.->) 'a', similarity('a', 'a') FROM t",
        )
        assert rows == [("1", 1.0)]


def test_an_extension_that_its_owner_may_not_add_is_named(desk: Desk) -> None:
    with desk.user("reaching") as user:
        url = desk.made(user, "far away")["connection_url"]
        run(
            url_of_dba(desk, "far away"),
            "CREATE SCHEMA ext",
            "CREATE EXTENSION dblink SCHEMA ext",
        )
        with psycopg.connect(url):
            reply = user.post(f"{one('far away')}/clone", json={"name": "farther"})

        assert reply.status_code == 409
        assert "dblink" in reply.json()["error"]["message"]
        assert set(listed(user)) == {"far away"}
        assert user.post(f"{one('far away')}/clone", json={"name": "farther"}).status_code == 201


@pytest.mark.slow
def test_a_lock_on_a_table_is_not_waited_for_without_end(desk: Desk) -> None:
    with desk.user("holding") as user:
        url = desk.made(user, "held fast")["connection_url"]
        run(url, "CREATE TABLE t (x int)")
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE t")

            reply = user.post(f"{one('held fast')}/clone", json={"name": "never"}, timeout=60)

        assert reply.status_code == 409
        assert "lock" in reply.json()["error"]["message"]
        assert set(listed(user)) == {"held fast"}


def test_what_is_deleted_while_it_is_copied_is_told_as_gone(desk: Desk) -> None:
    with desk.user("hasty") as user, ThreadPoolExecutor(1) as pool:
        url = desk.made(user, "going")["connection_url"]
        run(url, "CREATE TABLE t (x int)")
        with closing(psycopg.connect(url)) as connection:
            connection.execute("LOCK TABLE t")
            cloning = pool.submit(user.post, "databases/going/clone", json={"name": "copy"})
            dumping = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE public.t %'"
            wait_until(lambda: run(url_of_dba(desk, "postgres"), dumping), "the copy")

            assert user.delete("databases/going?force=true").status_code == 200

        reply = cloning.result()
        assert reply.status_code == 404, reply.text
        assert reply.json()["error"]["details"] == {"database": "going"}
        assert not listed(user)


def test_what_its_owner_closed_to_everybody_says_so(desk: Desk) -> None:
    with desk.user("closing") as user:
        desk.made(user, "closed")
        url = desk.made(user, "open")["connection_url"]
        run(url, "ALTER DATABASE closed ALLOW_CONNECTIONS false")

        reply = user.post("databases/closed/clone", json={"name": "copy", "schema_only": True})

        assert reply.status_code == 409, reply.text
        message = reply.json()["error"]["message"]
        assert 'Database "closed" is not currently accepting connections: ' in message
        assert "ALLOW_CONNECTIONS true" in message
        assert set(listed(user)) == {"closed", "open"}


def test_a_template_of_somebody_else_is_the_new_owners_altogether(desk: Desk) -> None:
    with desk.user("giver") as giver, desk.user("taker") as taker:
        run(
            desk.made(giver, "lesson", extensions=["hstore"])["connection_url"],
            "CREATE TABLE t AS SELECT 'a=>1'::hstore AS x",
            "CREATE SCHEMA other CREATE VIEW v AS SELECT 2 AS y",
        )

        desk.made(desk.admin, "exercise", template="lesson", owner="taker")

        rows = run(
            url_of(taker, "exercise"),
            "INSERT INTO t VALUES ('b=>2')",
            "ALTER TABLE t ADD z int",
            "SELECT count(*), (SELECT y FROM other.v), min(tableowner::text)"
            " FROM t, pg_tables WHERE tablename = 't'",
        )
        assert rows == [(2, 2, "taker")]
        # The other's are still the other's.
        assert run(url_of(giver, "lesson"), "SELECT count(*) FROM t") == [(1,)]
        assert set(listed(giver)) == {"lesson"}
        assert run(url_of_dba(desk, "lesson"), OWNERS) == [("giver",)]


OWNERS = (
    "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace"
)


def test_what_is_made_of_a_template_is_as_large_as_that_is_by_now(desk: Desk) -> None:
    with desk.user("filling") as user:
        url = desk.made(user, "form")["connection_url"]
        # Once it was known as small.
        assert int(str(listed(user)["form"]["size_bytes"])) < 10_000_000
        run(
            url, "CREATE TABLE t AS SELECT repeat(md5(i::text), 60) FROM generate_series(1, 9999) i"
        )

        made = desk.made(user, "cast", template="form")

        assert int(str(made["size_bytes"])) > 20_000_000


def test_nobody_clones_or_measures_what_is_somebody_elses(desk: Desk) -> None:
    with desk.user("keeping") as keeper, desk.user("curious") as other:
        desk.made(keeper, "kept to oneself")
        for name in ("kept to oneself", "not there"):
            refused = other.post(f"{one(name)}/clone", json={"name": "mine now"})
            assert refused.status_code == 404, refused.text
        assert listed(other) == {}


def test_a_database_without_the_public_schema(desk: Desk) -> None:
    with desk.user("heir"), desk.user("minimal") as user:
        run(
            desk.made(user, "bare")["connection_url"],
            "DROP SCHEMA public",
            "CREATE SCHEMA own CREATE TABLE t (x int)",
        )

        made = desk.made(user, "with it", template="bare", extensions=["hstore"])

        assert run(made["connection_url"], "SELECT 'a=>1'::hstore -> 'a'") == [("1",)]
        with psycopg.connect(url_of(user, "bare")):
            reply = user.post("databases/bare/clone", json={"name": "bare 2"})
        assert reply.status_code == 201, reply.text
        gone = leave(desk, "minimal", transfer_to="heir")
        assert gone.status_code == 200, gone.text
    leave(desk, "heir", purge="true")


def test_a_password_that_was_changed_by_hand_is_set_again(desk: Desk) -> None:
    with desk.user("handy") as user:
        url = desk.made(user, "by hand")["connection_url"]
        run(url, "ALTER ROLE handy PASSWORD 'another'")

        assert run(url_of(user, "by hand"), "SELECT 1") == [(1,)]


def test_a_role_that_was_dropped_by_hand_is_made_again(desk: Desk) -> None:
    with desk.user("dropped") as user:
        desk.made(user, "while it was")
        assert user.delete(one("while it was")).status_code == 200
        run(url_of_dba(desk, "postgres"), "DROP ROLE dropped")

        assert run(desk.made(user, "since")["connection_url"], "SELECT 1") == [(1,)]


def url_of_dba(desk: Desk, name: str) -> str:
    """Return the address of a database for the cluster's own role, whoever owns it."""
    url = url_of(desk.admin, "postgres")
    return url.removesuffix("postgres") + one(name).removeprefix("databases/")
