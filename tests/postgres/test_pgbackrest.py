"""Backups of a real cluster by the real pgBackRest."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, Unavailable
from jupyter_ext.postgres.backup_info import BackupKind
from jupyter_ext.postgres.backup_settings import BackupSettings
from jupyter_ext.postgres.marker import mark
from jupyter_ext.postgres.pgbackrest import PgBackRest
from jupyter_ext.postgres.pgbackrest_versions import check_pair
from jupyter_ext.postgres.repository import Repository, Retention
from tests.engines.desk_cluster import DeskCluster, owner_of, processes_of

from .world import World, world_in

pytestmark = pytest.mark.postgres

NEEDLE = "needle in a haystack"


async def until(ready, what: str, seconds: float = 20) -> None:
    """Wait for what `ready` tells."""
    async with asyncio.timeout(seconds):
        while not await ready():
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_each_kind_says_what_it_holds_and_what_it_needs(world: World) -> None:
    told: list[float] = []
    full = await world.backups.backup(
        BackupKind.INCREMENTAL, annotations={"by": "carol"}, progress=told.append
    )
    assert full.kind is BackupKind.FULL, "there was none to continue"
    assert full.prior is None and full.references == ()
    assert full.annotations == {"by": "carol"}
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 3
    world.write(1)
    part = await world.backups.backup(BackupKind.INCREMENTAL)
    world.write(2)
    differs = await world.backups.backup(BackupKind.DIFFERENTIAL)
    assert (part.kind, part.prior) == (BackupKind.INCREMENTAL, full.label)
    assert (differs.kind, differs.prior) == (BackupKind.DIFFERENTIAL, full.label)
    assert part.delta_size < full.delta_size == full.database_size
    assert 0 < part.stored_size < full.stored_size < full.database_size
    now = datetime.now(UTC)
    for each in (full, part, differs):
        assert now - timedelta(minutes=2) < each.start <= each.stop <= now
        assert each.timeline == 1 and not each.damaged and each.stop_lsn > each.start_lsn
    info = await world.backups.info()
    assert info.backups == (full, part, differs)
    assert info.archive is not None and info.archive.last >= differs.last_segment
    assert await world.backups.databases(full.label) == ["postgres"]


async def test_the_repository_is_prepared_twice_and_checked(world: World) -> None:
    await world.backups.check_versions()
    await world.backups.create_stanza()
    await world.backups.check()
    assert (await world.backups.info()).backups == ()
    assert await world.backups.recovery_windows() == []
    with pytest.raises(NotFound):
        await world.backups.get("20260101-000000F")
    with pytest.raises(InvalidRequest, match="none yet"):
        await world.backups.source(world.now())


@pytest.mark.parametrize(
    ("version", "server", "needed"),
    [("2.45", 16, "2.46"), ("2.53", 17, "2.53.1"), ("2.54.2", 18, "2.55"), ("2.38", 15, "2.39")],
)
def test_a_pair_that_does_not_fit_names_the_version_needed(
    version: str, server: int, needed: str
) -> None:
    with pytest.raises(Unavailable, match=f"{needed} or newer"):
        check_pair(version, server)


@pytest.mark.parametrize(("version", "server"), [("2.45", 15), ("2.53.1", 17), ("2.58.0", 18)])
def test_a_pair_that_fits_passes(version: str, server: int) -> None:
    check_pair(version, server)


@pytest.mark.slow
async def test_what_others_need_is_not_deleted(world: World) -> None:
    full = await world.backups.backup(BackupKind.FULL)
    part = await world.backups.backup(BackupKind.INCREMENTAL)
    with pytest.raises(Conflict, match=part.label) as refused:
        await world.backups.delete(full.label)
    assert refused.value.details["dependants"] == [part.label]
    assert len((await world.backups.info()).backups) == 2
    await world.backups.delete(part.label)
    with pytest.raises(Conflict, match="only full one"):
        await world.backups.delete(full.label)
    with pytest.raises(NotFound):
        await world.backups.delete(part.label)
    second = await world.backups.backup(BackupKind.FULL)
    await world.backups.delete(full.label)
    info = await world.backups.info()
    assert info.backups == (second,)
    assert info.archive is not None and info.archive.first >= second.first_segment


async def test_retention_removes_what_is_older(world: World) -> None:
    made = [await world.backups.backup(BackupKind.FULL) for _ in range(3)]
    assert (await world.backups.info()).backups == tuple(made), "nothing goes away by itself"
    keep = Retention(full=2)
    assert await world.backups.expire(keep, dry_run=True) == [made[0].label]
    assert len((await world.backups.info()).backups) == 3
    assert await world.backups.expire(keep) == [made[0].label]
    assert (await world.backups.info()).backups == tuple(made[1:])


async def test_retention_by_days_keeps_every_moment_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await world.backups.backup(BackupKind.FULL) for _ in range(3)]
    program = world.cluster.folder / "later"
    program.write_text(f'#!/bin/sh\nexec faketime -f +40d {shutil.which("pgbackrest")} "$@"\n')
    program.chmod(0o755)
    month = BackupSettings().retention()
    assert month == Retention(days=30)

    assert await world.backups.expire(month) == []
    monkeypatch.setattr(world.backups._program, "path", str(program))
    assert await world.backups.expire(Retention(days=50)) == []
    # Moments of thirty days ago are reached from the newest that was there then.
    assert await world.backups.expire(month) == [each.label for each in made[:2]]

    assert (await world.backups.info()).backups == tuple(made[2:])


async def test_a_damaged_file_is_found(world: World) -> None:
    full = await world.backups.backup(BackupKind.FULL)
    good = await world.backups.verify()
    assert good.good and [each.name for each in good.backups] == [full.label]
    assert good.backups[0].checked > 900 and good.archives[0].checked > 0
    bundle = next((world.repository / "backup/main" / full.label / "bundle").iterdir())
    damage(bundle)
    bad = await world.backups.verify()
    assert not bad.good and not bad.backups[0].good
    assert bad.backups[0].valid < bad.backups[0].checked
    assert any(full.label in each and "checksum" in each for each in bad.damaged)


async def test_a_missing_segment_is_found(world: World) -> None:
    full = await world.backups.backup(BackupKind.FULL)
    folder = world.repository / "archive/main"
    next(folder.glob(f"*/*/{full.first_segment}-*")).unlink()
    bad = await world.backups.verify()
    assert not bad.good and full.first_segment in bad.damaged[0]
    assert await world.backups.recovery_windows() == []


def damage(path: Path) -> None:
    """Turn bytes in the middle of a file over."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        old = file.read(64)
        file.seek(-len(old), os.SEEK_CUR)
        file.write(bytes(byte ^ 0xFF for byte in old))


