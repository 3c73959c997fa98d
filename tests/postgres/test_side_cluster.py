"""Time travel: what was committed before a moment is there, and nothing else."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, Unavailable
from jupyter_ext.postgres.backup_info import BackupKind
from jupyter_ext.postgres.marker import mark
from jupyter_ext.postgres.side_cluster import SideCluster
from jupyter_ext.postgres.sources import BackupSource

from .world import World

pytestmark = pytest.mark.postgres


class Diary:
    """Rows, and when each was committed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.spans: list[tuple[int, datetime, datetime]] = []

    def write(self, rows: int = 3) -> None:
        """Commit rows one by one."""
        for _ in range(rows):
            number = len(self.spans) + 1
            before = self.world.now()
            self.spans.append((number, before, self.world.write(number)))

    def at(self, moment: datetime) -> list[int]:
        """Return the rows that were there at a moment, which is in the middle of no commit."""
        assert not any(before < moment < after for _, before, after in self.spans)
        return [number for number, _, after in self.spans if after <= moment]

    def moments(self) -> list[datetime]:
        """Return moments between commits."""
        pairs = zip(self.spans, self.spans[1:], strict=False)
        return [after + (before - after) / 2 for (_, _, after), (_, before, _) in pairs]


async def a_second(world: World) -> None:
    """Wait until a backup that ended just now is surely over: its end is known to the second."""
    await asyncio.sleep(1.1)


@pytest.mark.slow
async def test_every_moment_has_what_was_committed_before_it(world: World) -> None:
    diary = Diary(world)
    await world.backups.backup(BackupKind.FULL)
    await a_second(world)
    diary.write(4)
    await world.backups.backup(BackupKind.INCREMENTAL)
    await a_second(world)
    diary.write(4)
    dropping = world.now()
    world.sql("DROP TABLE log")
    dropped = world.now()
    await mark(world.backups)
    [window] = await world.backups.recovery_windows()
    assert window.first <= diary.spans[0][2] and dropped <= window.last
    seed = random.randrange(1 << 30)
    possible = [each for each in diary.moments() if each >= window.first]
    for moment in [*random.Random(seed).sample(possible, 3), dropping]:
        side = await world.restored(moment)
        assert world.rows(side) == diary.at(moment), f"seed {seed}, {moment}"
        await side.discard()
    side = await world.restored(dropped)
    with pytest.raises(psycopg.errors.UndefinedTable):
        world.rows(side)
    await side.discard()
    assert not side.folder.exists()
    latest, _ = await world.backups.source(dropped)
    assert latest.kind is BackupKind.INCREMENTAL, "less WAL is played back from the newest"


async def test_a_backup_is_restored_to_its_own_end(world: World) -> None:
    diary = Diary(world)
    diary.write(2)
    made = await world.backups.backup(BackupKind.FULL)
    diary.write(2)
    side = world.side()
    proof = await side.recover(BackupSource(world.backups, made.label))
    assert world.rows(side) == [1, 2]
    assert proof.timeline == 2 and "consistency" in proof.stopped
    assert world.cluster.sql("SHOW archive_mode", place=side.place) == ["off"]
    assert world.cluster.sql("SHOW listen_addresses", place=side.place) == [""]
    with pytest.raises(Conflict):
        await side.recover(BackupSource(world.backups, made.label))
    assert world.rows(side) == [1, 2], "the one that was there is left alone"
    await side.discard()


async def test_a_quiet_moment_needs_a_marker(world: World) -> None:
    diary = Diary(world)
    made = await world.backups.backup(BackupKind.FULL)
    await a_second(world)
    diary.write(3)
    world.sql("SELECT pg_switch_wal()")
    await world.backups.check()
    quiet = world.now()
    with pytest.raises(InvalidRequest, match="timeline 1") as refused:
        await world.backups.source(quiet)
    assert "target_time" in refused.value.fields
    side = world.side()
    with pytest.raises(InvalidRequest, match="the archive ends before it") as refused:
        await side.recover(BackupSource(world.backups, made.label, to=quiet))
    assert "target_time" in refused.value.fields
    assert_nothing_left(world, side)
    marked = await mark(world.backups)
    side = await world.restored(quiet)
    assert world.rows(side) == [1, 2, 3]
    await side.discard()
    side = await world.restored(marked)
    assert world.rows(side) == [1, 2, 3]
    await side.discard()


@pytest.mark.slow
async def test_a_moment_before_the_backups_end_is_refused(world: World) -> None:
    before = world.now()
    world.write(1)
    made = await world.backups.backup(BackupKind.FULL)
    await a_second(world)
    await mark(world.backups)
    side = world.side()
    for moment in (before, before - timedelta(hours=1), made.stop):
        with pytest.raises(InvalidRequest, match="can't be reached") as refused:
            await side.recover(BackupSource(world.backups, made.label, to=moment))
        assert "target_time" in refused.value.fields
        with pytest.raises(InvalidRequest, match="timeline 1"):
            await world.backups.source(moment)
        assert_nothing_left(world, side)


def assert_nothing_left(world: World, side: SideCluster) -> None:
    """No file, no process."""
    assert not side.folder.exists()
    words = str(side.folder).encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert words not in entry.read_bytes()
        except OSError:
            continue


