"""Which processes are taken for runs of restic."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_ext.snapshots.restic import end_runs, runs

from .conftest import UID

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="runs a program as another user, which needs root")
def test_who_copies_a_mark_holds_nothing_up(tmp_path: Path) -> None:
    place = tmp_path / "repository"
    place.mkdir()
    os.chown(place, UID, UID)
    program = ["/bin/sh", "-c", "echo; read end", "restic", "--tag=snapshot-1"]
    with ExitStack() as ended:
        started = []
        pipe = subprocess.PIPE
        for user in (0, UID, NOBODY):
            process = subprocess.Popen(
                program, user=user, cwd="/", stdin=pipe, stdout=pipe, start_new_session=True
            )
            ended.enter_context(process)
            ended.callback(process.kill)
            started.append(process)
            assert process.stdout is not None
            process.stdout.readline()
        ours = sorted(process.pid for process in started[:2])

        assert sorted(runs("snapshot-1", place)) == ours

        asyncio.run(end_runs("snapshot-1", place))
        assert [process.poll() for process in started] == [-9, -9, None]
        assert runs("snapshot-1", tmp_path / "gone") == []
