"""A team's JupyterHub: the desk is its service, every user's server forwards to it.

The configuration is the one of docs/operators.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from ..engines.hub import ADMIN, GROUP, MEMBER, SERVICE_TOKEN, Hub, jupyterhub
from ..engines.hub_browser import Browser
from ..engines.unix_users import UnixUser
from ..notebook.test_kernel import _execute as execute

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]

DESK = "services/desk/"
CONTAINERS = "api/v1/containers"
SERVICE = "access:services!service=desk"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with jupyterhub() as running:
        yield running


@pytest.fixture(scope="module")
def people(hub: Hub) -> Iterator[dict[str, Browser]]:
    """Alice and Bob, each with a server."""
    with ExitStack() as stack:
        found = {}
        for role, user in (("alice", hub.alice), ("bob", hub.bob)):
            found[role] = stack.enter_context(closing(Browser(hub, user.name)))
            found[role].start_server()
        for person in found.values():
            person.visit_server()
        yield found


@pytest.fixture(scope="module")
def alice(people: dict[str, Browser]) -> Browser:
    return people["alice"]


@pytest.fixture(scope="module")
def bob(people: dict[str, Browser]) -> Browser:
    return people["bob"]


@pytest.fixture(scope="module")
def boxes(alice: Browser, bob: Browser) -> dict[str, str]:
    """A container of each, made through their own server; the ids by name."""
    made = {}
    for person, name in ((alice, "hers"), (bob, "his")):
        body = {"name": name, "image": "busybox", "command": "sleep 1000"}
        made[name] = person.fetch("POST", CONTAINERS, json=body)["data"]["id"]
    return made


def names(listed: Any) -> set[str]:
    return {item["name"] for item in listed["data"]["items"]}


def by_token(hub: Hub, token: str, path: str = CONTAINERS) -> httpx.Response:
    """Ask the desk itself, through the hub's proxy."""
    headers = {"Authorization": f"token {token}"}
    return httpx.get(hub.url + DESK + path, headers=headers, trust_env=False, timeout=30)


# -- whose is what ---------------------------------------------------------------------------------


def test_each_sees_and_touches_only_their_own(
    alice: Browser, bob: Browser, boxes: dict[str, str]
) -> None:
    assert names(alice.fetch("GET", CONTAINERS)) == {"hers"}
    assert names(bob.fetch("GET", CONTAINERS)) == {"his"}
    assert alice.fetch("GET", f"{CONTAINERS}/hers")["data"]["owner"] == alice.name
    for ref in ("hers", boxes["hers"], boxes["hers"][:12]):
        for method, path in (
            ("GET", ""),
            ("DELETE", "?force=true"),
            ("POST", "/stop"),
            ("GET", "/logs"),
        ):
            bob.fetch(method, f"{CONTAINERS}/{ref}{path}", 404)
    assert alice.fetch("GET", f"{CONTAINERS}/hers")["data"]["status"] == "running"


def test_one_can_not_use_the_others_server(hub: Hub, alice: Browser, bob: Browser) -> None:
    path = f"{hub.url}user/{alice.name}/{CONTAINERS}"
    token = hub.token(bob.name)["token"]
    refused = httpx.get(path, headers={"Authorization": f"token {token}"}, trust_env=False)
    assert refused.status_code in (401, 403)


def test_the_hubs_administrator_sees_all(hub: Hub, boxes: dict[str, str]) -> None:
    token = hub.token(ADMIN)["token"]
    assert names(by_token(hub, token).json()) == {"hers", "his"}
    roles = {u["username"]: u["role"] for u in by_token(hub, token, "api/v1/users").json()["users"]}
    assert roles[ADMIN] == "admin"
    assert roles[hub.alice.name] == roles[hub.bob.name] == "user"


