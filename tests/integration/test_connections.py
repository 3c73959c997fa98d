"""Containers that one can get into, and images that are saved of them, on a real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.images import load_busybox
from ..engines.scratch import wait_until
from .api_users import User, inspect

pytestmark = pytest.mark.docker

WAY = "/containers/lab/connection?password=true"
NO_WAY: dict[str, Any] = {
    "ip": "127.0.0.1",
    "user": "root",
    "ports": {"ssh": None, "jupyter": None, "tensorboard": None},
    "has_password": False,
}
# Shows its password where JupyterLab would ask for it.
SERVES = "sh -c 'mkdir /www; echo $JUPYTER_EXT_PASSWORD > /www/word; httpd -f -p 8888 -h /www'"


@pytest.fixture(scope="module")
def enterable(docker_engine: Dockerd) -> Iterator[str]:
    """An image that says of itself that one can get into its containers."""
    name = "enterable:latest"
    load_busybox(docker_engine, name, changes=("LABEL jupyter_ext.image=notebook", "ENV PATH=/bin"))
    yield name
    docker_engine.docker("rmi", "--force", name)


def read(url: str) -> str:
    text: str = build_opener(ProxyHandler({})).open(url, timeout=5).read().decode()
    return text.strip()


def test_its_owner_gets_in_by_the_ports_and_the_password(
    alice: User, docker_engine: Dockerd
) -> None:
    made = alice.run("lab", SERVES, connect=True)
    way = alice("GET", WAY)
    assert re.fullmatch("[A-Za-z0-9]{16}", way["password"])
    assert way["ports"] == {
        "ssh": made["ports"]["22/tcp"],
        "jupyter": made["ports"]["8888/tcp"],
        "tensorboard": made["ports"]["6006/tcp"],
    }
    assert way["has_password"]
    # It is told to whoever asks for it, not beside all else.
    asked = {**way}
    asked.pop("password")
    assert alice("GET", "/containers/lab/connection") == asked
    assert len({port for port in way["ports"].values() if port}) == 3

    def entered() -> bool:
        try:
            found = read(f"http://{way['ip']}:{way['ports']['jupyter']}/word")
        except OSError:
            return False
        return found == str(way["password"])

    wait_until(entered, "the page")
    env = inspect(docker_engine, made["id"])["Config"]["Env"]
    assert f"JUPYTER_EXT_PASSWORD={way['password']}" in env
    # It keeps both while it stands still, and a new container has a password of its own.
    alice("POST", "/containers/lab/stop", json={"timeout": 0})
    assert alice("GET", WAY) == way
    alice.run("other", connect=True)
    assert alice("GET", WAY.replace("lab", "other"))["password"] != way["password"]


def test_a_port_that_was_asked_for_keeps_its_number(alice: User) -> None:
    free = alice.run("probe", ports={"80": None})["ports"]["80/tcp"]
    alice("DELETE", "/containers/probe", params={"force": True})
    made = alice.run("lab", connect=True, ports={"8888": free, "80": None})
    assert made["ports"]["8888/tcp"] == free
    assert made["ports"].keys() == {"22/tcp", "8888/tcp", "6006/tcp", "80/tcp"}
    assert alice("GET", "/containers/lab/connection")["ports"]["jupyter"] == free


def test_one_that_was_not_made_for_it_has_no_way_in(alice: User) -> None:
    alice.run("plain", ports={"80": None})
    assert alice("GET", "/containers/plain/connection") == NO_WAY


def test_who_shares_a_folder_logs_in_as_its_owner(alice: User, folder: Path) -> None:
    volume = {"host_path": str(folder), "container_path": "/work"}
    alice.run("lab", connect=True, volumes=[volume])
    assert alice("GET", WAY)["user"] == "jupyter"


def test_nobody_else_is_told(alice: User, bob: User, admin: User) -> None:
    made = alice.run("lab", connect=True)
    way = alice("GET", WAY)
    for ref in (made["id"], str(made["cid"])):
        bob("GET", f"/containers/{ref}/connection", 404)
    # Who may open a terminal in it may read what opens one.
    assert admin("GET", f"/containers/{made['id']}/connection?password=true") == way

    scopes = {"name": "reader", "scopes": ["container:read"]}
    key = alice.http.post("/api-keys", json=scopes).json()["key"]
    reader = {"X-API-Key": key}
    refused = alice.http.get("/containers/lab/connection", headers=reader)
    assert refused.status_code == 403
    shown = httpx.get(f"{alice.server.api}/containers/lab", headers=reader, trust_env=False)
    assert shown.status_code == 200
    assert way["password"] not in shown.text
    assert "JUPYTER_EXT_PASSWORD" not in shown.text


def test_images_say_whether_one_can_get_into_their_containers(
    alice: User, docker_engine: Dockerd, enterable: str
) -> None:
    def told() -> dict[str, bool]:
        items = alice("GET", "/images")["items"]
        return {tag: item["connect"] for item in items for tag in item["tags"]}

    wait_until(lambda: enterable in told(), "the image")
    assert told()[enterable] is True
    assert told()["busybox:latest"] is False
    alice.run("lab", image=enterable, connect=True)
    saved = alice("POST", "/containers/lab/commit", json={"name": "mine"})
    assert saved["connect"] is True
    alice("DELETE", "/containers/lab", params={"force": True})
    alice("DELETE", f"/images/{saved['iid']}")


def test_it_is_saved_as_an_image_without_its_secrets(
    alice: User, bob: User, docker_engine: Dockerd
) -> None:
    made = alice.run("lab", connect=True, environment={"TOKEN": "a-secret-of-hers"})
    docker_engine.docker("exec", made["id"], "sh", "-c", "echo 12345 > /root/tool")
    word = alice("GET", WAY)["password"]
    changed = alice("GET", "/containers/lab/changes")
    assert {item["path"] for item in changed["items"]} >= {"/root/tool"}
    assert changed["size"] == sum(item["size"] or 0 for item in changed["items"]) >= 6

    bob("POST", f"/containers/{made['id']}/commit", 404, json={"name": "stolen"})
    wrong = alice("POST", "/containers/lab/commit", 400, json={"name": "No Such"})
    assert [error["field"] for error in wrong["errors"]] == ["name"]

    # A page asks for an operation, to show how far it is.
    reply = alice.http.post(
        "/containers/lab/commit", json={"name": "tools"}, headers={"Prefer": "respond-async"}
    )
    assert reply.status_code == 202
    operation = reply.json()["data"]
    assert operation["kind"] == "image.save"

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = alice.http.get(f"/operations/{operation['id']}").json()
        return found if found["state"] not in ("pending", "running") else None

    wait_until(lambda: ended() is not None, "the image")
    found = ended()
    assert found is not None
    assert found["state"] == "succeeded", found
    [image] = [i for i in alice("GET", "/images")["items"] if i["owner"] == "alice"]
    assert image["tags"] == ["jupyter-ext/alice/tools:latest"]
    assert not image["public"]
    assert all(item["id"] != image["id"] for item in bob("GET", "/images")["items"])
    kept = docker_engine.docker("image", "inspect", image["id"]) + docker_engine.docker(
        "image", "history", "--no-trunc", image["id"]
    )
    assert word not in kept
    assert "a-secret-of-hers" not in kept
    taken = alice("POST", "/containers/lab/commit", 409, json={"name": "tools"})
    assert [error["field"] for error in taken["errors"]] == ["name"]

    again = alice.run("again", image="jupyter-ext/alice/tools", connect=True)
    assert docker_engine.docker("exec", again["id"], "cat", "/root/tool") == "12345"
    for name in ("again", "lab"):
        alice("DELETE", f"/containers/{name}", params={"force": True})
    alice("DELETE", f"/images/{image['iid']}")


def test_an_image_for_everybody_and_the_same_from_a_terminal(
    admin: User, bob: User, docker_engine: Dockerd
) -> None:
    server = admin.server
    server.pig("container", "run", "--name", "lab", "--connect", "busybox", "sleep", "1000")
    shown = server.pig("container", "connection", "lab")
    way = json.loads(server.pig("container", "connection", "lab", "--password", "--json"))
    assert "password" not in json.loads(server.pig("container", "connection", "lab", "--json"))
    assert f"ssh -p {way['ports']['ssh']} root@127.0.0.1" in shown
    assert f"http://127.0.0.1:{way['ports']['tensorboard']}" in shown
    assert way["password"] not in shown
    assert way["password"] in server.pig("container", "connection", "lab", "--password")
    said = server.pig("container", "save", "lab", "shared", "--public")
    assert "jupyter-ext/admin/shared:latest" in said
    assert "for everybody" in said
    tags = [tag for item in bob("GET", "/images")["items"] for tag in item["tags"]]
    assert "jupyter-ext/admin/shared:latest" in tags
    admin("DELETE", "/containers/lab", params={"force": True})
    admin("DELETE", f"/images/{quote('jupyter-ext/admin/shared:latest', safe='')}")
    plain = server.run("pig", "container", "connection", "nothing")
    assert plain.returncode != 0
