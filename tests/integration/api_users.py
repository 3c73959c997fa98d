"""People who use a real server: an administrator, alice and bob; and the engine beneath them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until

UID, GID = 5431, 5432
Json = dict[str, Any]


class User:
    """Somebody with an API key; everything is asked of them in the document's own words."""

    def __init__(self, server: JupyterServer, key: str) -> None:
        self.key = key
        self.server = server
        self.http = httpx.Client(
            base_url=server.api, headers={"X-API-Key": key}, timeout=60, trust_env=False
        )

    def __call__(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        """Send a request and return its data, or its error's message and fields."""
        reply = self.http.request(method, path, **options)
        body = reply.json()
        assert reply.status_code == expect, f"{method} {path}: {reply.status_code} {body}"
        assert body["code"] == expect
        if expect != 200:
            assert isinstance(body["errors"], list)
            return body
        assert body["message"] == "success"
        return body["data"]

    def run(self, name: str, command: str = "sleep 1000", **body: Any) -> Json:
        """Make a container."""
        given = {"name": name, "image": "busybox", "command": command, **body}
        made: Json = self("POST", "/containers", json=given)
        return made


def join(server: JupyterServer, name: str) -> User:
    """Make an ordinary user, unless there is one, and be them."""
    done = httpx.post(
        f"{server.api}/users",
        headers={"X-API-Key": server.key()},
        json={"username": name, "password": "secret-of-the-tests"},
        trust_env=False,
    )
    assert done.status_code in (200, 201, 409), done.text
    return User(server, server.user_key(name))


@pytest.fixture
def owner_of() -> Iterator[Callable[[JupyterServer], User]]:
    """Be who owns a server of the test's own."""
    with ExitStack() as stack:

        def be(server: JupyterServer) -> User:
            user = User(server, server.key())
            stack.callback(user.http.close)
            return user

        yield be


@pytest.fixture
def join_as() -> Iterator[Callable[[JupyterServer, str], User]]:
    """Be ordinary users of a server of the test's own."""
    with ExitStack() as stack:

        def be(server: JupyterServer, name: str) -> User:
            user = join(server, name)
            stack.callback(user.http.close)
            return user

        yield be


@pytest.fixture(scope="module")
def users(running_server: JupyterServer) -> Iterator[dict[str, User]]:
    """The administrator, alice and bob."""
    found = {"admin": User(running_server, running_server.key())}
    for name in ("alice", "bob"):
        found[name] = join(running_server, name)
    yield found
    for user in found.values():
        user.http.close()


@pytest.fixture
def admin(users: dict[str, User], docker_engine: Dockerd) -> Iterator[User]:
    """Who owns the server; the engine is empty before and after."""
    docker_engine.clean()
    wait_until(lambda: users["admin"]("GET", "/containers")["total"] == 0, "an empty list")
    yield users["admin"]
    docker_engine.clean()


@pytest.fixture
def alice(users: dict[str, User], admin: User) -> User:
    return users["alice"]


@pytest.fixture
def bob(users: dict[str, User], admin: User) -> User:
    return users["bob"]


@pytest.fixture
def folder(running_server: JupyterServer) -> Path:
    """Alice's own folder, which is hers on the host, too."""
    path = running_server.folder / "alice" / "site"
    path.mkdir(parents=True, exist_ok=True)
    for each in (path.parent, path):
        os.chown(each, UID, GID)
    # The scratch folders above must be passable for who is not root.
    for each in (running_server.folder, running_server.folder.parent):
        each.chmod(0o755)
    return path


def inspect(engine: Dockerd, id_: str) -> Json:
    found: Json = json.loads(engine.docker("inspect", id_))[0]
    return found


def left(engine: Dockerd) -> str:
    return engine.docker("ps", "--all", "--quiet")
