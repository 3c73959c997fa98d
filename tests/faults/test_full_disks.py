"""Disks that fill up under backups, WAL and restores: told, nothing lost, and well again after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..engines import clusters, jupyter
from ..engines.disks import empty, fill, small_disk
from ..engines.killer import STRUCK
from ..engines.scratch import wait_until
from ..postgres.conftest import Desk, settings
from ..postgres.test_backups import listed, taken
from ..postgres.test_databases import run, url_of
from ..postgres.test_restores import nothing_is_left, restored, rows, table, write

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

RANDOM = (
    "CREATE TABLE big AS SELECT decode(string_agg(md5(random()::text), ''), 'hex') AS bytes"
    " FROM generate_series(1, 1000000) i GROUP BY i / 1000"
)
"""16 MB that nothing compresses."""

NO_ROOM = "No space left on device"


@pytest.fixture
def repository() -> Iterator[Path]:
    """A small disk for backups alone."""
    with small_disk(200) as disk:
        yield disk


@pytest.fixture
def desk(repository: Path) -> Iterator[Desk]:
    """A server whose backups lie there."""
    with clusters.cluster_folder() as folder:
        config = settings(folder)
        config["BackupSettings"]["repository"] = str(repository / "backups")
        with jupyter.jupyter_server(config=config) as server, server.client() as admin:
            yield Desk(server, admin, folder)
            print(server.log[-6000:])


def labels(repository: Path) -> set[str]:
    return {each.name for each in (repository / "backups/backup/main").glob("2*") if each.is_dir()}


def test_a_backup_without_room_says_so_and_leaves_nothing(desk: Desk, repository: Path) -> None:
    url = table(desk.admin, "large")
    write(url, 1)
    first = taken(desk.admin)
    run(url, RANDOM, RANDOM.replace("big", "bigger"))
    run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")
    whole = labels(repository)
    wait_until(lambda: archived(desk), "the WAL to be archived", 60)
    fill(repository, leave=12 << 20)

    refused = desk.admin.post("backups", json={"type": "full"}, timeout=120)

    assert refused.status_code == 503, refused.text
    assert NO_ROOM in refused.text
    assert [each["id"] for each in listed(desk.admin)] == [first["id"]]
    assert labels(repository) == whole
    assert rows(url) == [1]
    empty(repository)
    taken(desk.admin, type="full")
    assert len(listed(desk.admin)) == 2


def archived(desk: Desk) -> bool:
    query = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
    return run(url_of(desk.admin, "postgres"), query) == [(0,)]


def test_wal_without_room_is_told_and_kept_until_there_is(desk: Desk, repository: Path) -> None:
    url = table(desk.admin, "busy")
    write(url, 1)
    backup = taken(desk.admin)
    fill(repository)
    try:
        write(url, 2)
        run(url, RANDOM)
        run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")

        def told() -> str:
            status = desk.admin.get("status").json()
            here = (each["what"] for each in status["problems"] if each["service"] == "backups")
            return next(here, "") if status["status"] == "degraded" else ""

        wait_until(told, "the problem", 60)
        assert NO_ROOM in told()
        write(url, 3)
    finally:
        empty(repository)
    run(url_of(desk.admin, "postgres"), "SELECT pg_switch_wal()")
    wait_until(lambda: not told(), "the problem to go", 120)
    # What waited arrived: all of it can be restored from the backup before.
    [(moment,)] = run(url_of(desk.admin, "postgres"), "SELECT clock_timestamp()")
    write(url, 4)
    restored(desk.admin, backup, target_time=moment, databases=["busy"])
    assert rows(url) == [1, 2, 3]


@pytest.mark.parametrize("phase", ["copying", "recovering", "loading"])
def test_a_restore_without_room_changes_nothing(phase: str) -> None:
    with small_disk(640) as disk, clusters.cluster_folder() as beside:
        folder = disk / "clusters"
        folder.mkdir(mode=0o711)
        beside.chmod(0o777)
        config = settings(folder)
        config["BackupSettings"]["repository"] = str(beside / "backups")
        environ = {
            "KILL": "disk",
            "KILL_AT": phase,
            "KILL_IN": "backup.restore",
            "KILL_BELOW": str(beside),
            "KILL_DISK": str(disk),
        }
        try:
            with (
                jupyter.jupyter_server(
                    config=config, environ=environ, more_extensions=("tests.engines.killer",)
                ) as server,
                server.client() as admin,
            ):
                desk = Desk(server, admin, folder)
                url = table(admin, "large")
                run(url, RANDOM)
                write(url, 1)
                backup = taken(admin)
                write(url, 2)

                path = f"backups/{backup['id']}/restore"
                refused = admin.post(path, json={"databases": ["large"]}, timeout=240)

                assert (beside / STRUCK).exists()
                assert refused.status_code == 503, refused.text
                assert NO_ROOM in refused.text, refused.text
                empty(disk)
                wait_until(lambda: answers(desk), "the databases", 90)
                assert rows(url) == [1, 2]
                wait_until(lambda: not list(folder.glob("*/side*")), "what was restored to go", 30)
                nothing_is_left(desk)
                restored(admin, backup, databases=["large"])
                assert rows(url) == [1]
        finally:
            for pid in clusters.postmasters(folder):
                clusters.end(pid)


def answers(desk: Desk) -> bool:
    return desk.admin.get("databases/large/connection").status_code == 200
