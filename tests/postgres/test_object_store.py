"""Backups in a bucket, by TLS."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres.backup_info import BackupKind
from jupyter_ext.postgres.marker import mark
from jupyter_ext.postgres.pgbackrest import PgBackRest
from jupyter_ext.postgres.repository import Bucket, Repository
from tests.engines import clusters
from tests.engines.desk_cluster import DeskCluster
from tests.engines.object_store import ObjectStore, object_store

from .test_backups import desk_in, taken
from .test_restores import restored, rows, table, write
from .world import world_in

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    """A store with the bucket ``backups``."""
    with object_store(tmp_path) as running:
        running.make_bucket("backups")
        yield running


def bucket_of(store: ObjectStore, cluster: DeskCluster) -> Bucket:
    """Return how the cluster's user reaches the bucket."""
    ca_file = cluster.folder / "ca.pem"
    shutil.copy(store.ca_file, ca_file)
    ca_file.chmod(0o644)
    return Bucket("backups", store.endpoint, "eu-west-1", "key", "hidden", ca_file, True)


async def test_a_moment_is_restored_from_an_encrypted_bucket(
    cluster: DeskCluster, store: ObjectStore
) -> None:
    bucket = bucket_of(store, cluster)
    assert "hidden" not in repr(bucket)
    repository = Repository(Path("/team"), "open sesame", bucket=bucket)
    world = await world_in(cluster, repository)
    full = await world.backups.backup(BackupKind.FULL)
    await asyncio.sleep(1.1)
    moment = world.write(1)
    world.write(2)
    part = await world.backups.backup(BackupKind.INCREMENTAL)
    await mark(world.backups)
    assert [each.label for each in (await world.backups.info()).backups] == [
        full.label,
        part.label,
    ]
    assert f"team/backup/main/{full.label}/backup.manifest" in store.objects("backups")
    side = await world.restored(moment)
    assert world.rows(side) == [1]
    await side.discard()
    assert (await world.backups.verify()).good
    await world.backups.delete(part.label)
    assert f"team/backup/main/{part.label}/" not in store.objects("backups")


@pytest.mark.slow
def test_a_server_that_is_told_of_a_bucket_keeps_its_backups_there(store: ObjectStore) -> None:
    with clusters.cluster_folder() as folder:
        ca_file = folder / "ca.pem"
        shutil.copy(store.ca_file, ca_file)
        ca_file.chmod(0o644)
        told = {
            "bucket": "backups",
            "endpoint": store.endpoint,
            "region": "eu-west-1",
            "access_key": "key",
            "secret_key": "hidden",
            "ca_file": str(ca_file),
            "path_style": True,
            "encrypted": True,
            "repository": "team/of/ours",
        }
        with desk_in(folder, BackupSettings=told) as desk, desk.user("far") as user:
            url = table(user, "away")
            write(url, 1)
            backup = taken(user)
            write(url, 2)

            assert "team/of/ours/backup/main/" in store.objects("backups")
            assert not list(folder.glob("*/backups"))
            restored(user, backup, databases=["away"])
            assert rows(url) == [1]
            assert "hidden" not in desk.server.log


# pgBackRest tries for a minute.
@pytest.mark.slow
async def test_a_store_that_nobody_vouches_for_is_refused(
    cluster: DeskCluster, store: ObjectStore
) -> None:
    bucket = replace(bucket_of(store, cluster), ca_file=None)
    cluster.start()
    backups = PgBackRest(
        cluster.place, Repository(Path("/team"), bucket=bucket), cluster.folder / "pgbackrest"
    )
    with pytest.raises(Unavailable, match="certificate"):
        await backups.create_stanza()
    assert "team" not in store.objects("backups")
