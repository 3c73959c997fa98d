"""A pgBackRest that hangs or is killed keeps nobody waiting, and its error tells what to do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres import pgbackrest, processes
from jupyter_ext.postgres.backup_info import BackupKind
from jupyter_ext.postgres.phases import BackupPhase
from jupyter_ext.postgres.processes import ProgramFailed, SystemUser, run
from tests.engines.desk_cluster import processes_of

from .world import World

pytestmark = pytest.mark.postgres

STALL = 3.0


def told(world: World, sign: int, *, helpers: bool) -> None:
    """Send a signal to pgBackRest, or to those that work for it."""
    for pid in processes_of(world.cluster.folder / "pgbackrest"):
        with suppress(psutil.Error):
            helps = any(":local" in word for word in psutil.Process(pid).cmdline())
            if helps is helpers:
                os.kill(pid, sign)


@pytest.mark.parametrize("helpers", [False, True])
async def test_a_restore_that_hangs_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, *, helpers: bool
) -> None:
    made = await world.backups.backup(BackupKind.FULL)
    target = world.cluster.folder / "restored"
    monkeypatch.setattr(pgbackrest, "STALL_SECONDS", STALL)
    stop = partial(told, world, signal.SIGSTOP, helpers=helpers)
    begun = time.monotonic()

    with pytest.raises(Unavailable, match="read and wrote nothing") as ended:
        await world.backups.restore(target, made.label, progress=lambda _: stop())

    assert STALL <= time.monotonic() - begun < STALL + 20
    assert "bucket" in ended.value.cure
    assert not target.exists() and processes_of(world.cluster.folder / "pgbackrest") == []
    monkeypatch.undo()
    await world.backups.restore(target, made.label)


async def test_a_backup_that_hangs_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.backups.backup(BackupKind.FULL)
    monkeypatch.setattr(pgbackrest, "STALL_SECONDS", STALL)

    def stop(phase: str) -> None:
        # Most of it is still to come then, however late that is heard.
        if phase == BackupPhase.COPYING:
            told(world, signal.SIGSTOP, helpers=False)

    with pytest.raises(Unavailable, match="read and wrote nothing"):
        await world.backups.backup(BackupKind.FULL, enter=stop)

    assert processes_of(world.cluster.folder / "pgbackrest") == []
    assert len((await world.backups.info()).backups) == 1
    monkeypatch.undo()
    await world.backups.backup(BackupKind.FULL)
    assert len((await world.backups.info()).backups) == 2


async def test_a_verification_that_hangs_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.backups.backup(BackupKind.FULL)
    monkeypatch.setattr(pgbackrest, "STALL_SECONDS", STALL)
    verifying = asyncio.create_task(world.backups.verify())
    folder = world.cluster.folder / "pgbackrest"
    while not (pids := _verifying(folder)):
        await asyncio.sleep(0.01)
        assert not verifying.done()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    with pytest.raises(Unavailable, match="read and wrote nothing"):
        await asyncio.wait_for(verifying, STALL + 20)

    assert processes_of(folder) == []
    monkeypatch.undo()
    assert (await world.backups.verify()).good


def _verifying(folder: Path) -> Sequence[int]:
    found = []
    for pid in processes_of(folder):
        with suppress(psutil.Error):
            if "verify" in psutil.Process(pid).cmdline():
                found.append(pid)
    return found


async def test_a_restore_that_is_killed_says_how_and_what_to_do(world: World) -> None:
    made = await world.backups.backup(BackupKind.FULL)
    target = world.cluster.folder / "restored"
    stop = partial(told, world, signal.SIGKILL, helpers=False)

    with pytest.raises(Unavailable, match=r"signal 9 \(SIGKILL\)") as ended:
        await world.backups.restore(target, made.label, progress=lambda _: stop())

    assert "memory" in ended.value.cure and "again" in ended.value.cure
    assert not target.exists()


async def test_what_ends_without_a_word_is_said_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of pgBackRest, which has none such, a program that only fails."""
    # Where the cluster's user gets: that of the tests' own folder may not.
    folder = world.cluster.folder / "programs"
    folder.mkdir(mode=0o755)
    silent = folder / "pgbackrest"
    silent.write_text("#!/bin/sh\nexit 7\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    backups = pgbackrest.PgBackRest(
        world.cluster.place, world.backups.repository, world.cluster.folder / "other"
    )

    with pytest.raises(Unavailable, match="ended with status 7") as ended:
        await backups.info()

    assert str(world.cluster.folder / "other" / "log") in ended.value.cure


async def test_what_works_on_without_a_word_is_left_alone() -> None:
    """It reads and writes for longer than the time for which it may come to nothing."""
    words = "for i in 1 2 3 4 5 6 7 8; do echo x > /dev/null; sleep 0.25; done"
    user = SystemUser.own()
    assert await run(["sh", "-c", words], user=user, stall=1.0) == ""
    with pytest.raises(TimeoutError):
        await run(["sleep", "30"], user=user, stall=0.5)
    with pytest.raises(ProgramFailed, match="status 3"):
        await run(["sh", "-c", "exit 3"], user=user, stall=1.0)


WORKING = """
import asyncio
from jupyter_ext.postgres.processes import SystemUser, run

user = SystemUser("nobody", 65534, 65534)
words = "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done"
asyncio.run(run(["sh", "-c", words], user=user, stall=1.5))
try:
    asyncio.run(run(["sleep", "30"], user=user, stall=0.5))
except TimeoutError:
    print("ended")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs programs as another user")
def test_what_works_as_another_user_is_left_alone_in_a_container() -> None:
    """Where root may do less: it is not told what others read and write."""
    bounded = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--"]
    done = subprocess.run(
        [*bounded, sys.executable, "-c", WORKING], capture_output=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == (b"ended\n", 0), done.stderr.decode()


async def test_a_stranger_with_the_number_of_one_that_ended_is_left_alone() -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    try:
        await processes._end_group(stranger.pid, led=False)
        await asyncio.sleep(0.1)
        assert stranger.returncode is None
    finally:
        await processes._end_group(stranger.pid, led=True)
        assert await stranger.wait() == -signal.SIGKILL


async def test_what_a_program_left_in_its_group_ends_with_it() -> None:
    """Also where the program itself has ended already, and only its helper is waited for."""
    words = "sleep 60 & echo $!; exit 0"
    told: list[int] = []
    with pytest.raises(TimeoutError):
        await run(
            ["sh", "-c", words],
            user=SystemUser.own(),
            deadline=1.0,
            on_line=lambda line: told.append(int(line)),
        )
    [helper] = told
    assert not psutil.pid_exists(helper) or psutil.Process(helper).status() == "zombie"
