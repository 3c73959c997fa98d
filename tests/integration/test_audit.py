"""What is done to containers, in the audit: by REST, as long work, and in a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from ..engines import scratch
from ..engines.images import push_layers
from ..engines.jupyter import JupyterServer
from ..engines.registry import Registry

pytestmark = pytest.mark.docker


def kept(server: JupyterServer, **query: Any) -> list[dict[str, Any]]:
    """Entries, oldest first."""
    with server.client() as admin:
        found: list[dict[str, Any]] = admin.get("audit", params=query).json()["entries"]
    return found[::-1]


def test_a_containers_life(running_server: JupyterServer, busybox_image: str) -> None:
    server = running_server
    body = {
        "name": "audited",
        "image": busybox_image,
        "command": ["sleep", "600"],
        "environment": {"PASSWORD": "hunter2"},
    }
    with server.client() as admin:
        made = admin.post("containers", json=body).json()["data"]
        where = f"ws{server.api.removeprefix('http')}/containers/audited/exec?cmd=echo+hunter2"
        with connect(where, additional_headers={"X-API-Key": server.key()}, proxy=None) as socket:
            while json.loads(socket.recv(timeout=20))[0] != "exit":
                pass
        scratch.wait_until(
            lambda: len(kept(server, action="container:exec", target="audited")) == 2,
            "the terminal's end",
        )
        assert admin.post("containers/audited/stop").is_success
        assert admin.delete("containers/audited").is_success
    entries = kept(server, action="container:*", target="audited")
    assert [(entry["action"], entry["method"]) for entry in entries] == [
        ("container:create", "POST"),
        ("container:exec", "OPEN"),
        ("container:exec", "CLOSE"),
        ("container:stop", "POST"),
        ("container:delete", "DELETE"),
    ]
    assert {entry["outcome"] for entry in entries} == {"succeeded"}
    for number in (0, 3, 4):
        assert entries[number]["target"].split()[0] == "audited"
        assert made["id"] in entries[number]["target"].split()
    assert "hunter2" not in str(entries)
    assert "container:delete" in server.pig("audit", "--target", "audited")


def test_long_work_is_accepted_and_ends(running_server: JupyterServer, registry: Registry) -> None:
    server = running_server
    image = push_layers(registry.address, "audit/pulled", sizes=(8 << 20,))
    with server.client() as admin:
        begun = admin.post("images/pull", json={"name": image}, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202
        operation = begun.json()["data"]["id"]
        scratch.wait_until(
            lambda: admin.get(f"operations/{operation}").json()["state"] == "succeeded", "its end"
        )
    accepted, ended = kept(server, target=operation)
    assert (accepted["method"], accepted["status"]) == ("POST", 202)
    assert accepted["target"] == f"{image} {operation}"
    assert (ended["method"], ended["status"], ended["username"]) == ("END", 200, "admin")
    assert ended["target"].split()[:2] == [image, operation]
    assert ended["credential"] == f"operation:{operation}"
    assert ended["action"] == accepted["action"] == "image:pull"
