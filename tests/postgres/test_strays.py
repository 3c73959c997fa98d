"""Files of databases that are none: what a crash leaves is removed, and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from jupyter_ext.postgres.connections import Connections
from jupyter_ext.postgres.strays import clear_strays

from ..engines.desk_cluster import DeskCluster

pytestmark = pytest.mark.postgres


def clear(cluster: DeskCluster) -> None:
    async def run() -> None:
        connections = Connections()
        await connections.open(cluster.place.conninfo(), cluster.place.programs.version)
        try:
            await clear_strays(connections, cluster.place)
        finally:
            await connections.close()

    asyncio.run(run())


def folders(cluster: DeskCluster) -> set[str]:
    return {each.name for each in (cluster.place.data / "base").iterdir()}


@contextmanager
def somebody_makes_one(cluster: DeskCluster) -> Iterator[None]:
    conninfo = cluster.place.conninfo()
    with psycopg.connect(**conninfo) as connection:  # type: ignore[arg-type]
        # What CREATE DATABASE holds until it has ended.
        connection.execute("LOCK TABLE pg_database IN ROW EXCLUSIVE MODE")
        yield


def test_what_is_no_databases_goes_while_nobody_makes_one(cluster: DeskCluster) -> None:
    cluster.start()
    cluster.sql("CREATE DATABASE kept")
    before = folders(cluster)
    base, outside = cluster.place.data / "base", cluster.folder / "outside"
    outside.mkdir()
    (outside / "file").touch()
    left = base / "4000000"
    for folder in (left, base / "12", base / "pgsql_tmp"):
        folder.mkdir()
        (folder / "1259").write_bytes(b"x" * 8192)
        for each in (folder, folder / "1259"):
            os.chown(each, cluster.place.user.uid, cluster.place.user.gid)
    (base / "4000001").symlink_to(outside)

    with somebody_makes_one(cluster):
        clear(cluster)
    assert left.exists()
    clear(cluster)

    assert folders(cluster) == before | {"12", "pgsql_tmp", "4000001"}
    assert (outside / "file").exists(), "links are not followed"
    assert cluster.sql("SELECT 1", "kept") == [1]
    Path(base / "4000001").unlink()
