"""Backups over REST, of the cluster that the server made by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_ext.postgres.pgbackrest_runs import runs

from ..engines import clusters, jupyter
from ..engines.scratch import scratch_folder, wait_until
from ..services.test_over_http import numbers
from .conftest import Desk, settings
from .test_databases import run, url_of

pytestmark = pytest.mark.postgres


def taken(client: httpx.Client, **body: Any) -> dict[str, Any]:
    """Take a backup."""
    reply = client.post("backups", json=body, timeout=120)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    reply = client.get("backups")
    assert reply.status_code == 200, reply.text
    rows: list[dict[str, Any]] = reply.json()["backups"]
    return rows


def pgbackrest_folder(folder: Path) -> Path:
    [found] = folder.glob("*/pgbackrest")
    return found


class TestTaking:
    def test_the_first_one_prepares_everything(self, desk: Desk) -> None:
        assert listed(desk.admin) == []
        assert desk.admin.get("status").json()["services"]["backups"] == "off"
        desk.made(desk.admin, "kept")

        made = taken(desk.admin, type="incremental")

        assert made["type"] == "full", "there was none to continue"
        day = made["created_at"][:10].replace("-", "")
        assert made["id"] == f"backup-{day}"
        assert 0 < made["size_bytes"] < made["cluster_bytes"]
        assert (made["status"], made["verified_at"]) == ("completed", None)
        assert "kept" in made["databases"]
        part = taken(desk.admin, type="incremental", databases=["kept"])
        moment = part["created_at"][11:19].replace(":", "")
        assert part["id"] == f"backup-{day}-{moment}"
        assert (part["databases"], part["depends_on"]) == (["kept"], [made["id"]])
        assert [each["id"] for each in listed(desk.admin)] == [part["id"], made["id"]]
        assert desk.admin.get("status").json()["services"]["backups"] == "running"
        # The backup's end is known to the second, and WAL counts from there once it is archived.
        time.sleep(1.1)
        run(url_of(desk.admin, "kept"), "CREATE TABLE t (n int)")
        run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")
        one = f"backups/{made['id']}"
        wait_until(lambda: desk.admin.get(one).json()["recovery_window"], "a window", 20)
        [window] = desk.admin.get(f"backups/{made['id']}").json()["recovery_window"]
        assert set(window) == {"timeline", "from", "to"}
        assert window["timeline"] == 1 and window["from"] <= window["to"]
        told = numbers(desk.admin)
        assert told["jupyter_ext_backups"] == 2
        assert 0 <= told["jupyter_ext_backup_age_seconds"] < 120
        assert told["jupyter_ext_wal_archiving_up"] == 1
        assert told["jupyter_ext_wal_archived_files"] > 0

    def test_a_test_restore_alone_makes_it_verified(self, desk: Desk) -> None:
        made = taken(desk.admin)

        reply = desk.admin.post(f"backups/{made['id']}/verify", timeout=180)

        assert reply.status_code == 200, reply.text
        assert reply.json()["verified_at"] is not None
        assert desk.admin.get(f"backups/{made['id']}").json()["verified_at"] is not None
        assert not list(desk.folder.glob("*/side*")), "nothing of the test is left"

    def test_users_take_as_many_as_they_may(self, desk: Desk) -> None:
        with desk.user("greedy") as greedy:
            desk.made(greedy, "greeds")
            for _ in range(2):
                taken(greedy, type="incremental")
            refused = greedy.post("backups", json={"type": "incremental"})
            assert refused.status_code == 429, refused.text
            assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400

    def test_what_others_need_stays(self, desk: Desk) -> None:
        full = taken(desk.admin)
        part = taken(desk.admin, type="differential")

        refused = desk.admin.delete(f"backups/{full['id']}")

        assert refused.status_code == 409, refused.text
        error = refused.json()["error"]
        assert error["details"]["dependants"] == [part["id"]]
        assert full["id"] in error["message"] and part["id"] in error["message"]
        gone = desk.admin.delete(f"backups/{part['id']}")
        assert gone.json() == {"id": part["id"], "status": "deleted"}
        assert desk.admin.delete(f"backups/{full['id']}").status_code == 200
        assert desk.admin.get(f"backups/{full['id']}").status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [({"files": ["a.txt"]}, "files"), ({"type": "hourly"}, "type"), ({"databases": 7}, "data")],
    )
    def test_what_can_not_be_is_refused_at_its_field(
        self, desk: Desk, body: dict[str, Any], field: str
    ) -> None:
        reply = desk.admin.post("backups", json=body)

        assert reply.status_code == 400
        assert any(each.startswith(field) for each in reply.json()["error"]["details"])

    def test_an_unknown_database_is_named(self, desk: Desk) -> None:
        reply = desk.admin.post("backups", json={"databases": ["nowhere"]})

        assert reply.status_code == 404
        assert reply.json()["error"]["details"] == {"database": "nowhere"}

    def test_after_the_last_full_one_was_deleted_the_next_is_full(self, desk: Desk) -> None:
        desk.made(desk.admin, "followed", owner="dba")
        taken(desk.admin)
        last = taken(desk.admin)
        assert desk.admin.delete(f"backups/{last['id']}").status_code == 200

        assert taken(desk.admin, type="incremental")["type"] == "full"

        assert taken(desk.admin, type="incremental")["type"] == "incremental"
        desk.admin.delete("databases/followed").raise_for_status()


class TestRights:
    def test_users_see_and_name_what_is_theirs(self, desk: Desk) -> None:
        with desk.user("ruth") as ruth, desk.user("sam") as sam:
            assert sam.post("backups", json={}).status_code == 400, "he has none"
            desk.made(ruth, "ruths")
            desk.made(sam, "sams")
            for name in ("sams", "postgres", "nowhere"):
                assert ruth.post("backups", json={"databases": [name]}).status_code == 404
            made = taken(ruth)
            assert made["databases"] == ["ruths"]
            both = taken(desk.admin, databases=["ruths", "sams"])
            assert [each["id"] for each in listed(ruth)] == [both["id"], made["id"]]
            assert [each["databases"] for each in listed(sam)] == [["sams"]]
            assert sam.get(f"backups/{made['id']}").status_code == 404
            assert sam.delete(f"backups/{made['id']}").status_code == 404
            assert ruth.delete(f"backups/{made['id']}").status_code == 403
            assert sam.post(f"backups/{both['id']}/verify").status_code == 403

    def test_how_much_others_have_is_not_told(self, desk: Desk) -> None:
        with desk.user("small") as small, desk.user("big") as big:
            desk.made(small, "smalls")
            desk.made(big, "bigs")
            made = taken(small)
            assert made["cluster_bytes"] is None
            assert {each["cluster_bytes"] for each in listed(small)} == {None}
            assert desk.admin.get(f"backups/{made['id']}").json()["cluster_bytes"] > 0

            def told() -> dict[str, Any]:
                body = {"databases": ["smalls"], "dry_run": True}
                reply = small.post(f"backups/{made['id']}/restore", json=body)
                assert reply.status_code == 200, reply.text
                found: dict[str, Any] = reply.json()
                sizes = found["bytes"] | {"free": 0}
                return {"bytes": sizes, "seconds": found["seconds"]}

            before = told()
            run(url_of(big, "bigs"), "CREATE TABLE t AS SELECT generate_series(1, 200000) AS n")
            desk.admin.get("databases?fresh=true").raise_for_status()
            assert told() == before
            mine = small.get("databases/smalls").json()["size_bytes"]
            assert before["bytes"]["live"] == before["bytes"]["kept"] == mine

    def test_a_name_that_somebody_else_had_shows_nothing(self, desk: Desk) -> None:
        with desk.user("first") as first, desk.user("later") as later:
            desk.made(first, "handed")
            made = taken(desk.admin, databases=["handed"])
            assert first.delete("databases/handed").status_code == 200
            desk.made(later, "handed")

            assert made["id"] not in [each["id"] for each in listed(later)]
            assert later.get(f"backups/{made['id']}").status_code == 404


def test_archiving_that_fails_is_told(desk: Desk) -> None:
    taken(desk.admin)
    [repository] = desk.folder.glob("*/backups")
    away = repository.with_name("away")
    repository.rename(away)
    repository.write_text("in the way")
    try:
        # Without anything in it a segment is not left.
        write = "SELECT pg_logical_emit_message(true, 'test', 'something')"
        run(url_of(desk.admin, "postgres"), write, "SELECT pg_switch_wal()")

        def told() -> bool:
            problems = desk.admin.get("status").json()["problems"]
            return any(each["service"] == "backups" for each in problems)

        wait_until(told, "a problem in the status", 60)
    finally:
        repository.unlink()
        away.rename(repository)
    wait_until(lambda: desk.admin.get("status").json()["services"]["backups"] == "running", "", 90)


@contextmanager
def desk_in(folder: Path, home: Path | None = None, **more: Any) -> Iterator[Desk]:
    """A server of its own."""
    config = settings(folder) | more
    with jupyter.jupyter_server(config=config, home=home) as server, server.client() as admin:
        try:
            yield Desk(server, admin, folder)
        finally:
            print(server.log[-6000:])


def test_a_foreign_server_has_no_backups(desk: Desk) -> None:
    desk.made(desk.admin, "any")
    url = url_of(desk.admin, "postgres")
    with clusters.cluster_folder() as folder, desk_in(folder, PostgresSettings={"url": url}) as far:
        for reply in (far.admin.get("backups"), far.admin.post("backups", json={})):
            assert reply.status_code == 503
            assert "where it runs" in reply.text


@pytest.mark.slow
def test_without_a_fitting_pgbackrest_databases_work() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(clusters.cluster_folder())
        # Where the cluster's user gets: that of the tests' own folder may not.
        programs = stack.enter_context(scratch_folder("bin"))
        programs.chmod(0o755)
        old = programs / "pgbackrest"
        old.write_text("#!/bin/sh\necho pgBackRest 2.30\n")
        old.chmod(0o755)
        environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
        server = stack.enter_context(
            jupyter.jupyter_server(config=settings(folder), environ=environ)
        )
        admin = stack.enter_context(server.client())
        assert admin.post("databases", json={"name": "works"}).status_code == 201
        refused = admin.post("backups", json={})
        assert refused.status_code == 503, refused.text
        assert "or newer" in refused.text
        assert admin.get("backups").json()["backups"] == []
        assert admin.get("status").json()["services"]["postgres"] == "running"


@pytest.mark.slow
def test_a_repository_that_can_not_be_written_is_told_and_begins_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with ExitStack() as stack:
        folder = stack.enter_context(clusters.cluster_folder())
        where = {"repository": str(blocked / "backups")}
        desk = stack.enter_context(desk_in(folder, BackupSettings=where))
        url = desk.made(desk.admin, "works")["connection_url"]
        assert desk.admin.post("backups", json={}).status_code == 503
        dba = url_of(desk.admin, "postgres")
        assert run(dba, "SHOW archive_command") == [("/bin/true",)]
        assert run(url, "SELECT 1") == [(1,)]
        assert listed(desk.admin) == []


@pytest.mark.slow
def test_an_encrypted_repository_tells_nothing() -> None:
    with (
        clusters.cluster_folder() as folder,
        desk_in(folder, BackupSettings={"encrypted": True}) as desk,
    ):
        made = desk.made(desk.admin, "secretive")
        run(made["connection_url"], "CREATE TABLE t AS SELECT 'needle in a haystack' AS x")
        backup = taken(desk.admin)
        [repository] = folder.glob("*/backups")
        for file in repository.rglob("*"):
            assert not file.is_file() or b"secretive" not in file.read_bytes()
        reply = desk.admin.post(f"backups/{backup['id']}/verify", timeout=180)
        assert reply.status_code == 200, reply.text


def backing_up(folder: Path) -> bool:
    """Whether a backup is being taken."""
    return bool(runs(folder / "pgbackrest.conf", "--annotation=mark="))


@pytest.mark.slow
def test_a_killed_server_leaves_no_half_backup() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(clusters.cluster_folder())
        state = stack.enter_context(scratch_folder("home"))
        with desk_in(folder, state) as desk:
            desk.made(desk.admin, "large")
            run(
                url_of(desk.admin, "large"),
                "CREATE TABLE t AS SELECT random() FROM generate_series(1, 1500000)",
            )
            whole = taken(desk.admin)
            running = desk.admin.post("backups", json={}, headers={"Prefer": "respond-async"})
            assert running.status_code == 202, running.text
            operation = running.json()["id"]
            home = pgbackrest_folder(folder)
            wait_until(lambda: backing_up(home), "pgBackRest", 20)
            os.kill(desk.server.process.pid, signal.SIGKILL)
            desk.server.process.wait()
            with desk_in(folder, state) as again:
                admin = again.admin

                def over() -> bool:
                    reply = admin.get(f"operations/{operation}").json()
                    return reply["state"] not in ("pending", "running")

                wait_until(over, "the end of the operation", 90)
                ended = admin.get(f"operations/{operation}").json()
                there = [each["id"] for each in listed(admin)]
                if ended["state"] == "succeeded":
                    assert len(there) == 2
                else:
                    assert there == [whole["id"]]
                assert not backing_up(home)
                [repository] = folder.glob("*/backups/backup/main")
                labels = [each for each in repository.iterdir() if each.name[0] == "2"]
                assert len([each for each in labels if each.is_dir()]) == len(there)
                taken(admin, type="incremental")
