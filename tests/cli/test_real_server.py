"""The program against a real server and engine, as a person in a terminal runs it."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

from ..engines.images import push_layers
from ..engines.jupyter import JupyterServer
from ..engines.registry import Registry

pytestmark = pytest.mark.docker

PIG = (sys.executable, "-m", "jupyter_ext.cli")


def pig(server: JupyterServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return server.run(*PIG, *arguments)


def test_the_main_job(running_server: JupyterServer) -> None:
    server = running_server
    assert "healthy" in server.pig("status") or "degraded" in server.pig("status")
    script = "echo printed; sleep 600"
    said = server.pig(
        "container", "run", "--name", "cli", "-p", "80", "busybox", "sh", "-c", script
    )
    assert said.startswith("cli is running (")
    assert "cli" in server.pig("-q", "container", "list").split()
    assert json.loads(server.pig("container", "show", "cli", "--json"))["status"] == "running"
    assert server.pig("container", "exec", "cli", "echo", "a  b") == "a  b\n"
    assert server.pig("container", "logs", "cli") == "printed\n"
    assert "cli" in server.pig("container", "stats", "cli")
    assert server.pig("container", "stop", "cli") == "cli is exited.\n"
    assert server.pig("container", "start", "cli") == "cli is running.\n"
    assert server.pig("container", "rm", "cli") == "Deleted cli.\n"
    gone = pig(server, "container", "show", "cli")
    assert gone.returncode == 3
    assert "`pig container list`" in gone.stderr


def test_keys_people_and_exit_codes(running_server: JupyterServer) -> None:
    server = running_server
    made = json.loads(server.pig("api", "key", "create", "--name", "cli-test", "--json"))
    assert set(made) == {"id", "name", "key"}
    listed = server.pig("api", "key", "list")
    assert made["id"] in listed
    assert made["key"] not in listed
    create = subprocess.run(
        [*PIG, "user", "create", "cli-eve", "--password-stdin"],
        env=server.environ,
        input="correct horse\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert create.returncode == 0, create.stderr
    assert "cli-eve" in server.pig("user", "list")
    assert pig(server, "user", "create", "cli-eve").returncode == 2
    assert server.pig("user", "delete", "cli-eve", "--yes") == "Deleted cli-eve.\n"
    server.pig("api", "key", "revoke", made["id"])
    refused = pig(server, "--api-key", made["key"], "--url", server.url, "container", "list")
    assert refused.returncode == 4
    assert made["key"] not in refused.stdout + refused.stderr


def test_a_pull_draws_bars_on_a_terminal(running_server: JupyterServer, registry: Registry) -> None:
    image = push_layers(registry.address, "cli/pulled", sizes=(8 << 20,) * 3)
    main, side = pty.openpty()
    started = subprocess.Popen(
        [*PIG, "image", "pull", image],
        env={**running_server.environ, "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=side,
        stdin=side,
    )
    os.close(side)
    drawn = _drain(main, started)
    assert started.stdout is not None
    assert started.stdout.read().decode().startswith(f"Pulled {image}")
    started.stdout.close()
    assert started.wait() == 0
    assert f"Pulling {image}" in drawn
    assert "━" in drawn
    assert "━" not in pig(running_server, "image", "pull", image).stderr


def test_a_terminal_in_a_container(running_server: JupyterServer) -> None:
    server = running_server
    server.pig("container", "run", "--name", "tty", "busybox", "sleep", "600")
    main, side = pty.openpty()
    shell = subprocess.Popen(
        [*PIG, "container", "exec", "-it", "tty", "sh"],
        env={**server.environ, "TERM": "xterm"},
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    _until(main, "# ")
    os.write(main, b"echo $((6*7)); tty\n")
    assert "/dev/pts" in _until(main, "/dev/pts")
    os.write(main, b"exit 9\n")
    _drain(main, shell)
    assert shell.wait(30) == 9
    server.pig("container", "rm", "-f", "tty")


def test_ctrl_c_ends_followed_logs(running_server: JupyterServer) -> None:
    server = running_server
    loop = "while true; do echo tick; sleep 0.2; done"
    server.pig("container", "run", "--name", "ticks", "busybox", "sh", "-c", loop)
    following = subprocess.Popen(
        [*PIG, "container", "logs", "-f", "ticks"],
        env=server.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert [following.stdout.readline() for _ in range(3)] == ["tick\n"] * 3
    following.send_signal(2)
    _, said = following.communicate(timeout=30)
    assert following.returncode == 130
    assert said == "Error: Interrupted.\n"
    server.pig("container", "rm", "-f", "ticks")


def _drain(file: int, process: subprocess.Popen[bytes], seconds: float = 60) -> str:
    """Return what is written to a terminal until its program has ended."""
    until, text = time.monotonic() + seconds, b""
    while time.monotonic() < until:
        ready, _, _ = select.select([file], [], [], 0.2)
        if ready:
            try:
                text += os.read(file, 65536)
            except OSError:  # the other side is closed
                break
        elif process.poll() is not None:
            break
    os.close(file)
    return text.decode(errors="replace")


def _until(file: int, wanted: str, seconds: float = 30) -> str:
    until, text = time.monotonic() + seconds, b""
    while wanted.encode() not in text:
        ready, _, _ = select.select([file], [], [], max(0, until - time.monotonic()))
        assert ready, f"{wanted!r} did not come, only {text!r}"
        text += os.read(file, 65536)
    return text.decode(errors="replace")
