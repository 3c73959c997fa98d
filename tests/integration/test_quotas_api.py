"""Quotas over REST, with real containers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ..conftest import MakeServer
from ..engines.dockerd import Dockerd
from ..engines.scratch import wait_until
from .api_users import Json, User, inspect, left

pytestmark = pytest.mark.docker

MB = 1 << 20
NOTHING = dict.fromkeys(("containers", "cpu", "memory"), "default")


def used(user: User) -> dict[str, Any]:
    quotas: Json = user.http.get("/quota").raise_for_status().json()["quotas"]
    return {name: quota["used"] for name, quota in quotas.items() if quota["used"]}


@pytest.fixture
def limit(admin: User) -> Iterator[Any]:
    """Set limits of alice's, lifted again after the test."""

    def put(**limits: Any) -> Json:
        reply: Json = admin.http.put("/quotas/alice", json=limits).raise_for_status().json()
        return reply

    yield put
    put(**NOTHING)


def test_a_quota_is_enforced_shown_and_given_back(
    admin: User, alice: User, limit: Any, docker_engine: Dockerd
) -> None:
    set_ = limit(containers=2, cpu=1.5, memory="256MB")
    assert set_["user"] == "alice"
    assert set_["quotas"]["memory"]["limit"] == 256 * MB
    bare = alice("POST", "/containers", 400, json={"name": "bare", "image": "busybox"})
    assert {error["field"] for error in bare["errors"]} == {"cpu", "mem"}
    assert "256 or less" in str(bare["errors"])
    one = alice.run("one", cpu=0.5, mem=64)
    alice.run("two", cpu=0.5, mem=64)
    assert used(alice) == {"containers": 2, "cpu": 1, "memory": 128 * MB}
    three = {"name": "three", "image": "busybox", "cpu": 0.1, "mem": 8}
    refused = alice("POST", "/containers", 403, json=three)
    assert "2 containers in use, by two, one" in refused["message"]
    assert len(left(docker_engine).split()) == 2

    limit(containers=5)
    big = alice("PUT", "/containers/one", 403, json={"cpu": 1.25})
    assert "0.75 cores more would pass the limit of 1.5 cores" in big["message"]
    assert inspect(docker_engine, one["id"])["HostConfig"]["NanoCpus"] == 500_000_000
    alice("PUT", "/containers/one", json={"cpu": 1, "mem": 128})
    assert used(alice) == {"containers": 2, "cpu": 1.5, "memory": 192 * MB}
    alice("POST", "/containers/one/stop")
    alice("POST", "/containers", 403, json=three)
    alice("DELETE", "/containers/one")
    alice.run("three", cpu=1, mem=192)
    docker_engine.docker("rm", "--force", "alice.two", "alice.three")
    wait_until(lambda: used(alice) == {}, "what was removed to be given back")


def test_many_requests_at_once_pass_no_limit_together(
    alice: User, limit: Any, docker_engine: Dockerd
) -> None:
    limit(containers=3)

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(
            base_url=alice.server.api,
            headers={"X-API-Key": alice.key},
            trust_env=False,
            timeout=60,
        ) as http:
            bodies = (
                {"name": f"c{number}", "image": "busybox", "command": "sleep 1000"}
                for number in range(12)
            )
            replies = await asyncio.gather(
                *(http.post("/containers", json=body) for body in bodies)
            )
        return [reply.status_code for reply in replies]

    assert Counter(asyncio.run(all_at_once())) == {200: 3, 403: 9}
    assert used(alice) == {"containers": 3}
    assert len(left(docker_engine).split()) == 3


def test_what_docker_made_counts_and_is_not_refused(admin: User, docker_engine: Dockerd) -> None:
    before = used(admin)
    docker_engine.docker(
        *("run", "--detach", "--name", "plain", "--cpus", "0.75", "--memory", "64m"),
        *("busybox:latest", "sleep", "1000"),
    )
    wait_until(lambda: used(admin).get("cpu") == 0.75, "the container's cores")
    assert used(admin)["memory"] == 64 * MB
    docker_engine.docker("update", "--cpus", "0.5", "plain")
    wait_until(lambda: used(admin).get("cpu") == 0.5, "its new ones")
    docker_engine.docker("rm", "--force", "plain")
    wait_until(lambda: used(admin) == before, "what was removed to be given back")


def test_only_an_administrator_sees_and_sets_quotas_of_others(admin: User, alice: User) -> None:
    for name in ("alice", "user", "nobody"):
        assert alice.http.get(f"/quotas/{name}").status_code == 403
        assert alice.http.put(f"/quotas/{name}", json={"containers": 99}).status_code == 403
    wrong = admin.http.put("/quotas/alice", json={"containers": -1, "gpu": 1, "cpu": "x"})
    assert wrong.status_code == 400
    assert set(wrong.json()["error"]["details"]) == {"containers", "cpu", "gpu"}
    assert admin.http.get("/quotas/nobody").status_code == 404
    assert admin.http.get("/quotas/user").json()["quotas"]["machines"]["limit"] == 5


def test_sums_heal_at_start_and_quotas_last(make_server: MakeServer) -> None:
    """Also on the command line, on a server of the test's own that has no engine."""
    import sqlite3

    config = {"JupyterExt": {"quotas": {"user": {"databases": 2}}}}
    server = make_server(config=config)
    shown = json.loads(server.pig("quota", "set", "admin", "cpu=2.5", "memory=8GB", "--json"))
    assert {quota["resource"]: quota["limit"] for quota in shown}["memory"] == 8 << 30
    server.stop()
    with sqlite3.connect(server.home / "store.db") as store:
        (admin,) = store.execute("SELECT id FROM users WHERE username = 'admin'").fetchone()
        store.execute("INSERT INTO quota_use VALUES (?, 'containers', 7)", (admin,))
    store.close()
    server = make_server(config=config, home=server.home)
    shown = json.loads(server.pig("quota", "show", "--json"))
    quotas = {quota["resource"]: quota for quota in shown}
    assert quotas["containers"]["used"] == 0
    assert (quotas["cpu"]["limit"], quotas["cpu"]["source"]) == (2.5, "role")
    assert "RESOURCE" in server.pig("quota", "show", "role:admin")
    shown = json.loads(server.pig("quota", "show", "admin", "--json"))
    assert {quota["resource"]: quota["limit"] for quota in shown}["cpu"] == 2.5
    shown = json.loads(server.pig("quota", "show", "user", "--json"))
    assert {quota["resource"]: quota["limit"] for quota in shown}["databases"] == 2
