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


def test_keys_and_exit_codes(running_server: JupyterServer) -> None:
    server = running_server
    assert json.loads(server.pig("whoami", "--json"))["role"] == "admin"
    scope = ("--scope", "container:read", "--scope", "image:*")
    key = ("api", "key", "create", "--name", "cli-test", "--expires", "12h", *scope)
    made = json.loads(server.pig(*key, "--json"))
    assert set(made) == {"id", "name", "key"}
    listed = server.pig("api", "key", "list")
    assert made["id"] in listed
    assert "container:read, image:*" in listed
    assert made["key"] not in listed
    as_key = ("--api-key", made["key"], "--url", server.url)
    assert pig(server, *as_key, "container", "list").returncode == 0
    narrow = pig(server, *as_key, "user", "list")
    assert narrow.returncode == 4
    assert pig(server, "api", "key", "create", "--name", "x", "--scope", "no:such").returncode == 2
    assert pig(server, "api", "key", "create").returncode == 2
    server.pig("api", "key", "revoke", made["id"])
    refused = pig(server, *as_key, "container", "list")
    assert refused.returncode == 4
    assert made["key"] not in refused.stdout + refused.stderr
    assert pig(server, "api", "key", "revoke", made["id"]).returncode == 3


def test_people(running_server: JupyterServer) -> None:
    server = running_server
    assert create_user(server, "cli-eve", "--role", "viewer").returncode == 0
    assert "cli-eve" in server.pig("user", "list", "--role", "viewer")
    shown = json.loads(server.pig("user", "show", "cli-eve", "--json"))
    assert (shown["role"], shown["enabled"]) == ("viewer", True)
    assert server.pig("user", "role", "cli-eve", "user") == "cli-eve has the role user.\n"
    eves = ("--api-key", server.user_key("cli-eve"), "--url", server.url)
    assert "cli-eve" in server.pig("api", "key", "list", "--user", "cli-eve", "--json")

    assert server.pig("user", "disable", "cli-eve") == "cli-eve is disabled.\n"
    assert pig(server, *eves, "container", "list").returncode == 4
    assert "cli-eve" in server.pig("-q", "user", "list", "--disabled").split()
    assert server.pig("user", "enable", "cli-eve") == "cli-eve is enabled.\n"
    assert json.loads(server.pig(*eves, "whoami", "--json"))["username"] == "cli-eve"
    passwd = with_input(server, "battery staple horse\n", "user", "passwd", "cli-eve")
    assert passwd.stdout == "cli-eve has a new password.\n"

    # What an administrator may, others may not; what is not there is 3, what is taken 1.
    assert pig(server, *eves, "user", "list").returncode == 4
    assert pig(server, *eves, "user", "show", "admin").returncode == 3
    assert pig(server, "user", "show", "cli-nobody").returncode == 3
    assert pig(server, "user", "role", "cli-nobody", "user").returncode == 3
    assert pig(server, "user", "role", "cli-eve", "no-such-role").returncode == 2
    assert create_user(server, "cli-eve").returncode == 1
    assert create_user(server, "No Name").returncode == 2
    assert pig(server, "user", "create", "cli-adam").returncode == 2
    assert pig(server, "user", "disable", "admin").returncode == 1


def test_what_a_deleted_user_leaves(running_server: JupyterServer) -> None:
    server = running_server
    for name in ("cli-left", "cli-heir"):
        assert create_user(server, name).returncode == 0
    lefts = ("--api-key", server.user_key("cli-left"), "--url", server.url)
    heirs = ("--api-key", server.user_key("cli-heir"), "--url", server.url)
    server.pig(*lefts, "container", "run", "--name", "legacy", "busybox", "sleep", "600")

    refused = pig(server, "user", "delete", "cli-left", "--yes")
    assert refused.returncode == 1
    assert "container legacy" in refused.stderr
    assert pig(server, "user", "delete", "cli-left").returncode == 2
    both = ("--yes", "--purge", "--transfer-to", "cli-heir")
    assert pig(server, "user", "delete", "cli-left", *both).returncode == 2
    nobody = ("--yes", "--transfer-to", "cli-nobody")
    assert pig(server, "user", "delete", "cli-left", *nobody).returncode == 3

    given = server.pig("user", "delete", "cli-left", "--yes", "--transfer-to", "cli-heir")
    assert given == "Deleted cli-left.\n"
    assert server.pig(*heirs, "-q", "container", "list") == "legacy\n"
    server.pig("user", "delete", "cli-heir", "--yes", "--purge")
    assert "legacy" not in server.pig("-q", "container", "list").split()
    assert pig(server, "user", "delete", "cli-heir", "--yes").returncode == 3


def test_roles_and_invitations(running_server: JupyterServer) -> None:
    server = running_server
    assert "container:restart" in server.pig("role", "permissions")
    night = ("cli-night", "-p", "container:read", "-p", "container:restart")
    assert server.pig("role", "create", *night) == "Made the role cli-night.\n"
    assert "cli-night" in server.pig("-q", "role", "list").split()
    assert pig(server, "role", "create", *night).returncode == 1
    assert pig(server, "role", "create", "cli-bad", "-p", "no:such").returncode == 2
    assert create_user(server, "cli-owl", "--role", "cli-night").returncode == 0
    assert pig(server, "role", "delete", "cli-night").returncode == 1
    server.pig("user", "delete", "cli-owl", "--yes")
    assert server.pig("role", "delete", "cli-night") == "Deleted the role cli-night.\n"
    gone = pig(server, "role", "delete", "cli-night")
    assert gone.returncode == 3
    assert "`pig role list`" in gone.stderr

    made = json.loads(server.pig("invitation", "create", "--role", "viewer", "--json"))
    listed = server.pig("invitation", "list")
    assert made["id"] in listed
    assert made["code"] not in listed
    assert server.pig("invitation", "delete", made["id"]) == f"Took back {made['id']}.\n"
    assert pig(server, "invitation", "delete", made["id"]).returncode == 3


def create_user(
    server: JupyterServer, name: str, *options: str
) -> subprocess.CompletedProcess[str]:
    return with_input(server, "correct horse battery\n", "user", "create", name, *options)


def with_input(
    server: JupyterServer, password: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run ``pig … --password-stdin``."""
    return subprocess.run(
        [*PIG, *arguments, "--password-stdin"],
        env=server.environ,
        input=password,
        capture_output=True,
        text=True,
        check=False,
    )


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
