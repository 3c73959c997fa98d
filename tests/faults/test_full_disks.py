"""Disks that fill up under backups, WAL and restores: told, nothing lost, and well again after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..engines import clusters, jupyter
from ..engines.disks import FILLER, empty, fill, small_disk
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

UNDONE = ["copying", "recovering", "loading"]
"""Phases in which there has to be room for more."""

OF_A_DATABASE = [*UNDONE, "closing", "renaming", "opening"]
OF_THE_CLUSTER = [*UNDONE[:2], "archiving", "stopping", "swapping", "opening", "backing up"]

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


@pytest.mark.parametrize(
    ("names", "phase"),
    [(["large"], each) for each in OF_A_DATABASE] + [([], each) for each in OF_THE_CLUSTER],
)
def test_a_restore_without_room_is_done_or_changes_nothing(names: list[str], phase: str) -> None:
    with full_in(phase) as (desk, disk, backup):
        url = url_of(desk.admin, "large")
        path = f"backups/{backup['id']}/restore"

        reply = desk.admin.post(path, json={"databases": names}, timeout=240)

        assert (disk / FILLER).exists()
        done = reply.status_code == 200
        if not done:
            assert reply.status_code == 503, reply.text
            assert NO_ROOM in reply.text, reply.text
        assert not done or phase not in UNDONE
        empty(disk)
        wait_until(lambda: answers(desk), "the databases", 90)
        assert rows(url) == ([1] if done else [1, 2])
        wait_until(lambda: not list(desk.folder.glob("*/side*")), "what was restored to go", 30)
        nothing_is_left(desk)
        kept = [each["name"] for each in desk.admin.get("databases").json()["databases"]]
        kept = [name for name in kept if ".before-" in name]
        kept += [str(each) for each in desk.folder.glob("*/before-*")]
        assert len(kept) == int(done)
        restored(desk.admin, backup, databases=names)
        assert rows(url_of(desk.admin, "large")) == [1]


@contextmanager
def full_in(phase: str) -> Iterator[tuple[Desk, Path, dict[str, Any]]]:
    """Yield a server whose clusters' disk is full once a restore is in a phase; a backup."""
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
                yield desk, disk, backup
                print(server.log[-6000:])
        finally:
            for pid in clusters.postmasters(folder):
                clusters.end(pid)


def answers(desk: Desk) -> bool:
    return desk.admin.get("databases/large/connection").status_code == 200
