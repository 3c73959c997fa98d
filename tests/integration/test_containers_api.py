"""Containers and images over REST, on a real engine: from a pull to a deletion."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.images import load_busybox, push_layers
from ..engines.registry import Registry
from ..engines.scratch import free_port, wait_until
from .api_users import Json, User, inspect, left

pytestmark = pytest.mark.docker


# -- the main job ----------------------------------------------------------------------------------


def test_from_a_registry_to_a_web_page_and_away(
    alice: User, docker_engine: Dockerd, registry: Registry, folder: Path
) -> None:
    name = push_layers(registry.address, "team/site")
    (folder / "index.html").write_text("hello from alice\n")
    (folder / "index.html").chmod(0o644)

    begun = alice.http.post(
        "/images/pull", json={"name": name}, headers={"Prefer": "respond-async"}
    )
    assert begun.status_code == 202
    where = begun.headers["Location"]

    def ended() -> Json | None:
        operation: Json = alice.http.get(f"{alice.server.url.split('/a%40b/')[0]}{where}").json()
        return operation if operation["ended_at"] else None

    wait_until(lambda: ended() is not None, "the end of the pull", 60)
    operation = ended()
    assert operation is not None
    assert operation["state"] == "succeeded"
    assert operation["result"]["tags"] == [name]
    assert len(operation["details"]["layers"]) == 5

    made = alice(
        "POST",
        "/containers",
        json={
            "name": "site",
            "image": name,
            "ports": {"80/tcp": None},
            "volumes": [
                {"host_path": str(folder), "container_path": "/www", "read_only": True},
            ],
            "command": "httpd -f -v -p 80 -h /www",
        },
    )
    assert made["status"] == "running"
    port = made["ports"]["80/tcp"]
    url = f"http://127.0.0.1:{port}/"

    def page() -> bool:
        try:
            return httpx.get(url, trust_env=False).text == "hello from alice\n"
        except httpx.TransportError:
            return False

    wait_until(page, "the page")
    assert "response:200" in alice("GET", "/containers/site/logs")["logs"]
    used = alice("GET", "/metrics/containers/site")
    assert used["memory_usage"] > 0
    assert used["pids"] >= 1
    assert used["memory_limit"] > used["memory_usage"]
    assert alice("POST", "/containers/site/stop")["status"] == "exited"
    # Asked to end, and not killed (137) after a while.
    assert inspect(docker_engine, made["id"])["State"]["ExitCode"] == 143
    assert alice("DELETE", "/containers/site") == {"id": made["id"]}
    assert left(docker_engine) == ""
    assert alice("DELETE", f"/images/{name.replace('/', '%2F')}")["id"] == operation["result"]["id"]


def test_a_missing_image_is_pulled_first(alice: User, registry: Registry) -> None:
    name = push_layers(registry.address, "team/first", sizes=(1000,))
    made = alice.run("first", image=name)
    assert made["image"] == name
    assert [step["step"] for step in made["startup"]] == ["pull", "start"]


def test_an_image_that_can_not_be_pulled(alice: User, docker_engine: Dockerd) -> None:
    address = f"127.0.0.1:{free_port()}"
    body = {"name": "web", "image": f"{address}/no/thing"}
    said = alice("POST", "/containers", 404, json=body)["message"]
    assert "can't be pulled" in said
    assert "registry" in said
    assert left(docker_engine) == ""
    alice.run("web")


# -- what is taken ---------------------------------------------------------------------------------


def test_a_busy_port_leaves_nothing_behind(alice: User, docker_engine: Dockerd) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as foreign:
        port = foreign.getsockname()[1]
        body = {"name": "web", "image": "busybox", "ports": {"80/tcp": port}}
        said = alice("POST", "/containers", 409, json=body)
        assert str(port) in said["message"]
        assert said["errors"] == [{"field": "ports", "message": f"{port} is taken"}]
        assert left(docker_engine) == ""
        assert alice("GET", "/containers")["total"] == 0
    made = alice.run("web", ports={"80/tcp": port})
    assert made["ports"] == {"80/tcp": port}


def test_a_port_that_is_taken_at_a_later_start(alice: User) -> None:
    port = free_port()
    alice.run("web", ports={"80/tcp": port})
    alice("POST", "/containers/web/stop")
    with closing(socket.create_server(("127.0.0.1", port))):
        assert str(port) in alice("POST", "/containers/web/start", 409)["message"]
    assert alice("POST", "/containers/web/start")["ports"] == {"80/tcp": port}


def test_names_are_ones_own(alice: User, bob: User, docker_engine: Dockerd) -> None:
    alice.run("web")
    bob.run("web")
    alice("POST", "/containers", 409, json={"name": "web", "image": "busybox"})
    names = docker_engine.docker("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == ["alice.web", "bob.web"]
    alice("DELETE", "/containers/web")
    alice.run("web")


# -- whose it is -----------------------------------------------------------------------------------


def test_somebody_elses_container_is_not_there(alice: User, bob: User, admin: User) -> None:
    made = alice.run("web")
    for ref in (made["id"], made["id"][:12], "web", made["cid"]):
        for method, path in (
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", "?force=true"),
            ("POST", "/start"),
            ("POST", "/stop"),
            ("POST", "/restart"),
            ("GET", "/logs"),
            ("GET", "/logs?follow=true"),
            ("GET", "/changes"),
            ("GET", "/archive?path=/"),
            ("PUT", "/archive?path=/"),
        ):
            bob(method, f"/containers/{ref}{path}", 404)
        bob("GET", f"/metrics/containers/{ref}", 404)
        assert alice("GET", f"/containers/{ref}")["status"] == "running"
        assert admin("GET", f"/containers/{ref}")["owner"] == "alice"


def test_a_container_of_the_docker_command_is_the_administrators(
    alice: User, admin: User, docker_engine: Dockerd
) -> None:
    id_ = docker_engine.docker("run", "--detach", "--name", "plain", "busybox", "sleep", "1000")
    wait_until(lambda: admin("GET", "/containers")["total"] == 1, "the foreign container")
    assert admin("GET", "/containers/plain")["owner"] == "admin"
    assert admin("POST", "/containers/plain/stop")["status"] == "exited"
    alice("GET", f"/containers/{id_}", 404)
    assert alice("GET", "/containers")["total"] == 0


def test_no_user_gets_privileges(alice: User, docker_engine: Dockerd) -> None:
    made = alice.run("web", environment={"A": "1"})
    host = inspect(docker_engine, made["id"])["HostConfig"]
    assert not host["Privileged"]
    assert not host["CapAdd"]
    assert not host["Devices"]
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert host["IpcMode"] in ("private", "")
    assert host["NetworkMode"] == "jupyter_ext-alice"
    assert host["PidsLimit"] == 4096
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert host["LogConfig"]["Config"] == {"max-size": "10485760", "max-file": "3"}
    environment = inspect(docker_engine, made["id"])["Config"]["Env"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in environment
    body = {"name": "x", "image": "busybox", "environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}
    alice("POST", "/containers", 400, json=body)
    for extra in ({"privileged": True}, {"network_mode": "host"}, {"cap_add": ["ALL"]}):
        reply = alice.http.post("/containers", json={"name": "y", "image": "busybox", **extra})
        assert next(iter(extra)) in reply.headers["Warnings"]
        host = inspect(docker_engine, reply.json()["data"]["id"])["HostConfig"]
        assert not host["Privileged"]
        assert not host["CapAdd"]
        assert host["NetworkMode"] != "host"
        alice("DELETE", "/containers/y?force=true")


# -- ends ------------------------------------------------------------------------------------------


def test_deleting_as_asked(alice: User, docker_engine: Dockerd) -> None:
    for name in ("first", "second", "third"):
        alice.run(name, "sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'")
    alice("DELETE", "/containers/first?force=false", 409)
    alice("DELETE", "/containers/first")
    alice("DELETE", "/containers/second?force=true")
    alice("POST", "/containers/third/stop", json={"timeout": 1})
    alice("DELETE", "/containers/third?force=false")
    assert left(docker_engine) == ""
    alice("DELETE", "/containers/third", 404)


def test_an_image_in_use_stays(alice: User, admin: User, docker_engine: Dockerd) -> None:
    load_busybox(docker_engine, "kept:1")
    wait_until(
        lambda: any("kept:1" in i["tags"] for i in admin("GET", "/images")["items"]), "the image"
    )
    alice.run("holder", image="kept:1")
    assert "holder" in admin("DELETE", "/images/kept:1", 409)["message"]
    alice("DELETE", "/images/kept:1", 403)
    alice("DELETE", "/containers/holder")
    admin("DELETE", "/images/kept:1")
