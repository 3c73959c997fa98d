"""Every route for every kind of caller: what `access.txt` says, in the dialect of the route.

The expectations are written by hand; the requests are made from the table of routes, so that a
route without expectations, and an expectation without its route, fail.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from jupyter_ext.accounts.tokens import Tokens
from jupyter_ext.endpoints import ROUTES, SOCKETS
from jupyter_ext.store import Store

from ..engines import clusters, images, jupyter
from ..engines.certificates import Certificates
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.network import network
from ..engines.registry import Registry
from .conftest import UNLIMITED
from .test_errors_over_http import dialect_of

CALLERS = ("none", "bad", "expired", "revoked", "narrow", "viewer", "other", "owner", "admin")
PASSWORD = "a secret one"
USERS = {"viewer": ("victor", "viewer"), "other": ("olga", "user"), "owner": ("alice", "user")}
BY_TOKEN = "/api/v1/users"


@dataclass(frozen=True)
class Expected:
    """One line of the file."""

    dialect: str
    method: str
    path: str
    statuses: dict[str, str]

    def __str__(self) -> str:
        return f"{self.dialect} {self.method} {self.path}"


def expectations() -> list[Expected]:
    found = []
    for line in Path(__file__).with_name("access.txt").read_text().splitlines():
        words = line.split()
        if len(words) == 3 + len(CALLERS):
            dialect, method, path, *statuses = words
            found.append(Expected(dialect, method, path, dict(zip(CALLERS, statuses, strict=True))))
        else:
            assert not words or line.startswith("#") or tuple(words) == CALLERS, line
    return found


EXPECTED = expectations()


def test_the_file_and_the_table_name_the_same_routes() -> None:
    table = [(route.dialect.name, route.method, route.path) for route in ROUTES]
    table += [(route.dialect.name, "WS", route.path) for route in SOCKETS]
    listed = [(each.dialect, each.method, each.path) for each in EXPECTED]
    assert sorted(listed) == sorted(table)


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    return buffer.getvalue()


@dataclass
class Stage:
    """A server, people on it, and things of the owner's."""

    server: jupyter.JupyterServer
    registry: str
    far: dict[str, Any]
    """What adds a device."""
    keys: dict[str, str] = field(default_factory=dict)
    expired: str = ""
    container: str = ""
    published: str = ""
    """A container of the owner's that publishes JupyterLab's port."""
    ended: str = ""
    """An operation of the owner's."""
    saved: str = ""
    """A backup that the owner took."""
    private: str = ""
    """An image that the owner saved."""
    kept: str = ""
    """A snapshot of the owner's."""
    numbers: Iterator[int] = field(default_factory=itertools.count)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=60))

    def __post_init__(self) -> None:
        with self.server.client() as admin:
            for name, role in USERS.values():
                body = {"username": name, "password": PASSWORD, "role": role}
                admin.post("users", json=body).raise_for_status()
            self.keys = {caller: self.server.user_key(name) for caller, (name, _) in USERS.items()}
            self.keys["admin"] = self.server.key()
            self.keys["bad"] = "jx_" + "x" * 49
            made = admin.post("api-keys", json={"name": "dead", "owner": "alice"}).json()
            admin.delete(f"api-keys/{made['id']}").raise_for_status()
            self.keys["revoked"] = made["key"]
            narrow = {"name": "narrow", "scopes": ["vm:read"]}
        self.keys["narrow"] = self.call("owner", "POST", "api-keys", narrow)["key"]
        self.expired = asyncio.run(self._expired())
        self.container = self.made()
        self.published = self.made(ports={"8888/tcp": None})
        saving = self.call(
            "owner", "POST", f"containers/{self.container}/commit", {"name": self.name()}
        )
        self.private = str(saving["data"]["iid"])
        self.call("owner", "POST", "databases", {"name": "kept"})

    async def _expired(self) -> str:
        store = Store(f"sqlite:///{self.server.home / 'store.db'}")
        await store.open()
        try:
            tokens = Tokens(store)
            await tokens.ready()
            return tokens.make("access", "user-1", "login-0", 1, -60)
        finally:
            await store.close()

    def call(self, caller: str, method: str, path: str, body: Any = None) -> Any:
        """Return what a route answers, which must be a success."""
        headers = {"X-API-Key": self.keys[caller]}
        url = f"{self.server.api}/{path}"
        return self.http.request(method, url, json=body, headers=headers).raise_for_status().json()

    def name(self) -> str:
        return f"thing-{next(self.numbers)}"

    def made(self, **more: Any) -> str:
        """Return a new container of the owner's that runs."""
        body = {"image": "busybox:latest", "name": self.name(), "command": ["sleep", "1000"]}
        body |= more
        return str(self.call("owner", "POST", "containers", body)["data"]["id"])

    # -- callers -----------------------------------------------------------------------------------

    def headers(self, caller: str, expected: Expected) -> dict[str, str]:
        if caller == "none":
            return {}
        if caller == "expired":
            return {"Authorization": f"Bearer {self.expired}"}
        if expected.dialect == "voidvm" and expected.path.startswith(BY_TOKEN):
            return {"Authorization": f"Bearer {self.token(caller)}"}
        return {"X-API-Key": self.keys[caller]}

    def token(self, caller: str = "owner") -> str:
        name, password = "admin", PASSWORD
        if caller != "admin":
            name = USERS[caller][0]
        login = {"username": name, "password": password}
        reply = self.http.post(f"{self.server.api}/auth/login", json=login)
        return str(reply.raise_for_status().json()["token"])

    # -- things ------------------------------------------------------------------------------------

    def thing(self, parameter: str, expected: Expected, granted: bool) -> str:
        """Return what a path names; a new one where the request may take it away."""
        # What the request takes away, or changes so that it can't be asked for again.
        takes = expected.method == "DELETE" or "/delete/" in expected.path
        taken = granted and (takes or expected.path == "/containers/{cid}")
        if parameter == "ref" and "/devices/" in expected.path:
            return self.device() if granted and expected.method != "GET" else "1"
        if parameter == "ref":
            if "/shares" in expected.path:
                return self.private
            if "/images/" in expected.path:
                return self.pulled() if taken else "busybox:latest"
            if expected.path.endswith("/open"):
                return self.published
            return self.made() if taken else self.container
        makers: dict[str, Callable[[], str]] = {
            "username": lambda: (
                self.reader(expected, granted)
                if "/shares/" in expected.path
                else self.user()
                if taken
                else "alice"
            ),
            "gid": lambda: "1",
            "did": lambda: "1",
            "cid": lambda: self.cid(self.made() if taken else self.container),
            "iid": lambda: self.iid(self.pulled() if taken else "busybox:latest"),
            "key_id": self.key,
            "id": lambda: "nothing" if "/restores/" in expected.path else self.backup(taken),
            "operation_id": self.operation,
            "role": self.role,
            "invitation_id": self.invitation,
            "service": lambda: "vscode" if expected.path.endswith("/open") else "postgres",
            # It runs.
            "action": lambda: "start",
            "name": lambda: (
                (self.database() if taken else "kept")
                if "/databases/" in expected.path
                else self.snapshot(fresh=taken)
                if "/snapshots/" in expected.path
                else "alice"
                if "quotas" in expected.path
                else "docs.js"
            ),
        }
        return makers[parameter]()

    def reader(self, expected: Expected, granted: bool) -> str:
        """Return whom the owner's image is shared with, or is going to be."""
        if granted and expected.method == "DELETE":
            name = self.user()
            self.call("owner", "PUT", f"images/{self.private}/shares/{name}")
            return name
        return self.user() if granted else "alice"

    def database(self) -> str:
        """Return a new database of the owner's."""
        return str(self.call("owner", "POST", "databases", {"name": self.name()})["name"])

    def snapshot(self, *, fresh: bool) -> str:
        """Return a snapshot of the owner's databases."""
        if fresh or not self.kept:
            body = {"name": self.name(), "parts": ["databases"]}
            self.kept = str(self.call("owner", "POST", "snapshots", body)["name"])
        kept, self.kept = self.kept, "" if fresh else self.kept
        return kept

    def backup(self, taken: bool) -> str:
        """Return a backup of the owner's databases; a new one where it is taken away."""
        if taken:
            return str(self.call("admin", "POST", "backups", {"type": "incremental"})["id"])
        if not self.saved:
            self.saved = str(self.call("owner", "POST", "backups", {"type": "incremental"})["id"])
        return self.saved

    def cid(self, container: str) -> str:
        return str(self.call("owner", "GET", f"containers/{container}")["data"]["cid"])

    def iid(self, tag: str) -> str:
        items = self.call("owner", "GET", "images?limit=1000")["data"]["items"]
        # The other host means an image of its own by the same name; this one's came first.
        return str(min(item["iid"] for item in items if tag in item["tags"]))

    def image(self) -> str:
        return images.push_layers(self.registry, self.name(), sizes=(1 << 10,))

    def pulled(self) -> str:
        name = self.image()
        self.call("owner", "POST", "images/pull", {"name": name})
        return name

    def user(self) -> str:
        return str(
            self.call("admin", "POST", "users", {"username": self.name(), "password": PASSWORD})[
                "username"
            ]
        )

    def device(self) -> str:
        """Return the other host, which is added where it is none yet."""
        added = [each["did"] for each in self.call("admin", "GET", "devices")["devices"][1:]]
        if not added:
            added = [self.call("admin", "POST", "devices", self.far)["did"]]
        return str(added[0])

    def new_device(self) -> dict[str, Any]:
        for each in self.call("admin", "GET", "devices")["devices"][1:]:
            self.call("admin", "DELETE", f"devices/{each['did']}?force=true")
        return self.far

    def role(self) -> str:
        return str(
            self.call("admin", "POST", "roles", {"name": self.name(), "permissions": []})["name"]
        )

    def invitation(self) -> str:
        return str(self.call("admin", "POST", "invitations", {})["id"])

    def key(self) -> str:
        return str(self.call("owner", "POST", "api-keys", {"name": "spare"})["id"])

    def operation(self) -> str:
        if not self.ended:
            self.pulled()
            self.ended = self.call("owner", "GET", "operations")["operations"][0]["id"]
        return self.ended

    # -- requests ----------------------------------------------------------------------------------

    def body(self, expected: Expected) -> dict[str, Any]:
        login = {"username": "alice", "password": PASSWORD}
        bodies: dict[str, Callable[[], dict[str, Any]]] = {
            "POST /api/v1/users": lambda: {"username": self.name(), "password": PASSWORD},
            "PUT /api/v1/users/{username}": lambda: {"email": "alice@example.org"},
            "PUT /api/v1/users/{username}/password": lambda: {"password": PASSWORD},
            "POST /api/v1/roles": lambda: {"name": self.name(), "permissions": ["image:read"]},
            "PUT /api/v1/roles/{role}": lambda: {"description": "other"},
            "POST /api/v1/api-keys": lambda: {"name": "made"},
            "POST /api/v1/auth/login": lambda: login,
            "POST /api/v1/login": lambda: login,
            "POST /api/login": lambda: login,
            "POST /api/v1/auth/refresh": lambda: {"token": self.token()},
            "POST /api/v1/auth/logout": lambda: {"token": self.token()},
            "POST /api/v1/refresh": lambda: {"refresh_token": self.pair()["refresh_token"]},
            "POST /api/v1/logout": lambda: {"token": self.pair()["access_token"]},
            "POST /api/register": lambda: {"username": self.name(), "password": PASSWORD},
            "POST /api/v1/containers": lambda: {"image": "busybox:latest", "name": self.name()},
            "PUT /api/v1/containers/{ref}": lambda: {"mem": 64},
            "POST /api/v1/devices": self.new_device,
            "PUT /api/v1/devices/{ref}": lambda: {"draining": False},
            "POST /api/v1/databases": lambda: {"name": self.name()},
            "POST /api/v1/backups/{id}/restore": lambda: {"dry_run": True},
            "POST /api/v1/databases/{name}/clone": lambda: {"name": self.name()},
            "POST /api/v1/snapshots": lambda: {"name": self.name(), "parts": ["databases"]},
            "PUT /api/v1/quotas/{name}": lambda: {"containers": 30},
            "POST /containers": self.numbered,
            "POST /api/v1/containers/{ref}/commit": lambda: {"name": self.name()},
            "POST /images": self.saving,
            "POST /images/create": self.saving,
            "POST /containers/create": self.numbered,
            "PUT /containers/{cid}": lambda: {"cmd": "stop"},
            "POST /api/v1/images/pull": lambda: {"name": self.image()},
            "POST /api/v1/images/build": lambda: {
                "name": "notebook",
                "base": f"{self.registry}/nothing:1",
            },
        }
        make = bodies.get(f"{expected.method} {expected.path}")
        return {"json": make()} if make else {}

    def numbered(self) -> dict[str, Any]:
        iid = int(self.iid("busybox:latest"))
        return {"iid": iid, "name": self.name(), "cpu": 0.1, "mem": 16}

    def saving(self) -> dict[str, Any]:
        return {"cid": int(self.cid(self.container)), "name": self.name()}

    def pair(self) -> dict[str, str]:
        login = {"username": "alice", "password": PASSWORD}
        pair: dict[str, str] = self.http.post(f"{self.server.api}/login", json=login).json()
        return pair

    def ask(self, caller: str, expected: Expected) -> httpx.Response | int:
        granted = expected.statuses[caller][0] in "12"
        path = expected.path.lstrip("/")
        for name in re.findall(r"{(\w+)}", path):
            thing = quote(self.thing(name, expected, granted), safe="")
            path = path.replace("{" + name + "}", thing)
        headers = self.headers(caller, expected)
        if expected.method == "WS":
            return handshake(f"{self.server.url}{path}?cmd=true", headers)
        options = self.body(expected)
        if path.endswith("archive"):
            options = {"params": {"path": "/bin"}}
            if expected.method == "PUT":
                options["content"] = tar()
        url = self.server.url + path
        # Cookies of a login must not stand in for the caller of the next request.
        self.http.cookies.clear()
        if path.endswith("events"):
            with self.http.stream("GET", url, headers=headers) as reply:
                if reply.status_code != 200:
                    reply.read()
                return reply
        return self.http.request(expected.method, url, headers=headers, **options)


