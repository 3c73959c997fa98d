"""Which registries users pull from, and how much at once, on a real engine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from ..conftest import MakeServer
from ..engines.dockerd import Dockerd
from ..engines.images import push_layers
from ..engines.jupyter import JupyterServer
from ..engines.registry import Registry
from ..engines.scratch import wait_until
from .api_users import Json, User, left

OwnerOf = Callable[[JupyterServer], User]
JoinAs = Callable[[JupyterServer, str], User]

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture
def silent() -> Iterator[str]:
    """A registry that takes every request and answers none."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def begin(user: User, name: str, expect: int = 202) -> Json:
    """Begin to pull without waiting for the end."""
    reply = user.http.post("/images/pull", json={"name": name}, headers={"Prefer": "respond-async"})
    assert reply.status_code == expect, reply.text
    found: Json = reply.json()
    return found["data"] if expect == 202 else {**found, "after": reply.headers.get("Retry-After")}


def test_a_registry_on_this_machine_is_the_administrators(
    make_server: MakeServer,
    owner_of: OwnerOf,
    join_as: JoinAs,
    docker_engine: Dockerd,
    registry: Registry,
    silent: str,
) -> None:
    server = make_server(docker_host=docker_engine.url)
    alice, admin = join_as(server, "alice"), owner_of(server)
    name = push_layers(registry.address, "team/guarded", sizes=(1000,))
    port = registry.address.partition(":")[2]
    for host in (registry.address, f"localhost:{port}", f"2130706433:{port}", silent):
        said = begin(alice, name.replace(registry.address, host), 403)
        assert "allowed_addresses" in said["message"]
        assert said["errors"] == [{"field": "image", "message": "is a loopback address"}]
        body = {"name": "web", "image": name.replace(registry.address, host)}
        alice("POST", "/containers", 403, json=body)
    alice("POST", "/images/pull", 403, json={"name": "169.254.169.254/latest/meta-data"})
    assert alice("GET", "/containers")["total"] == 0
    assert left(docker_engine) == ""
    assert admin("POST", "/images/pull", json={"name": name})["tags"] == [name]
    # What is here already is everybody's, and nothing is asked of the registry.
    alice.run("web", image=name)
    alice("DELETE", "/containers/web?force=true")
    admin("DELETE", f"/images/{name.replace('/', '%2F')}")


def test_no_more_pulls_at_once_than_an_operator_allows(
    make_server: MakeServer,
    owner_of: OwnerOf,
    join_as: JoinAs,
    docker_engine: Dockerd,
    silent: str,
) -> None:
    config = {
        "JupyterExt": {"allowed_addresses": [silent]},
        "ContainerDefaults": {"pulls_at_once": 2},
    }
    server = make_server(docker_host=docker_engine.url, config=config)
    alice, bob, admin = join_as(server, "alice"), join_as(server, "bob"), owner_of(server)
    begin(alice, "127.0.0.1:1/another/port", 403)
    names = [f"{silent}/{part}:latest" for part in ("one", "two", "three")]
    begun = [begin(alice, name) for name in names[:2]]

    def full() -> bool:
        reply = alice.http.post(
            "/images/pull", json={"name": names[2]}, headers={"Prefer": "respond-async"}
        )
        return reply.status_code == 429

    wait_until(full, "the limit", 10, pause=0.5)
    said = begin(alice, names[2], 429)
    assert f"You are pulling {names[0]}, {names[1]}, and 2 images at once" in said["message"]
    assert said["after"] == "10"
    alice("POST", "/containers", 429, json={"name": "web", "image": names[2]})
    assert alice("GET", "/containers")["total"] == 0
    # The same image once more is no further pull; nobody else is held up.
    begun.append(begin(alice, names[1]))
    begin(bob, names[2])
    for name in names:
        begin(admin, name)
    for operation in begun:
        alice.http.delete(f"/operations/{operation['id']}").raise_for_status()
    begin(alice, names[2])


def test_names_that_others_gave_an_image_stay(
    alice: User, admin: User, docker_engine: Dockerd, registry: Registry
) -> None:
    name = push_layers(registry.address, "team/shared", sizes=(1000,))
    pulled = alice("POST", "/images/pull", json={"name": name})
    docker_engine.docker("tag", name, "others/name:1")

    def tagged() -> bool:
        items = alice("GET", "/images")["items"]
        return any({name, "others/name:1"} <= set(item["tags"]) for item in items)

    wait_until(tagged, "both names")
    said = alice("DELETE", f"/images/{pulled['iid']}?force=true", 403)
    assert "only an administrator" in said["message"]
    assert "by that name" in alice("DELETE", f"/images/{pulled['iid']}", 409)["message"]
    assert tagged()
    alice("DELETE", f"/images/{name.replace('/', '%2F')}")
    assert "others/name:1" in docker_engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    admin("DELETE", f"/images/{pulled['iid']}?force=true")
