"""An administrator's snapshots on a disk whose files can share blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from ..engines import clusters, disks
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from .conftest import World, names, restored, taken, world_in

pytestmark = pytest.mark.postgres

WRITERS = 4


@contextmanager
def world_on_xfs() -> Iterator[World]:
    with disks.small_disk(1500, "xfs") as disk:
        try:
            with world_in(disk) as world:
                yield world
        finally:
            for pid in clusters.postmasters(disk):
                clusters.end(pid)


def test_the_cluster_is_copied_and_needs_no_backup() -> None:
    with world_on_xfs() as world:
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

        # To what was there, which is a copy, too; and the first is good again and again.
        restored(world.admin, told["kept"])
        assert rows(url_of(world.admin, "mine")) == [1, 2]
        freed = world.admin.delete("snapshots/one", timeout=60)
        assert freed.status_code == 200, freed.text
        assert not copy.exists()
        assert "one" not in names(world.admin)
