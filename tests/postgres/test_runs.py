"""Which processes are taken for runs of pgBackRest."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_ext.postgres.pgbackrest_runs import runs

from ..engines.scratch import wait_until


@pytest.mark.skipif(os.geteuid() != 0, reason="runs a program as another user, which needs root")
def test_what_another_user_of_the_machine_runs_is_none(tmp_path: Path) -> None:
    configuration = tmp_path / "pgbackrest.conf"
    configuration.touch()
    words = ["--pg1-path=/x", f"--config={configuration}"]
    # Not this one's Python, which others may not enter.
    program = ["/bin/sh", "-c", "echo; read end", *words]
    with ExitStack() as ended:
        started = []
        pipe = subprocess.PIPE
        for user in (0, 65534):
            process = subprocess.Popen(program, user=user, cwd="/", stdin=pipe, stdout=pipe)
            ended.enter_context(process)
            ended.callback(process.kill)
            started.append(process)
            assert process.stdout is not None
            process.stdout.readline()

        assert runs(configuration, "--pg1-path=/x") == [started[0].pid]

        started[0].kill()
        wait_until(lambda: not runs(configuration, "--pg1-path=/x"), "its end", 10)
