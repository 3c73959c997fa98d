"""Restored clusters whose removal failed: they go later, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_ext.store.types import new_id

from ..engines import clusters, jupyter
from ..engines.scratch import wait_until
from .conftest import Desk, settings
from .test_backups import taken
from .test_restores import nothing_is_left, restored

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(os.geteuid() != 0, reason="leaves what root alone removes"),
]


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A server that looks often."""
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder, size_interval=5)) as server,
        server.client() as admin,
    ):
        yield Desk(server, admin, folder)
        print(server.log[-6000:])


@pytest.fixture
def folder(desk: Desk) -> Path:
    """Where clusters lie."""
    taken(desk.admin)
    [data] = desk.folder.glob("*/data")
    return data.parent


def user_of(folder: Path) -> tuple[int, int]:
    found = (folder / "data").stat()
    return found.st_uid, found.st_gid


def test_one_that_could_not_be_removed_goes_when_it_can(desk: Desk, folder: Path) -> None:
    backup = desk.admin.get("backups").json()["backups"][0]
    stop, stuck = threading.Event(), list[Path]()

    def stick() -> None:
        """Have root's own files in a folder of what is restored."""
        while not stuck and not stop.is_set():
            for data in folder.glob("side-*/data/base"):
                (data / "roots").mkdir(mode=0o700)
                (data / "roots" / "file").touch()
                stuck.append(data / "roots")
            time.sleep(0.001)

    sticking = threading.Thread(target=stick)
    sticking.start()
    try:
        desk.admin.post(f"backups/{backup['id']}/verify", timeout=120)
    finally:
        stop.set()
        sticking.join()
    [left] = stuck
    assert left.is_dir()
    wait_until(lambda: "stays" in desk.server.log, "a try", 30)
    shutil.rmtree(left)

    wait_until(lambda: not list(folder.glob("side-*")), "its removal", 30)

    nothing_is_left(desk)
    assert desk.admin.post(f"backups/{backup['id']}/verify", timeout=120).status_code == 200


@pytest.mark.slow
def test_what_is_wanted_or_in_use_or_not_ours_stays(desk: Desk, folder: Path) -> None:
    backup = desk.admin.get("backups").json()["backups"][0]
    side = restored(desk.admin, backup, mode="side", databases=[])["side"]
    uid, gid = user_of(folder)
    used, others, link, named, spaces = (
        folder / (new_id("side") if number != 3 else "side-mine") for number in range(5)
    )
    for each, owner in ((used, uid), (others, 5432), (named, uid), (spaces, uid)):
        (each / ("data" if each is not spaces else "data-tablespaces")).mkdir(parents=True)
        os.chown(each, owner, gid)
    (others / "elsewhere").mkdir()
    link.symlink_to(others)
    words = ["/bin/sh", "-c", "echo; read end", f"--pg1-path={used}/data"]
    with ExitStack() as ended:
        pipe = subprocess.PIPE
        process = subprocess.Popen(words, user=uid, group=gid, cwd="/", stdin=pipe, stdout=pipe)
        ended.enter_context(process)
        ended.callback(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: f"{used} is left" in desk.server.log, "a look", 30)
        time.sleep(6)

        assert all(each.exists() for each in (used, others, link, named, spaces))
        assert desk.admin.get("restores").json()["restores"][0]["running"]

    wait_until(lambda: not used.exists(), "its removal", 30)
    assert all(each.exists() for each in (others, link, named, spaces))
    for each in (others, named, spaces):
        shutil.rmtree(each)
    link.unlink()
    assert desk.admin.delete(f"restores/{side['id']}").status_code == 200
    nothing_is_left(desk)
