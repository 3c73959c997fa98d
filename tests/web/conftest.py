"""A server, a container of alice's that serves pages, and browsers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer, jupyter_server
from ..engines.python_image import load_foreign_server
from ..engines.scratch import wait_until
from .visitor import Visitor

IMAGE = "foreign:latest"
UNLIMITED = {"containers": {"amount": 0}, "piglet": {"amount": 0}, "matrix": {"amount": 0}}


@dataclass
class Person:
    """Somebody with an API key."""

    name: str
    http: httpx.Client

    def open(self, ref: object, service: str = "jupyter", **more: Any) -> httpx.Response:
        body = {"service": service, **more}
        return self.http.post(f"containers/{ref}/open", json=body)

    def link(self, ref: object, service: str = "jupyter") -> str:
        reply = self.open(ref, service)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["data"]["url"])


@dataclass
class Opened:
    """A container, and what makes it."""

    cid: int
    name: str
    password: str


def person(server: JupyterServer, name: str, **key: Any) -> Person:
    """Be an ordinary user, made where there is none."""
    with server.client() as admin:
        made = admin.post("users", json={"username": name, "password": "a secret one"})
        assert made.status_code in (201, 409), made.text
        body = {"name": f"tests-{secrets.token_hex(4)}", "owner": name, **key}
        made = admin.post("api-keys", json=body)
        assert made.status_code == 201, made.text
    client = httpx.Client(
        base_url=server.api,
        headers={"X-API-Key": made.json()["key"]},
        trust_env=False,
        timeout=60,
    )
    return Person(name, client)


@pytest.fixture(scope="package")
def engine(docker_engine: Dockerd) -> Iterator[Dockerd]:
    load_foreign_server(docker_engine, IMAGE)
    yield docker_engine
    docker_engine.clean()


@pytest.fixture(scope="package")
def server(engine: Dockerd) -> Iterator[JupyterServer]:
    config = {"JupyterExt": {"rate_limits": UNLIMITED}}
    with jupyter_server(docker_host=engine.url, config=config) as running:
        yield running


@pytest.fixture(scope="package")
def people(server: JupyterServer) -> Iterator[dict[str, Person]]:
    with ExitStack() as stack:
        found = {name: person(server, name) for name in ("alice", "bob")}
        for each in found.values():
            stack.callback(each.http.close)
        yield found


@pytest.fixture
def alice(people: dict[str, Person]) -> Person:
    return people["alice"]


@pytest.fixture
def bob(people: dict[str, Person]) -> Person:
    return people["bob"]


def make(server: JupyterServer, who: Person, name: str) -> Opened:
    """Make a container with a password, and wait until it serves."""
    root = str(who.http.base_url).removesuffix("api/v1/")
    headers = dict(who.http.headers)
    with httpx.Client(base_url=root, headers=headers, trust_env=False, timeout=60) as http:
        images = http.get("images/public").json()["iid"]
        [iid] = [
            number
            for number in images
            if http.get(f"images/property/{number}").json()["name"] == IMAGE
        ]
        body = {"iid": iid, "name": name, "cpu": 0.2, "mem": 256, "gid": None}
        made = http.post("containers", json=body).json()
        assert made["status"] == 0, made
    for port in (made["portjupyter"], made["porttsb"]):
        wait_until(lambda port=port: _serves(port), "the container's server")  # type: ignore[misc]
    return Opened(made["cid"], name, made["passwd"])


def _serves(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def web(server: JupyterServer, people: dict[str, Person]) -> Opened:
    """A container of alice's that every test may look at, and none stops."""
    return make(server, people["alice"], "web")


@pytest.fixture
def make_container(server: JupyterServer) -> Callable[..., Opened]:
    def make_one(who: Person) -> Opened:
        return make(server, who, f"web-{secrets.token_hex(4)}")

    return make_one


@pytest.fixture
def visitors() -> Iterator[Callable[[], Visitor]]:
    with ExitStack() as stack:

        def new() -> Visitor:
            visitor = Visitor()
            stack.callback(visitor.close)
            return visitor

        yield new


@pytest.fixture
def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    return visitors()


def origin_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture
def page(alice: Person, web: Opened, visitor: Visitor) -> str:
    """The origin of alice's page, which the visitor has open."""
    link = alice.link(web.cid)
    assert visitor.follow(link).status_code == 303
    return origin_of(link)