@pytest.mark.slow
async def test_timelines_that_were_left_stay_reachable(world: World) -> None:
    diary = Diary(world)
    await world.backups.backup(BackupKind.FULL)
    await a_second(world)
    diary.write(3)
    t1 = world.now()
    diary.write(3)
    t2 = world.now()
    await mark(world.backups)
    side = await world.restored(t1, keep_wal=True)
    assert world.rows(side) == [1, 2, 3]
    await switch(world, side)

    world.sql("INSERT INTO log VALUES (100)")
    t3 = world.now()
    await mark(world.backups)
    assert await world.backups.archive.timelines(await world.backups.info()) == {2}
    old, new = await world.backups.recovery_windows()
    assert (old.timeline, new.timeline) == (1, 2)
    assert old.last >= t2 and new.last >= t3 > old.last

    async def look(moment: datetime, timeline: int | None) -> list[int]:
        side = await world.restored(moment, timeline)
        rows = world.rows(side)
        await side.discard()
        return rows

    assert await look(t2, 1) == [1, 2, 3, 4, 5, 6], "what the switch left behind"
    assert await look(t2, None) == [1, 2, 3], "the new timeline knows none of it"
    assert await look(t1, 1) == await look(t1, 2) == [1, 2, 3]
    assert await look(t3, None) == [1, 2, 3, 100]

    made = await world.backups.backup(BackupKind.INCREMENTAL)
    assert made.timeline == 2
    for timeline in (1, 7):
        with pytest.raises(InvalidRequest, match=f"not lead to timeline {timeline}"):
            moment = made.earliest
            await world.side().recover(
                BackupSource(world.backups, made.label, to=moment, timeline=timeline)
            )
    again = world.side("again")
    source, _ = await world.backups.source(t2, 1)
    proof = await again.recover(
        BackupSource(world.backups, source.label, to=t2, timeline=1), keep_wal=True
    )
    assert proof.timeline == 3, "a number that no timeline has"
    await switch(world, again)
    assert world.sql("SELECT n FROM log ORDER BY n") == [1, 2, 3, 4, 5, 6]
    await mark(world.backups)
    assert [each.timeline for each in await world.backups.recovery_windows()] == [1, 2, 3]
    assert await look(t3, 2) == [1, 2, 3, 100]


async def switch(world: World, side: SideCluster) -> None:
    """Let a restored cluster take its origin's place."""
    await side.hand_over()
    world.cluster.stop()
    data = world.cluster.place.data
    data.rename(data.with_name(f"before-{side.folder.name}"))
    side.place.data.rename(data)
    await side.discard()
    world.start()


@pytest.mark.slow
async def test_only_named_databases_are_restored(world: World) -> None:
    world.sql("CREATE DATABASE mine")
    world.sql("CREATE DATABASE yours")
    for name in ("mine", "yours"):
        world.cluster.sql(f"CREATE TABLE t AS SELECT '{name}' AS x", name)
    made = await world.backups.backup(BackupKind.FULL)
    assert await world.backups.databases(made.label) == ["mine", "postgres", "yours"]
    side = world.side()
    with pytest.raises(NotFound, match="theirs"):
        await side.recover(BackupSource(world.backups, made.label, databases=["theirs"]))
    proof = await side.recover(BackupSource(world.backups, made.label, databases=["mine"]))
    assert proof.databases == ("mine", "postgres", "template1")
    assert world.cluster.sql("SELECT x FROM t", "mine", side.place) == ["mine"]
    with pytest.raises(psycopg.OperationalError):
        world.cluster.sql("SELECT x FROM t", "yours", side.place)
    await side.discard()


async def test_a_side_cluster_serves_its_users(world: World) -> None:
    world.sql("CREATE ROLE carol LOGIN PASSWORD 'hers'")
    world.sql("GRANT SELECT ON log TO carol")
    world.write(1)
    made = await world.backups.backup(BackupKind.FULL)
    from tests.engines.scratch import free_port

    folder = world.cluster.folder / "side"
    side = SideCluster(world.cluster.place, folder, folder / "run", free_port())
    await side.recover(BackupSource(world.backups, made.label))
    await side.serve()
    address = f"postgresql://carol:hers@127.0.0.1:{side.place.port}/postgres"
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT n FROM log").fetchall() == [(1,)]
    before = (await world.backups.info()).archive
    world.cluster.sql("SELECT pg_switch_wal()", place=side.place)
    await asyncio.sleep(0.5)
    assert (await world.backups.info()).archive == before, "it never archives"
    await side.stop()
    await side.discard()
    assert_nothing_left(world, side)


async def test_a_database_that_can_not_be_read_is_no_restore(world: World) -> None:
    world.sql("CREATE DATABASE broken")
    made = await world.backups.backup(BackupKind.FULL)
    side = world.side()
    restore = world.backups.restore

    async def damaged(target: Path, label: str, **how: object) -> None:
        await restore(target, label, **how)  # type: ignore[arg-type]
        [oid] = world.sql("SELECT oid FROM pg_database WHERE datname = 'broken'")
        [node] = world.cluster.sql("SELECT pg_relation_filenode('pg_proc')", "broken")
        file = target / f"base/{oid}/{node}"
        with file.open("r+b") as opened:
            opened.seek(3 * 8192 + 4000)
            opened.write(b"\xff" * 64)

    world.backups.restore = damaged  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="'broken' can't be read"):
        await side.recover(BackupSource(world.backups, made.label))
    assert_nothing_left(world, side)


async def test_a_recovery_that_is_called_off_leaves_nothing(world: World) -> None:
    made = await world.backups.backup(BackupKind.FULL)
    side = world.side()
    task = asyncio.create_task(side.recover(BackupSource(world.backups, made.label)))
    while not (side.place.data / "postmaster.pid").exists():
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_left(world, side)
