"""How large a user's databases may be together: what is refused, and what becomes read-only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from ..engines import clusters, jupyter
from .conftest import Desk, settings
from .test_databases import one, run, url_of

pytestmark = pytest.mark.postgres

MB = 1 << 20
EMPTY = 7 * MB
"""Bytes of an empty database, at least."""

GROW = "CREATE TABLE t AS SELECT repeat(md5(i::text), 30) AS x FROM generate_series(1, 12000) i"
"""Beyond 10 MB."""


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder, over_quota_read_only=True)) as server,
        server.client() as admin,
    ):
        yield Desk(server, admin, folder)


def limit(desk: Desk, name: str, amount: object) -> None:
    reply = desk.admin.put(f"quotas/{name}", json={"database_size": amount})
    assert reply.status_code == 200, reply.text


def used(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("quota").json()["quotas"]["database_size"]
    return found


def measured(client: httpx.Client) -> dict[str, dict[str, Any]]:
    rows = client.get("databases?fresh=true").json()["databases"]
    return {each["name"]: each for each in rows}


def test_what_would_pass_it_is_refused_and_says_so(desk: Desk) -> None:
    with desk.user("sized") as user, desk.user("unlimited") as other:
        limit(desk, "sized", 3 * EMPTY)
        run(desk.made(user, "large")["connection_url"], GROW)
        assert EMPTY < used(user)["used"] < 2 * EMPTY
        measured(user)
        assert used(user)["used"] == measured(user)["large"]["size_bytes"] > 2 * EMPTY

        clone = user.post("databases/large/clone", json={"name": "larger"})
        patterned = user.post("databases", json={"name": "larger", "template": "large"})

        for refused in (clone, patterned):
            assert refused.status_code == 403
            problem = refused.json()["error"]
            assert problem["details"]["resource"] == "database_size"
            assert "21MB of databases" in problem["message"], problem
            assert "large" in problem["message"]
        assert set(measured(user)) == {"large"}
        # Another's is another's.
        desk.made(other, "of another")
        run(url_of(other, "of another"), GROW)
        assert other.post(f"{one('of another')}/clone", json={"name": "again"}).status_code == 201
        # What is gone counts no more.
        assert user.delete("databases/large").status_code == 200
        assert used(user)["used"] == 0
        desk.made(user, "small")


def test_an_invalid_limit_is_named(desk: Desk) -> None:
    for wrong in (-1, "a lot", 1.5, True):
        reply = desk.admin.put("quotas/user", json={"database_size": wrong})
        assert reply.status_code == 400
        assert "database_size" in reply.json()["error"]["details"]


def test_ten_at_once_do_not_pass_it(desk: Desk) -> None:
    with desk.user("racing") as user:
        run(desk.made(user, "seed")["connection_url"], GROW)
        size = measured(user)["seed"]["size_bytes"]
        limit(desk, "racing", 3 * size + MB)

        with ThreadPoolExecutor(10) as pool:
            codes = list(
                pool.map(
                    lambda n: (
                        user.post(
                            "databases/seed/clone", json={"name": f"race {n}"}, timeout=120
                        ).status_code
                    ),
                    range(10),
                )
            )

        assert sorted(codes) == [201] * 2 + [403] * 8
        measured(user)
        assert not used(user)["over"]


def test_who_is_over_it_only_reads_until_that_changes(desk: Desk) -> None:
    with desk.user("over") as user, desk.user("beside") as other:
        url = desk.made(user, "full up")["connection_url"]
        desk.made(user, "second")
        theirs = desk.made(other, "free")["connection_url"]
        run(url, GROW, "CREATE TABLE kept (x int)")
        with psycopg.connect(url, autocommit=True) as before:
            limit(desk, "over", 3 * EMPTY)

            seen = measured(user)

            assert used(user)["over"]
            assert all(each["over_quota"] and each["read_only"] for each in seen.values())
            # Who is in it goes on, which the documents say.
            before.execute("INSERT INTO kept VALUES (1)")
        for name in ("full up", "second"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                run(url_of(user, name), "CREATE TABLE more (x int)")
        assert run(url, "SELECT count(*) FROM kept") == [(1,)]
        run(theirs, "CREATE TABLE more (x int)")
        assert not measured(other)["free"]["over_quota"]
        assert user.post("databases", json={"name": "third"}).status_code == 403
        # What she takes back is hers until it is measured again.
        run(
            url,
            "SET default_transaction_read_only = off",
            'ALTER DATABASE "full up" SET default_transaction_read_only = off',
        )
        measured(user)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            run(url, "CREATE TABLE more (x int)")
        # The way out.
        run(url, "SET default_transaction_read_only = off", "DROP TABLE t")

        seen = measured(user)

        assert not any(each["over_quota"] or each["read_only"] for each in seen.values())
        run(url, "INSERT INTO kept VALUES (2)")


def test_a_lock_that_its_owner_holds_keeps_nobody_elses_from_it(desk: Desk) -> None:
    with desk.user("holder") as user:
        url = desk.made(user, "held")["connection_url"]
        desk.made(user, "loose")
        limit(desk, "holder", EMPTY)
        with psycopg.connect(url) as holding:
            holding.execute("ALTER DATABASE held SET work_mem = '8MB'")

            seen = measured(user)

            assert {name: each["read_only"] for name, each in seen.items()} == {
                "held": False,
                "loose": True,
            }
            measured(user)
            assert desk.server.log.count("Whether held can be written to is changed later") == 1
        assert all(each["read_only"] for each in measured(user).values())
        with psycopg.connect(url) as holding:
            holding.execute("SET default_transaction_read_only = off")
            holding.commit()
            holding.execute("ALTER DATABASE held RESET work_mem")
            limit(desk, "holder", 4 * EMPTY)

            seen = measured(user)

            assert seen["held"]["read_only"], "still"
            assert not seen["loose"]["read_only"]
        assert not measured(user)["held"]["read_only"]


def test_what_its_owner_made_read_only_stays_so(desk: Desk) -> None:
    with desk.user("archivist") as user:
        url = desk.made(user, "archive")["connection_url"]
        run(url, 'ALTER DATABASE "archive" SET default_transaction_read_only = on')

        measured(user)

        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            run(url, "CREATE TABLE t (x int)")


def test_a_gift_counts_for_who_gets_it(desk: Desk) -> None:
    with desk.user("leaving") as leaving, desk.user("staying") as staying:
        desk.made(leaving, "a legacy")
        gone = desk.admin.delete("users/leaving?transfer_to=staying")
        assert gone.status_code == 200, gone.text

        assert used(staying)["used"] > EMPTY
        limit(desk, "staying", 1)
        assert used(staying)["over"]


@pytest.mark.slow
def test_a_restore_needs_room_for_what_is_kept(desk: Desk) -> None:
    with desk.user("careful") as user:
        url = desk.made(user, "twice")["connection_url"]
        run(url, "CREATE TABLE t AS SELECT 1 AS x")
        taken = user.post("backups", json={}, timeout=120)
        assert taken.status_code == 201, taken.text
        path = f"backups/{taken.json()['id']}/restore"
        size = measured(user)["twice"]["size_bytes"]
        limit(desk, "careful", size + MB)
        run(url, "UPDATE t SET x = 2")

        refused = user.post(path, json={"databases": ["twice"]}, timeout=120)

        assert refused.status_code == 403, refused.text
        assert refused.json()["error"]["details"]["resource"] == "database_size"
        assert run(url, "SELECT x FROM t") == [(2,)]
        assert set(measured(user)) == {"twice"}
        assert used(user)["used"] == measured(user)["twice"]["size_bytes"]
        limit(desk, "careful", 3 * size)
        done = user.post(path, json={"databases": ["twice"]}, timeout=120)
        assert done.status_code == 200, done.text
        assert run(url_of(user, "twice"), "SELECT x FROM t") == [(1,)]
        seen = measured(user)
        assert len(seen) == 2
        assert used(user)["used"] == sum(each["size_bytes"] for each in seen.values())