@pytest.mark.slow
async def test_why_the_archive_fails_is_told_until_it_works_again(world: World) -> None:
    backups = world.backups
    await mark(backups)
    status = await backups.archive_status()
    assert not status.failing and status.reason == "" and status.last_archived is not None
    moved = world.repository.with_name("moved")
    world.repository.rename(moved)
    with pytest.raises(Unavailable, match="archive.info") as failed:
        await mark(backups, deadline=3)
    assert "did not reach the archive within 3 s" in str(failed.value)
    status = await backups.archive_status()
    assert status.failing and status.waiting >= 1 and "archive.info" in status.reason
    with pytest.raises(Unavailable):
        await backups.backup(BackupKind.FULL)
    moved.rename(world.repository)
    await mark(backups)
    status = await backups.archive_status()
    assert not status.failing and status.reason == "" and status.waiting == 0
    await backups.backup(BackupKind.FULL)


@pytest.mark.slow
async def test_nothing_in_an_encrypted_repository_can_be_read(cluster: DeskCluster) -> None:
    where = cluster.folder / "encrypted"
    world = await world_in(cluster, Repository(where, passphrase="open sesame", compression="none"))
    await fill(world)
    assert not holds(where, NEEDLE.encode())
    config = cluster.folder / "pgbackrest/pgbackrest.conf"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert owner_of(config) == cluster.place.user.name
    assert (await world.backups.recovery_windows())[0].timeline == 1
    restored = await world.restored(None)
    assert cluster.sql("SELECT count(*) FROM hay", place=restored.place) == [1000]
    await restored.discard()
    for guess in ("guess", ""):
        wrong = PgBackRest(
            cluster.place, Repository(where, passphrase=guess), cluster.folder / "other"
        )
        with pytest.raises(Unavailable, match="passphrase"):
            await wrong.backup(BackupKind.FULL)


