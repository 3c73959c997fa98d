"""What a server that was killed left running, where no other server comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext.cli.program import run
from jupyter_ext.desk.lock import DeskLock
from jupyter_ext.services.child import PLACE, Child, Record, end, spawn

from ..engines.jupyter import ROOT
from ..engines.scratch import wait_until


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """A program that goes on, as its server had written it down."""
    for name in ("PIG_URL", "JUPYTER_EXT_URL", "PIG_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIG_HOME", str(tmp_path))
    held = spawn(
        ["sleep", "600"],
        folder=tmp_path,
        environment={},
        log=tmp_path / "log",
        port=1,
        secret="x",
    )
    Record(True, held.child).write(tmp_path / PLACE / "vscode.json")
    held.release()
    yield held.child
    assert end(held.child)


def kept(home: Path) -> Record:
    return Record.read(home / PLACE / "vscode.json")


def test_pig_stops_it(left: Child, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stop", "postgres"]) == 1
    assert run(["stop", "*"]) == 1
    assert left.alive()
    assert run(["stop"]) == 0
    assert "Stopped vscode" in capsys.readouterr().out
    assert (left.alive(), kept(tmp_path)) == (False, Record(False))
    assert run(["stop"]) == 1


def test_pig_stops_what_it_left_when_it_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: Child
) -> None:
    held = spawn(
        ["sh", "-c", "sleep 600 & echo $! >grandchild; exec sleep 600"],
        folder=tmp_path,
        environment={},
        log=tmp_path / "log",
        port=1,
        secret="y",
    )
    Record(True, held.child).write(tmp_path / PLACE / "other.json")
    held.release()
    wait_until((tmp_path / "grandchild").exists, "it has started another one", 10)
    os.kill(held.child.pid, signal.SIGKILL)
    assert run(["stop", "other"]) == 0
    assert "Stopped other" in capsys.readouterr().out
    assert held.child.groups() == set()


def test_make_stops_it_until_the_next_server(left: Child, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "scripts" / "cluster.py"), "stop"]
    environment = os.environ | {"JUPYTER_EXT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, check=False, capture_output=True, timeout=60)
    assert (done.returncode, b"vscode" in done.stderr) == (0, True), done.stderr
    assert (left.alive(), kept(tmp_path)) == (False, Record(True))


def test_one_of_a_server_that_runs_is_left_to_it(left: Child, tmp_path: Path) -> None:
    lock = DeskLock(tmp_path)
    assert lock.acquire()
    try:
        assert run(["stop"]) == 1
    finally:
        lock.release()
    assert left.alive()