def test_events_come_through_the_users_server(alice: Browser, boxes: dict[str, str]) -> None:
    where = f"{str(alice.base_url).replace('http', 'ws', 1)}user/{alice.name}/api/v1/ws"
    headers = {"Cookie": alice.cookie(f"user/{alice.name}/api/v1/ws")}
    with connect(where, additional_headers=headers, proxy=None) as opened:
        opened.send(json.dumps({"type": "auth", "id": 1}))
        assert json.loads(opened.recv(timeout=10))["data"]["user"]["username"] == alice.name


# -- credentials -----------------------------------------------------------------------------------


def test_only_users_tokens_that_open_the_desk_count(hub: Hub) -> None:
    assert by_token(hub, hub.token(MEMBER)["token"]).status_code == 200
    assert by_token(hub, hub.token(MEMBER, SERVICE)["token"]).status_code == 200
    narrow = by_token(hub, hub.token(MEMBER, "read:users!user")["token"])
    assert narrow.status_code == 403
    assert SERVICE in narrow.json()["message"]
    service = by_token(hub, SERVICE_TOKEN)
    assert service.status_code == 403
    assert "Only users' tokens" in service.json()["message"]
    assert by_token(hub, "made-up").status_code == 401
    assert httpx.get(hub.url + DESK + CONTAINERS, trust_env=False).status_code == 401


def test_what_the_hub_takes_away_is_gone_within_half_a_minute(hub: Hub) -> None:
    """A token, a group's role and an administrator, all remembered a moment ago."""
    token, admin = hub.token(MEMBER), hub.token(ADMIN)["token"]
    spare = hub.token(MEMBER)["token"]

    def role(name: str) -> str:
        users = by_token(hub, boss, "api/v1/users").json()["users"]
        return next(str(user["role"]) for user in users if user["username"] == name)

    hub.ask("POST", "/users/chief", json={"admin": True})
    boss = hub.token("chief")["token"]
    for each in (token["token"], spare, admin, boss):
        assert by_token(hub, each).status_code == 200
    assert (role(MEMBER), role(ADMIN)) == ("operator", "admin")
    assert by_token(hub, spare, "api/v1/users").status_code == 403

    hub.ask("DELETE", f"/users/{MEMBER}/tokens/{token['id']}")
    hub.ask("DELETE", f"/groups/{GROUP}/users", json={"users": [MEMBER]})
    hub.ask("PATCH", f"/users/{ADMIN}", json={"admin": False})
    time.sleep(31)
    assert by_token(hub, token["token"]).status_code == 401
    assert by_token(hub, spare).status_code == 200
    assert by_token(hub, admin, "api/v1/users").status_code == 403
    assert (role(MEMBER), role(ADMIN)) == ("user", "user")
    hub.ask("PATCH", f"/users/{ADMIN}", json={"admin": True})


def test_a_browser_logs_in_at_the_desk_by_the_hub(
    hub: Hub, alice: Browser, boxes: dict[str, str]
) -> None:
    page = alice.get(DESK)
    assert page.status_code == 200
    assert page.url.path == f"/{DESK}api/v1/docs"
    assert names(alice.fetch_below(DESK, "GET", CONTAINERS)) == {"hers"}
    made = alice.fetch_below(DESK, "POST", "api/v1/api-keys", 201, json={"name": "page"})
    assert made["owner"] == alice.name
    foreign = alice.request(
        "POST", f"{DESK}api/v1/api-keys", json={"name": "x"}, headers={"Sec-Fetch-Mode": "cors"}
    )
    assert foreign.status_code in (401, 403)
    assert alice.post(f"{DESK}api/shutdown").status_code in (403, 404)


def test_clients_keep_their_addresses(hub: Hub) -> None:
    assert "trust_xheaders" not in hub.log


# -- what kernels and terminals reach --------------------------------------------------------------


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


# -- when something is gone ------------------------------------------------------------------------


def test_a_desk_that_is_gone_is_said_so(hub: Hub, alice: Browser) -> None:
    os.kill(hub.desk_process(), 9)
    assert "desk" in alice.fetch("GET", CONTAINERS, 503)["message"]
