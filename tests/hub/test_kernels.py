"""What kernels and terminals of a user's server reach, and what they don't."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from ..engines.hub import Hub
from ..engines.hub_browser import Browser
from ..engines.unix_users import UnixUser
from ..notebook.test_kernel import _execute as execute

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def kernel(alice: Browser) -> Iterator[Any]:
    """Run code in a kernel of Alice's."""
    prefix = f"user/{alice.name}/"
    made = alice.fetch("POST", "api/kernels", 201, json={"name": "python3"})["id"]
    where = f"{str(alice.base_url).replace('http', 'ws', 1)}{prefix}api/kernels/{made}/channels"
    headers = {"Cookie": alice.cookie(prefix + "api")}
    with connect(where, additional_headers=headers, proxy=None, max_size=None) as channels:
        yield lambda code: execute(channels, code)
    alice.fetch("DELETE", f"api/kernels/{made}", 204)


def test_the_magic_works_in_a_kernel(kernel: Any, boxes: dict[str, str]) -> None:
    printed = kernel(
        "%load_ext jupyter_ext\nfound = %container list\nprint([c['name'] for c in found])"
    )
    assert "['hers']" in printed


def test_the_python_client_works_in_a_kernel(kernel: Any, boxes: dict[str, str]) -> None:
    code = (
        "import os, stat\n"
        "from jupyter_ext.client import Client\n"
        "print([c.name for c in Client().containers.list()])\n"
        "print(oct(os.stat(os.environ['JUPYTER_EXT_TOKEN_FILE']).st_mode))\n"
        "print([v for v in os.environ.values() if v.startswith('jx_')])"
    )
    assert kernel(code).split("\n")[:3] == ["['hers']", "0o100600", "[]"]


def secrets_of(hub: Hub) -> list[str]:
    state = hub.desk.home / "state"
    found = [str(path) for path in state.iterdir() if path.is_file()]
    assert {path.rpartition("/")[2] for path in found} >= {"store.db", "store.key", "token"}
    return [*found, f"/proc/{hub.desk_process()}/environ"]


PROBE = """
import socket
def tried(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "open"
def reach(path):
    socket.socket(socket.AF_UNIX).connect(path)
"""


def test_a_kernel_reaches_neither_the_engine_nor_the_store(hub: Hub, kernel: Any) -> None:
    assert hub.socket.is_socket()
    sockets = [str(hub.socket), str(hub.engine.socket)]
    kernel(PROBE)
    for path in sockets:
        assert kernel(f"print(tried(lambda: reach({path!r})))").strip() == "PermissionError"
    for path in secrets_of(hub):
        said = kernel(f"print(tried(lambda: open({path!r}, 'rb').read()))").strip()
        assert said == "PermissionError", path
    environ = kernel("import os; print(' '.join(os.environ))")
    assert "DOCKER_HOST" not in environ
    assert "STORE_KEY" not in environ


def test_a_terminal_reaches_neither_the_engine_nor_the_store(hub: Hub, alice: Browser) -> None:
    prefix = f"user/{alice.name}/"
    terminal = alice.fetch("POST", "api/terminals")["name"]
    where = str(alice.base_url).replace("http", "ws", 1)
    headers = {"Cookie": alice.cookie(prefix + "api")}
    python = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    lines = [f"cat {path} >/dev/null; echo read=$?" for path in secrets_of(hub)]
    lines += [f"python3 -c '{python}' {hub.socket} 2>/dev/null; echo connect=$?"]
    lines += [f"id -un; {sys.executable} -m jupyter_ext.cli container list --json; echo end''ed"]
    printed = ""
    address = f"{where}{prefix}terminals/websocket/{terminal}"
    with connect(address, additional_headers=headers, proxy=None) as opened:
        opened.send(json.dumps(["stdin", "\r".join(["stty -echo", *lines, ""])]))
        until = time.monotonic() + 60
        while "ended" not in printed and time.monotonic() < until:
            kind, *words = json.loads(opened.recv(timeout=60))
            printed += words[0] if kind == "stdout" else ""
    assert printed.count("read=1") == len(secrets_of(hub)), printed
    assert "read=0" not in printed
    assert "connect=1" in printed, printed
    assert f"\n{hub.alice.name}\r" in printed
    assert '"hers"' in printed


def test_the_engine_is_there_for_the_desk_alone(hub: Hub) -> None:
    """What the refusals above are worth: the same socket opens for the desk's user."""

    def connects(user: UnixUser) -> bool:
        code = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", code, str(hub.socket)],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    assert connects(hub.desk)
    assert not connects(hub.alice)


def test_users_servers_hold_no_state_of_the_desk(hub: Hub, alice: Browser) -> None:
    for user in (hub.alice, hub.bob):
        found = [path.name for path in user.home.rglob("*") if path.is_file()]
        assert not {"store.db", "store.key", "server.json"} & set(found)
