"""Idle containers through a server process of their own: rules set over HTTP, GPUs, the audit.

The GPUs are simulated: NVIDIA's own library for Python reads them from a library of the tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until

pytestmark = [pytest.mark.docker]

BUSY, QUIET = "GPU-0000-busy", "GPU-0001-quiet"
SHORT = {"idle_minutes": 0.5, "idle_warning_minutes": 0.2}


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    busy = Card(BUSY, utilization=60)
    return Cards(tmp_path_factory.mktemp("nvml"), [busy, Card(QUIET)])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cards: Cards) -> Iterator[JupyterServer]:
    hooks = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {"rate_limits": {"containers": {"amount": 0}, "piglet": {"amount": 0}}},
        "IdleThresholds": {"interval": 1},
    }
    with Dockerd(programs=hooks) as engine:
        images.load_busybox(engine)
        with jupyter.jupyter_server(
            docker_host=engine.url, environ=cards.environ, config=config
        ) as running:
            yield running


@pytest.fixture(scope="module")
def admin(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        wait_until(lambda: len(client.get("gpus").json()["gpus"]) == 2, "the GPUs")
        yield client


@pytest.fixture(scope="module")
def people(server: JupyterServer, admin: httpx.Client) -> Iterator[dict[str, httpx.Client]]:
    found = {}
    for name in ("alice", "bob"):
        admin.post("users", json={"username": name, "password": "wonderland"}).raise_for_status()
        found[name] = server.client(headers={"X-API-Key": server.user_key(name)})
    yield found
    for client in found.values():
        client.close()


def make(client: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "image": "busybox:latest", "command": ["sleep", "600"], **more}
    made: dict[str, Any] = client.post("containers", json=body).raise_for_status().json()["data"]
    return made


def shown(client: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"containers/{name}").raise_for_status().json()["data"]
    return found


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_a_gpu_that_computes_keeps_its_container_and_one_that_rests_is_freed(
    server: JupyterServer,
    admin: httpx.Client,
    people: dict[str, httpx.Client],
    cards: Cards,
) -> None:
    alice, bob = people["alice"], people["bob"]
    set_ = admin.put("quotas/role:user", json=SHORT).raise_for_status().json()
    assert set_["rules"]["idle_minutes"] == {
        "limit": 0.5,
        "limit_text": "0.5 min",
        "source": "role",
    }
    make(alice, "computes", gid=1)
    make(alice, "rests", gid=2)
    make(alice, "kept")
    wait_until(lambda: shown(alice, "kept")["idle"], "the first look", 30)
    assert bob.post("containers/kept/keep", json={}).status_code == 404
    kept = alice.post("containers/kept/keep", json={"minutes": 5}).raise_for_status().json()["data"]
    assert kept["idle"]["kept_until"]
    too_long = alice.post("containers/kept/keep", json={"minutes": 1441})
    assert too_long.status_code == 400
    assert too_long.json()["errors"] == [{"field": "minutes", "message": "must be 1440 or less"}]
    wait_until(lambda: shown(alice, "rests")["idle"]["stopped_at"], "the stop", 120)
    rests = shown(alice, "rests")
    assert (rests["status"], rests["idle"]["reason"]) == ("exited", "idle")
    # Its GPU is free for somebody else.
    make(bob, "next", gid=2)
    assert shown(alice, "computes")["status"] == shown(alice, "kept")["status"] == "running"
    assert "stopped at" in server.pig("container", "show", "rests")
    assert "kept is kept until" in server.pig("container", "keep", "kept", "--minutes", "7")
    found = admin.get("audit", params={"target": "kept"}).raise_for_status().json()["entries"]
    acts = [(each["username"], each["path"], each["status"]) for each in found]
    assert ("alice", "/api/v1/containers/kept/keep", 200) in [
        (who, path[path.index("/api") :], status) for who, path, status in acts
    ]
    admin.put("quotas/role:user", json=dict.fromkeys(SHORT, "default")).raise_for_status()
    cards.change(0, utilization=0)


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"idle_minutes": 0}, "idle_minutes", "more than 0"),
        ({"idle_minutes": True}, "idle_minutes", "number of minutes"),
        ({"idle_minutes": "an hour"}, "idle_minutes", "number of minutes"),
        ({"lifetime_minutes": 1e300}, "lifetime_minutes", "at most"),
        ({"keep_minutes": -5}, "keep_minutes", "more than 0"),
        ({"idle_minute": 5}, "idle_minute", "no resource"),
        (
            {"idle_minutes": 30, "idle_warning_minutes": 30},
            "idle_warning_minutes",
            "less than idle_minutes, which is 30 min",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    admin: httpx.Client, body: dict[str, Any], field: str, problem: str
) -> None:
    before = admin.get("quotas/role:viewer").json()
    reply = admin.put("quotas/role:viewer", json=body)
    assert reply.status_code == 400, reply.text
    assert problem in json.dumps(reply.json()["error"]["details"][field])
    assert admin.get("quotas/role:viewer").json() == before


def test_rules_are_set_and_shown_by_the_command_line(server: JupyterServer) -> None:
    words = ("quota", "set", "role:viewer", "idle_minutes=120", "lifetime_minutes=1440")
    assert "120 min" in server.pig(*words)
    text = server.pig("quota", "show", "role:viewer")
    assert "1440 min" in text
    assert "none" in server.pig("quota", "set", "role:viewer", "idle_minutes=none")
    server.pig("quota", "set", "role:viewer", "idle_minutes=default", "lifetime_minutes=default")