def handshake(url: str, headers: dict[str, str]) -> int:
    """Open a WebSocket; what is not found is said by the code that closes it."""
    try:
        with connect(
            url.replace("http", "ws", 1), additional_headers=headers, proxy=None
        ) as socket:
            for _ in socket:
                pass
            code = socket.close_code or 0
            return code - 4000 if code > 4000 else 101
    except ConnectionClosedError as closed:
        return (closed.rcvd.code if closed.rcvd else 0) - 4000
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What adds a second engine, which is behind TLS."""
    with network(1) as (_, [host]):
        certificates = Certificates(tmp_path_factory.mktemp("tls"), host.address)
        address = f"tcp://{host.address}:2376"
        with Dockerd(listen=(address,), options=certificates.options, host=host) as engine:
            images.load_busybox(engine)
            folder = str(certificates.client)
            yield {"name": "far", "address": address, "certificates": folder, "gpus": []}


@pytest.fixture(scope="module")
def stage(
    docker_engine: Dockerd,
    far: dict[str, Any],
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    with clusters.cluster_folder() as folder:
        yield from _stage(docker_engine, far, registry, tmp_path_factory, folder)


def _stage(
    docker_engine: Dockerd,
    far: dict[str, Any],
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
    folder: Path,
) -> Iterator[Stage]:
    cards = Cards(tmp_path_factory.mktemp("nvml"), [Card("GPU-1")])
    images.load_busybox(docker_engine, "busybox:latest")
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {
            "rate_limits": {**UNLIMITED, "logins": {"amount": 0}},
            "registration": "open",
            "admin_password": PASSWORD,
            "allowed_addresses": ["127.0.0.0/8"],
            "cluster_dir": str(folder),
        },
        "ContainerDefaults": {"probe_image": "busybox:latest"},
    }
    with jupyter.jupyter_server(
        docker_host=docker_engine.url, config=config, environ=cards.environ
    ) as server:
        stage = Stage(server, registry.address, far)
        yield stage
        stage.call("owner", "DELETE", f"images/{stage.private}")
        stage.http.close()


@pytest.mark.parametrize("expected", EXPECTED, ids=str)
def test_a_route_answers_each_caller_as_it_should(stage: Stage, expected: Expected) -> None:
    found, wrong = {}, []
    for caller, status in expected.statuses.items():
        if status == "-":
            found[caller] = "-"
            continue
        reply = stage.ask(caller, expected)
        if isinstance(reply, int):
            found[caller] = str(reply)
            continue
        found[caller] = str(reply.status_code)
        if reply.status_code == 200 and expected.dialect == "matrix":
            found[caller] = "-1" if reply.json().get("status") == -1 else "200"
        if reply.status_code >= 400 and dialect_of(reply.json()) != expected.dialect:
            wrong.append(f"{caller}: {reply.text}")
    assert found == expected.statuses
    assert not wrong
