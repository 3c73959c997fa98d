"""Time travel over REST: what was committed before a moment is there, and nothing else."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ..engines import clusters
from ..engines.scratch import wait_until
from .conftest import Desk
from .test_backups import desk_in, taken
from .test_databases import run, url_of

pytestmark = pytest.mark.postgres


def now(client: httpx.Client) -> datetime:
    """Return the cluster's clock."""
    [(moment,)] = run(url_of(client, "postgres"), "SELECT clock_timestamp()")
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


def restored(client: httpx.Client, backup: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Restore."""
    if isinstance(body.get("target_time"), datetime):
        body["target_time"] = body["target_time"].isoformat()
    reply = client.post(f"backups/{backup['id']}/restore", json=body, timeout=240)
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


def table(client: httpx.Client, name: str) -> str:
    """Make a database with a table; return its address."""
    reply = client.post("databases", json={"name": name})
    assert reply.status_code == 201, reply.text
    url: str = reply.json()["connection_url"]
    run(url, "CREATE TABLE log (n int PRIMARY KEY)")
    return url


def spare(desk: Desk) -> Path:
    """Make a folder of the cluster's user."""
    folder = desk.folder / "spare"
    folder.mkdir()
    [data] = desk.folder.glob("*/data")
    os.chown(folder, data.stat().st_uid, data.stat().st_gid)
    return folder


def port_of(url: str) -> object:
    return psycopg.conninfo.conninfo_to_dict(url)["port"]


def write(url: str, *numbers: int) -> None:
    for number in numbers:
        run(url, f"INSERT INTO log VALUES ({number})")


def rows(url: str) -> list[object]:
    return [row[0] for row in run(url, "SELECT n FROM log ORDER BY n")]


def nothing_is_left(desk: Desk) -> None:
    assert not list(desk.folder.glob("*/side*"))
    names = [each["name"] for each in desk.admin.get("databases").json()["databases"]]
    assert not [name for name in names if str(name).startswith("restore-")]


class TestDatabases:
    @pytest.mark.slow
    def test_one_of_three_goes_back_to_three_moments(self, desk: Desk) -> None:
        urls = {name: table(desk.admin, name) for name in ("one", "two", "three")}
        for url in urls.values():
            write(url, 1)
        backup = taken(desk.admin, databases=list(urls))
        time.sleep(1.1)
        moments: list[tuple[datetime, list[int]]] = []
        for number in range(2, 8):
            for url in urls.values():
                write(url, number)
            moments.append((now(desk.admin), [*range(1, number + 1)]))
        run(urls["one"], "DROP TABLE log")
        with psycopg.connect(urls["two"], autocommit=True) as neighbour:
            for moment, there in random.sample(moments, 3):
                made = restored(desk.admin, backup, target_time=moment, databases=["one"])

                assert rows(urls["one"]) == there, f"{moment}"
                kept = made["kept"]["one"]
                assert kept.startswith("one.before-")
                assert desk.admin.get(f"databases/{kept}").status_code == 200
                assert datetime.fromisoformat(made["target_time"]) == moment
                # The same session as before.
                assert neighbour.execute("SELECT count(*) FROM log").fetchall() == [(7,)]
                assert rows(urls["three"]) == [*range(1, 8)]
                nothing_is_left(desk)
                time.sleep(1)

    def test_one_that_was_dropped_with_psql_comes_back(self, desk: Desk) -> None:
        with desk.user("petra") as petra:
            write(table(petra, "petras"), 1, 2)
            other = desk.made(petra, "petras-other")["connection_url"]
            backup = taken(petra)
            run(other, "DROP DATABASE petras")

            made = restored(petra, backup, databases=["petras"])

            assert (made["databases"], made["kept"]) == (["petras"], {})
            assert rows(url_of(petra, "petras")) == [1, 2]
            run(other, "DROP DATABASE petras")
            # What is not there keeps nobody from going.
            gone = desk.admin.delete("users/petra", params={"purge": "true"})
            assert gone.status_code == 200, gone.text

    def test_a_dropped_one_comes_back_at_the_end_of_the_backup(self, desk: Desk) -> None:
        with desk.user("dora") as dora:
            write(table(dora, "doras"), 1, 2)
            backup = taken(dora)
            write(url_of(dora, "doras"), 3)
            assert dora.delete("databases/doras").status_code == 200

            made = restored(dora, backup)

            assert (made["databases"], made["kept"]) == (["doras"], {})
            url = url_of(dora, "doras")
            assert rows(url) == [1, 2]
            write(url, 4)
            shown = dora.get("databases/doras").json()
            assert shown["owner"] == "dora"
            with desk.user("eve") as eve:
                assert eve.get("databases/doras").status_code == 404

    @pytest.mark.slow
    def test_a_session_is_ended_its_owner_told_why_and_comes_again(self, desk: Desk) -> None:
        with desk.user("bea") as bea:
            url = table(bea, "busy")
            table(desk.admin, "others")
            write(url, 1)
            backup = taken(desk.admin, databases=["busy", "others"])
            with (
                bea.stream("GET", "events", params={"topics": "backups"}) as reply,
                psycopg.connect(url, autocommit=True) as connection,
            ):
                write(url, 2)
                restored(desk.admin, backup)
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
                lines = (line for line in reply.iter_lines() if line.startswith("data:"))
                told = [json.loads(next(lines).removeprefix("data:")) for _ in range(2)]
            assert [each["event"] for each in told] == ["restoring", "restored"]
            assert all(each["databases"] == ["busy"] for each in told), "nobody else's"
            assert rows(url) == [1]

    def test_what_administrators_keep_in_postgres_comes_back(self, desk: Desk) -> None:
        """It is what the server itself connects to, too."""
        admin = desk.admin
        write(table(admin, "bystander"), 1)
        dba = url_of(admin, "postgres")
        run(dba, "CREATE TABLE notes (n int)", "INSERT INTO notes VALUES (1)")
        backup = taken(admin, databases=["postgres"])
        run(dba, "UPDATE notes SET n = 2")
        with (
            admin.stream("GET", "events", params={"topics": "databases"}) as told,
            psycopg.connect(dba, autocommit=True) as inside,
            psycopg.connect(url_of(admin, "bystander"), autocommit=True) as beside,
        ):
            made = restored(admin, backup)

            lines = (line for line in told.iter_lines() if line.startswith("data:"))
            events = [json.loads(next(lines).removeprefix("data:")) for _ in range(2)]
            with pytest.raises(psycopg.OperationalError):
                inside.execute("SELECT 1")
            assert beside.execute("SELECT n FROM log").fetchall() == [(1,)]
        kept = made["kept"]["postgres"]
        assert made["databases"] == ["postgres"]
        assert {(each["event"], each["name"]) for each in events} == {
            ("restored", "postgres"),
            ("created", kept),
        }
        assert run(url_of(admin, "postgres"), "SELECT n FROM notes") == [(1,)]
        assert run(url_of(admin, kept), "SELECT n FROM notes") == [(2,)]
        shown = admin.get("databases/postgres").json()
        assert (shown["system"], shown["owner"]) == (True, "dba")
        nothing_is_left(desk)
        # What is in its place is as good as what was there.
        table(admin, "made afterwards")
        again = taken(admin, type="incremental", databases=["bystander"])
        write(url_of(admin, "bystander"), 2)
        restored(admin, again)
        assert rows(url_of(admin, "bystander")) == [1]
        assert admin.delete(f"databases/{kept}").status_code == 200
        assert admin.delete("databases/postgres?force=true").status_code == 403

    def test_a_dry_run_changes_nothing_and_a_quiet_moment_is_reached(self, desk: Desk) -> None:
        url = table(desk.admin, "dry")
        write(url, 1)
        backup = taken(desk.admin, databases=["dry"])
        time.sleep(1.1)
        write(url, 2)
        moment = now(desk.admin)
        before = [each["name"] for each in desk.admin.get("databases").json()["databases"]]

        told = restored(desk.admin, backup, target_time=moment, dry_run=True)

        assert told["dry_run"] and told["databases"] == ["dry"]
        assert 0 < told["bytes"]["kept"] < told["bytes"]["side"] <= told["bytes"]["free"]
        assert told["seconds"] > 0
        after = [each["name"] for each in desk.admin.get("databases").json()["databases"]]
        assert (after, rows(url)) == (before, [1, 2])
        nothing_is_left(desk)
        # Quiet: nothing was committed after it.
        restored(desk.admin, backup, target_time=moment)
        assert rows(url) == [1, 2]


class TestMoments:
    def test_the_end_of_a_backup_is_told_as_it_can_be_asked_for(self, desk: Desk) -> None:
        url = table(desk.admin, "ending")
        backup = taken(desk.admin, databases=["ending"])
        time.sleep(2.1)
        write(url, 1)
        run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")
        one = f"backups/{backup['id']}"
        wait_until(lambda: desk.admin.get(one).json()["recovery_window"], "a window", 20)
        [window] = desk.admin.get(one).json()["recovery_window"]

        planned = restored(desk.admin, backup, dry_run=True)

        told = datetime.fromisoformat(planned["target_time"])
        # The dialog of the panel begins with it, too, and the time line.
        began = datetime.fromisoformat(backup["created_at"])
        assert told == began + timedelta(seconds=backup["seconds"] + 1)
        assert told == datetime.fromisoformat(window["from"])
        again = restored(desk.admin, backup, dry_run=True, target_time=told)
        assert (again["target_time"], again["timeline"]) == (
            planned["target_time"],
            planned["timeline"],
        )


class TestRefusals:
    def test_a_moment_outside_names_the_window(self, desk: Desk) -> None:
        url = table(desk.admin, "windowed")
        backup = taken(desk.admin, databases=["windowed"])
        time.sleep(1.1)
        write(url, 1)
        moment = now(desk.admin)
        run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")
        one = f"backups/{backup['id']}"
        wait_until(lambda: desk.admin.get(one).json()["recovery_window"], "a window", 20)
        for away in (timedelta(days=-400), timedelta(hours=1)):
            for dry in (False, True):
                body = {"target_time": (moment + away).isoformat(), "dry_run": dry}
                reply = desk.admin.post(f"backups/{backup['id']}/restore", json=body)
                assert reply.status_code == 400, reply.text
                assert "timeline 1" in reply.json()["error"]["details"]["target_time"]

    def test_what_is_wrong_is_named(self, desk: Desk) -> None:
        table(desk.admin, "right")
        backup = taken(desk.admin, type="incremental")
        for field, value in (
            ("target_time", "2026-01-01T00:00:00"),
            ("target_time", "yesterday"),
            ("target_time", "0001-01-01T00:00:00+14:00"),
            ("target_time", "9999-12-31T23:59:59-14:00"),
            ("target_time", 10**30),
            ("mode", "beside"),
            ("timeline", 0),
        ):
            reply = desk.admin.post(f"backups/{backup['id']}/restore", json={field: value})
            assert reply.status_code == 400, (field, value, reply.text)
            assert field in reply.json()["error"]["details"]

    def test_users_restore_what_was_and_is_theirs(self, desk: Desk) -> None:
        with desk.user("ann") as ann, desk.user("bob") as bob:
            table(ann, "anns")
            table(bob, "bobs")
            both = taken(desk.admin, databases=["anns", "bobs"])
            path = f"backups/{both['id']}/restore"
            for names, status in ((["bobs"], 404), (["postgres"], 403), ([], 403)):
                assert ann.post(path, json={"databases": names}).status_code == status
            # Her name is his by now: neither gets what was the other's.
            assert ann.delete("databases/anns").status_code == 200
            url = table(bob, "anns")
            write(url, 7)
            assert bob.post(path, json={"databases": ["anns"]}).status_code == 404
            assert ann.post(path, json={"databases": ["anns"]}).status_code == 403
            assert rows(url) == [7]
            nothing_is_left(desk)

    @pytest.mark.slow
    def test_a_name_that_changes_hands_meanwhile_is_left_alone(self, desk: Desk) -> None:
        with desk.user("bella") as bella, desk.user("cleo") as cleo:
            url = table(bella, "course")
            write(url, 1)
            # Her own code makes the loading of it take as long as she likes.
            slow = (
                "CREATE OR REPLACE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_catalog.pg_sleep({}); RETURN $1; END'"
            )
            run(url, slow.format(0))
            run(url, "CREATE INDEX ON log (slow(n))")
            run(url, slow.format(8))
            backup = taken(bella)
            begun = bella.post(
                f"backups/{backup['id']}/restore",
                json={"databases": ["course"]},
                headers={"Prefer": "respond-async"},
            )
            assert begun.status_code == 202, begun.text
            super_url = url_of(desk.admin, "postgres")
            loading = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%slow%'"
            wait_until(lambda: run(super_url, loading), "the loading", 60, 0.1)
            assert bella.delete("databases/course").status_code == 200
            hers = table(cleo, "course")
            write(hers, 7)

            one = f"operations/{begun.json()['id']}"
            wait_until(lambda: bella.get(one).json()["state"] == "failed", "the end", 60, 0.2)

            assert rows(hers) == [7]
            assert cleo.get("databases/course").json()["owner"] == "cleo"
            assert bella.get("databases").json()["databases"] == []
            nothing_is_left(desk)

    def test_somebody_whose_code_never_ends_keeps_nobody_from_restoring(self, desk: Desk) -> None:
        with desk.user("mal") as mal, desk.user("pam") as pam:
            url = table(mal, "mals")
            write(url, 1)
            run(
                url,
                "CREATE FUNCTION endless(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
            )
            run(url, "CREATE INDEX ON log (endless(n))")
            run(
                url,
                "CREATE OR REPLACE FUNCTION endless(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_catalog.set_config(''application_name'', ''psql'', false);"
                " PERFORM pg_catalog.pg_sleep(900); RETURN $1; END'",
            )
            hers = table(pam, "pams")
            write(hers, 1)
            backup = taken(desk.admin, databases=["mals", "pams"])
            write(hers, 2)
            begun = [
                client.post(
                    f"backups/{backup['id']}/restore",
                    json={"databases": [name]},
                    headers={"Prefer": "respond-async"},
                ).json()["id"]
                for client, name in ((mal, "mals"), (pam, "pams"))
            ]
            wait_until(
                lambda: "of another restore" in pam.get(f"operations/{begun[1]}").json()["message"],
                "what it waits for",
                30,
            )

            wait_until(
                lambda: pam.get(f"operations/{begun[1]}").json()["state"] == "succeeded",
                "her restore",
                90,
                0.2,
            )

            assert rows(hers) == [1]
            ended = mal.get(f"operations/{begun[0]}").json()
            assert ended["state"] == "failed", ended
            assert "others wait" in str(ended["error"])
            sleeping = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            assert run(url_of(desk.admin, "postgres"), sleeping) == []
            nothing_is_left(desk)


class TestLeft:
    def test_what_was_loaded_when_postgresql_went_is_removed_when_it_is_back(
        self, desk: Desk
    ) -> None:
        # A restore that failed on a full disk waits for PostgreSQL, but not after it was killed.
        left, hers = f"restore-{'0' * 24}-0", f"restore-{'1' * 24}-0"
        with desk.user("ria") as ria:
            url = table(ria, hers)
            run(url, f'ALTER DATABASE "{hers}" CONNECTION LIMIT 1')
            super_url = url_of(desk.admin, "postgres")
            run(super_url, f'CREATE DATABASE "{left}" CONNECTION LIMIT 0')
            run(super_url, 'CREATE DATABASE "restore-mine" CONNECTION LIMIT 0')
            assert desk.admin.post("services/postgres/restart").status_code == 200

            there = (
                "SELECT datname::text FROM pg_database WHERE datname LIKE 'restore-%' ORDER BY 1"
            )

            names = run(url_of(desk.admin, "postgres"), there)
            assert names == [(hers,), ("restore-mine",)]
            run(url_of(desk.admin, "postgres"), 'DROP DATABASE "restore-mine"')
            assert ria.delete(f"databases/{hers}").status_code == 200


class TestBeside:
    def test_a_cluster_is_left_beside_until_it_is_removed(self, desk: Desk) -> None:
        with desk.user("sid") as sid:
            url = table(sid, "sids")
            write(url, 1)
            # One user's settings must not keep all others from restoring.
            for name, setting in (
                ("hasty", "idle_session_timeout = 1"),
                ("mumbling", "client_encoding = SQL_ASCII"),
            ):
                table(sid, name)
                run(url, f"ALTER DATABASE {name} SET {setting}")
            backup = taken(desk.admin)
            write(url, 2)
            path = f"backups/{backup['id']}/restore"
            assert sid.post(path, json={"mode": "side"}).status_code == 403

            made = restored(desk.admin, backup, mode="side", databases=[])

            side = made["side"]
            assert (made["kept"], side["running"]) == ({}, True)
            there = side["connection_url"].removesuffix("/postgres") + "/sids"
            assert (rows(there), rows(url)) == ([1], [1, 2])
            # Who could log in at that moment may have been shut out since.
            with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
                rows(url.replace(f":{port_of(url)}/", f":{side['port']}/"))
            [listed] = desk.admin.get("restores").json()["restores"]
            assert listed == side | {"connection_url": None}
            password = psycopg.conninfo.conninfo_to_dict(side["connection_url"])["password"]
            assert str(password) not in desk.admin.get("operations").text
            assert sid.get("restores").status_code == 403
            assert sid.delete(f"restores/{side['id']}").status_code == 403
            for id in ("nothing", "..%2Fdata", "data"):
                assert desk.admin.delete(f"restores/{id}").status_code == 404
            gone = desk.admin.delete(f"restores/{side['id']}")
            assert gone.json() == {"id": side["id"], "status": "deleted"}
            assert desk.admin.get("restores").json()["restores"] == []
            with pytest.raises(psycopg.OperationalError):
                rows(there)
            nothing_is_left(desk)


@pytest.fixture
def own() -> Iterator[Desk]:
    """A server whose cluster one test replaces."""
    with clusters.cluster_folder() as folder, desk_in(folder) as desk:
        yield desk


@pytest.mark.slow
def test_the_whole_cluster_goes_back_and_forth(own: Desk) -> None:
    admin = own.admin
    with own.user("uma") as uma:
        url = table(uma, "umas")
        write(url, 1)
        backup = taken(admin)
        time.sleep(1.1)
        write(url, 2)
        first = now(admin)
        write(url, 3)
        second = now(admin)
        table(uma, "later")
        assert (
            uma.post(f"backups/{backup['id']}/restore", json={"databases": []}).status_code == 403
        )

        made = restored(admin, backup, target_time=first, databases=[])

        assert (made["databases"], made["timeline"]) == ([], 1)
        assert rows(url_of(uma, "umas")) == [1, 2]
        assert uma.get("databases/later").status_code == 404
        kept = own.folder / made["kept"]["cluster"]
        assert (kept / "PG_VERSION").exists()
        nothing_is_left(own)
        status = admin.get("status").json()
        assert status["services"]["backups"] == "running", status["problems"]
        backups = admin.get("backups").json()["backups"]
        assert len(backups) == 2, "one was taken at once"
        wait_until(lambda: admin.get("databases/umas").status_code == 200, "the cluster", 20)
        write(url_of(uma, "umas"), 20)

        # What the switch left behind is reached by the number of its timeline.
        again = restored(admin, backup, target_time=second, timeline=1, databases=[])

        assert again["timeline"] == 1
        assert rows(url_of(uma, "umas")) == [1, 2, 3]
        restored(admin, backup, target_time=first, timeline=1, databases=[])
        assert rows(url_of(uma, "umas")) == [1, 2]


def test_old_rights_do_not_come_back(own: Desk) -> None:
    """Users who are gone stay out, and names that others have by now tell nobody anything."""
    admin = own.admin
    with ExitStack() as stack:
        gus, uma, ann, gil, hal = (
            stack.enter_context(own.user(name)) for name in ("gus", "uma", "ann", "gil", "hal")
        )
        write(table(gil, "gils"), 1)
        write(table(gil, "course"), 1)
        write(table(hal, "hals"), 1)
        gone = table(gus, "guss")
        write(gone, 1)
        write(table(ann, "shared"), 1)
        run(url_of(admin, "postgres"), f"CREATE TABLESPACE slow LOCATION '{spare(own)}'")
        backup = taken(admin)
        time.sleep(1.1)
        moment = now(admin)
        admin.delete("users/gus", params={"transfer_to": "uma"}).raise_for_status()
        assert ann.delete("databases/shared").status_code == 200
        write(table(uma, "shared"), 2)
        for name in ("gil", "hal"):
            admin.delete(f"users/{name}", params={"purge": "true"}).raise_for_status()
        # Others, of the same names; of one PostgreSQL does not know yet.
        gil, hal = (stack.enter_context(own.user(name)) for name in ("gil", "hal"))
        write(table(gil, "course"), 2)
        hers = taken(gil, type="incremental")
        body = {"databases": ["course"], "target_time": moment.isoformat()}
        refused = gil.post(f"backups/{hers['id']}/restore", json=body, timeout=60)
        assert refused.status_code == 404, refused.text
        assert rows(url_of(gil, "course")) == [2]

        restored(admin, backup, target_time=moment, databases=[])

        with pytest.raises(psycopg.OperationalError):
            rows(gone)
        assert rows(url_of(uma, "guss")) == [1]
        assert uma.get("databases/shared").status_code == 404
        assert rows(url_of(ann, "shared")) == [1]
        for user, names in ((gil, ("gils", "course")), (hal, ("hals",))):
            assert user.get("databases").json()["databases"] == []
            mine = table(user, f"of the new one, without {names[0]}")
            write(mine, 1)
            for name in names:
                assert user.get(f"databases/{name}").status_code == 404
                assert admin.get(f"databases/{name}").json()["owner"] != "gil"
                assert rows(url_of(admin, name)) == [1]
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    rows(f"{mine.rpartition('/')[0]}/{name}")
        dba = url_of(admin, "postgres")
        run(dba, "CREATE TABLE t (n int) TABLESPACE slow", "CHECKPOINT")
        assert not list(own.folder.glob("*/side*/data"))


@pytest.mark.slow
def test_writers_lose_only_what_came_after_the_moment(own: Desk) -> None:
    """Twenty clients write while the whole cluster is restored in place."""
    admin = own.admin
    url = table(admin, "busy")
    run(url, "DROP TABLE log", "CREATE TABLE log (who int, n int, at timestamptz)")
    backup = taken(admin)
    time.sleep(1.1)
    stop = threading.Event()
    # By whom: number, and moments before and after its commit.
    written: dict[int, list[tuple[int, datetime, datetime]]] = {who: [] for who in range(20)}
    ended: list[str] = []
    cut: dict[int, int] = {}

    def client(who: int) -> None:
        number = 0
        while not stop.is_set():
            try:
                with psycopg.connect(url, autocommit=True) as connection:
                    while not stop.is_set():
                        number += 1
                        insert = "INSERT INTO log VALUES (%s, %s, clock_timestamp()) RETURNING at"
                        [(before,)] = connection.execute(insert, [who, number]).fetchall()
                        [(after,)] = connection.execute("SELECT clock_timestamp()").fetchall()
                        written[who].append((number, before, after))
                        time.sleep(0.02)
            except psycopg.Error as error:
                ended.append(str(error))
                cut.setdefault(who, number)
                time.sleep(0.2)

    threads = [threading.Thread(target=client, args=(who,)) for who in written]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(len(each) > 20 for each in written.values()), "writers", 60)
        moment = now(admin)
        time.sleep(0.5)
        restored(admin, backup, target_time=moment, databases=[])
        url_now = url_of(admin, "busy")
        assert url_now == url
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert any("terminating connection" in each for each in ended)
    there = {(who, n) for who, n in run(url, "SELECT who, n FROM log")}
    for who, mine in written.items():
        before = {(who, n) for n, _, after in mine if after <= moment}
        assert before <= there, f"writer {who} lost what was committed before"
        # Until their session was ended; from then on they wrote into what was restored.
        later = {(who, n) for n, before, _ in mine if before > moment and n < cut[who]}
        assert later and not later & there, f"writer {who} has what was committed after"
