"""An administrator's snapshots on a disk whose files can share blocks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from jupyter_ext.postgres.processes import running

from ..engines import clusters, disks
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from .conftest import names, restored, taken, world_in

pytestmark = pytest.mark.postgres

WRITERS = 4


@contextmanager
def xfs() -> Iterator[Path]:
    """A disk for clusters, none of which outlives it."""
    with disks.small_disk(1500, "xfs") as disk:
        try:
            yield disk
        finally:
            for pid in clusters.postmasters(disk):
                clusters.end(pid)


def test_the_cluster_is_copied_and_needs_no_backup() -> None:
    with xfs() as disk, world_in(disk) as world:
        table_url = table(world.admin, "mine")
        write(table_url, 1)
        stop = threading.Event()
        counted: dict[int, int] = {}

        def keep_writing(writer: int) -> None:
            with psycopg.connect(table_url, autocommit=True) as connection:
                connection.execute(f"CREATE TABLE w{writer} (n int)")
                while not stop.is_set() and counted.get(writer, 0) < 20_000:
                    counted[writer] = counted.get(writer, 0) + 1
                    connection.execute(f"INSERT INTO w{writer} VALUES ({counted[writer]})")

        writers = [threading.Thread(target=keep_writing, args=[each]) for each in range(WRITERS)]
        for thread in writers:
            thread.start()
        before = dict(counted)
        made = taken(world.admin, "one", parts=["databases"])
        after = dict(counted)
        stop.set()
        for thread in writers:
            thread.join()

        [copy] = world.folder.glob("*/copies/*/data")
        assert made["parts"][0]["state"] == "kept"
        # Neither a backup nor a second time the room was needed.
        assert world.admin.get("backups").json()["backups"] == []
        write(table_url, 2)
        told = restored(world.admin, "one", "cluster")

        url = url_of(world.admin, "mine")
        assert rows(url) == [1]
        with psycopg.connect(url) as connection:
            for each in range(WRITERS):
                cursor = connection.execute(f"SELECT n FROM w{each} ORDER BY n")
                found = [n for (n,) in cursor]
                # A writer's rows are there from the first to one that was written meanwhile.
                assert found == list(range(1, len(found) + 1))
                assert before.get(each, 0) <= len(found) <= after[each] + 1

        assert told["kept"] in names(world.admin)
        freed = world.admin.delete("snapshots/one", timeout=60)
        assert freed.status_code == 200, freed.text
        assert not copy.exists()
        assert "one" not in names(world.admin)


@pytest.mark.slow
def test_of_a_copy_that_was_broken_off_nothing_is_left() -> None:
    with xfs() as disk, scratch_folder("home") as home:
        with world_in(disk, home) as world:
            write(table(world.admin, "mine"), 1)
            for each in range(12):
                # More files, so that copying them takes a while.
                body = {"name": f"copy{each}"}
                assert world.admin.post("databases/mine/clone", json=body).status_code == 201
            reply = world.admin.post(
                "snapshots", json={"name": "one"}, headers={"Prefer": "respond-async"}
            )
            assert reply.status_code == 202, reply.text
            wait_until(lambda: list(disk.glob("*/copies/*/data/base")), "a half copy", 60, 0.001)
            os.kill(world.server.process.pid, signal.SIGKILL)
            world.server.process.wait()
            assert not list(disk.glob("*/copies/*/data/backup_label"))
        with world_in(disk, home) as world:
            path = f"operations/{reply.json()['id']}"
            wait_until(
                lambda: world.admin.get(path).json()["state"] == "failed",
                "the end of the operation",
                60,
            )
            assert "Nothing of it is left" in world.admin.get(path).text
            assert not list(disk.glob("*/copies/*"))
            assert not running("--reflink=always", whose=disk)
            with psycopg.connect(url_of(world.admin, "postgres")) as connection:
                slots = connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone()
            assert slots == (0,)
            taken(world.admin, "one", parts=["databases"])
            write(url_of(world.admin, "mine"), 2)
            told = restored(world.admin, "one")
            assert rows(url_of(world.admin, "mine")) == [1]
            # What was there is a copy, too.
            restored(world.admin, told["kept"])
            assert rows(url_of(world.admin, "mine")) == [1, 2]