@pytest.mark.slow
async def test_what_is_not_encrypted_can_be_read(cluster: DeskCluster) -> None:
    where = cluster.folder / "plain"
    await fill(await world_in(cluster, Repository(where, compression="none")))
    assert holds(where, NEEDLE.encode()), "otherwise the test of encryption proves nothing"


async def fill(world: World) -> None:
    world.sql(f"CREATE TABLE hay AS SELECT g, '{NEEDLE}' AS x FROM generate_series(1, 1000) g")
    await world.backups.backup(BackupKind.FULL)
    world.write(1)
    await asyncio.sleep(1)
    await mark(world.backups)


def holds(folder: Path, needle: bytes) -> bool:
    """Whether a file below a folder holds these bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return any(needle in path.read_bytes() for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "cancelled"])
async def test_a_backup_that_breaks_off_leaves_the_next_one_free(world: World, how: str) -> None:
    folder = world.cluster.folder / "pgbackrest"
    world.sql("CREATE TABLE big AS SELECT g, md5(g::text) x FROM generate_series(1, 200000) g")
    running: list[asyncio.Task[object]] = []

    def stop(fraction: float) -> None:
        if how == "cancelled":
            running[0].cancel()
        else:
            for pid in processes_of(folder):
                os.kill(pid, signal.SIGKILL)

    running.append(asyncio.create_task(world.backups.backup(BackupKind.FULL, progress=stop)))
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else Unavailable):
        await running[0]
    assert processes_of(folder) == []
    made = await world.backups.backup(BackupKind.FULL)
    assert (await world.backups.info()).backups == (made,)
    assert (await world.backups.verify()).good
    labels = [path.name for path in (world.repository / "backup/main").glob("*F*")]
    assert labels == [made.label], "nothing half-done is left"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "cancelled"])
async def test_a_restore_that_breaks_off_leaves_nothing(world: World, how: str) -> None:
    folder = world.cluster.folder / "pgbackrest"
    made = await world.backups.backup(BackupKind.FULL)
    target = world.cluster.folder / "restored"
    running: list[asyncio.Task[None]] = []

    def stop(fraction: float) -> None:
        if how == "cancelled":
            running[0].cancel()
        else:
            for pid in processes_of(folder):
                os.kill(pid, signal.SIGKILL)

    restore = world.backups.restore(target, made.label, progress=stop)
    running.append(asyncio.create_task(restore))
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else Unavailable):
        await running[0]
    assert not target.exists() and processes_of(folder) == []
    told: list[float] = []
    await world.backups.restore(target, made.label, progress=told.append)
    assert told[-1] == 1.0
    with pytest.raises(Conflict, match="not empty"):
        await world.backups.restore(target, made.label)


async def test_two_backups_at_once_are_refused(world: World) -> None:
    one = asyncio.create_task(world.backups.backup(BackupKind.FULL))

    async def begun() -> bool:
        return bool(list((world.cluster.folder / "pgbackrest/lock").iterdir()))

    await until(begun, "the first has begun")
    with pytest.raises(Conflict, match="another run"):
        await world.backups.backup(BackupKind.FULL)
    assert (await one).kind is BackupKind.FULL


async def test_a_link_in_the_clusters_folder_leads_nobody_astray(cluster: DeskCluster) -> None:
    victim = cluster.folder / "victim"
    victim.write_text("mine")
    folder = cluster.folder / "pgbackrest"
    folder.mkdir()
    (folder / "pgbackrest.conf").symlink_to(victim)
    world = await world_in(cluster)
    assert victim.read_text() == "mine"
    reason = folder / "log/archive-push.err"
    world.repository.rename(world.repository.with_name("away"))
    world.sql("INSERT INTO log VALUES (1)")
    world.sql("SELECT pg_switch_wal()")

    async def failing() -> bool:
        return (await world.backups.archive_status()).failing

    await until(failing, "archiving fails")
    reason.unlink()
    reason.symlink_to(victim)
    victim.write_text("ERROR: [001]: secret")
    assert "secret" not in (await world.backups.archive_status()).reason
