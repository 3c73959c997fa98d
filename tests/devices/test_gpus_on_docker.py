"""GPUs over HTTP: simulated cards, real requests to a real engine.

What a container was given is judged by what the engine says of it, never by our own books.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until

pytestmark = [pytest.mark.docker]

SMALL, LARGE = "GPU-0000-small", "GPU-0001-large"
ASYNC = {"Prefer": "respond-async"}
Client = httpx.Client


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """An engine that takes requests for GPUs."""
    with Dockerd(programs=gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))) as running:
        images.load_busybox(running)
        yield running


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    small = Card(SMALL, "NVIDIA L4", 24 * gpus.GIB)
    return Cards(tmp_path_factory.mktemp("nvml"), [small, Card(LARGE)])


@pytest.fixture(scope="module")
def server(engine: Dockerd, cards: Cards) -> Iterator[JupyterServer]:
    limits = {"containers": {"amount": 0}, "piglet": {"amount": 0}}
    with jupyter.jupyter_server(
        docker_host=engine.url,
        environ=cards.environ,
        config={"JupyterExt": {"rate_limits": limits}},
    ) as running:
        wait_until(lambda: len(gpus_of(running)) == 2, "the GPUs")
        yield running


@pytest.fixture(autouse=True)
def clean(engine: Dockerd, server: JupyterServer) -> Iterator[None]:
    yield
    with server.client() as client:
        for each in client.get("operations", params={"state": "running"}).json()["operations"]:
            client.delete(f"operations/{each['id']}")
    engine.clean()
    wait_until(lambda: not any(gpu["holders"] for gpu in gpus_of(server)), "the GPUs free")


@pytest.fixture
def admin(server: JupyterServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def alice(server: JupyterServer, admin: Client) -> Iterator[Client]:
    made = admin.post("users", json={"username": "alice", "password": "wonderland"})
    assert made.status_code in (201, 409)
    with server.client(headers={"X-API-Key": server.user_key("alice")}) as client:
        yield client


def gpus_of(server: JupyterServer) -> list[dict[str, Any]]:
    with server.client() as client:
        found: list[dict[str, Any]] = client.get("gpus").raise_for_status().json()["gpus"]
        return found


def make(client: Client, name: str, **more: Any) -> httpx.Response:
    body = {"name": name, "image": "busybox:latest", "command": ["sleep", "600"], **more}
    headers = more.pop("headers", {})
    body.pop("headers", None)
    return client.post("containers", json=body, headers=headers)


def inspected(engine: Dockerd, id_: str) -> dict[str, Any]:
    [found] = json.loads(engine.docker("inspect", id_))
    return dict(found)


def granted(engine: Dockerd, id_: str) -> list[str]:
    """The GPUs that the engine was asked to hand in."""
    requests = inspected(engine, id_)["HostConfig"]["DeviceRequests"] or []
    return [uuid for request in requests for uuid in request["DeviceIDs"]]


def visible(engine: Dockerd, id_: str) -> str:
    return engine.docker("exec", id_, "sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES")


def test_a_granted_gpu_reaches_the_engine_and_no_other(admin: Client, engine: Dockerd) -> None:
    one = make(admin, "one", gid=2).raise_for_status().json()["data"]
    assert granted(engine, one["id"]) == [LARGE]
    assert visible(engine, one["id"]) == LARGE
    none = make(admin, "none").raise_for_status().json()["data"]
    assert granted(engine, none["id"]) == []
    assert visible(engine, none["id"]) == "void"
    nothing = make(admin, "nothing", gid=0).raise_for_status().json()["data"]
    assert granted(engine, nothing["id"]) == []
    # Loaders of data pass it through there.
    assert inspected(engine, one["id"])["HostConfig"]["ShmSize"] == 1 << 30


def test_nobody_lands_on_somebody_elses_gpu(admin: Client, alice: Client, engine: Dockerd) -> None:
    hers = make(alice, "hers", gid="auto").raise_for_status().json()["data"]
    # The small one will do, so the large one stays free.
    assert granted(engine, hers["id"]) == [SMALL]
    taken = make(admin, "mine", gid=1)
    assert taken.status_code == 409
    assert "GPU 1 is taken" in taken.json()["message"]
    assert make(admin, "mine", gid="auto", gpu_model="l4").status_code == 409
    both = make(admin, "mine", count=2)
    assert both.status_code == 409
    assert "1 of 2" in both.json()["message"]
    mine = make(admin, "mine", gid="auto").raise_for_status().json()["data"]
    assert granted(engine, mine["id"]) == [LARGE]
    assert engine.docker("ps", "--quiet").split() == [mine["id"][:12], hers["id"][:12]]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"gid": -1}, "gid"),
        ({"gid": [1, 1]}, "gid"),
        ({"gid": "any"}, "gid"),
        ({"gid": [1, 0]}, "gid"),
        ({"count": 65}, "count"),
        ({"count": -1}, "count"),
        ({"gid": 1, "count": 2}, "count is 2"),
        ({"gpu_model": "A100"}, "gpu_model"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    admin: Client, wish: dict[str, Any], field: str
) -> None:
    reply = make(admin, "strange", **wish)
    assert reply.status_code == 400, reply.text
    assert field in reply.text


def test_a_gpu_that_is_not_there(admin: Client, engine: Dockerd) -> None:
    reply = make(admin, "missing", gid=[1, 9])
    assert reply.status_code == 409
    assert "There is no GPU 9" in reply.json()["message"]
    assert engine.docker("ps", "--all", "--quiet") == ""
    assert "missing" not in admin.get("containers").text


def test_it_is_free_while_the_container_is_stopped_and_taken_again(
    admin: Client, alice: Client, engine: Dockerd
) -> None:
    one = make(admin, "one", gid=1).raise_for_status().json()["data"]
    admin.post("containers/one/stop").raise_for_status()
    hers = make(alice, "hers", gid=1).raise_for_status().json()["data"]
    refused = admin.post("containers/one/start")
    assert refused.status_code == 409
    assert "GPU 1 is taken" in refused.json()["message"]
    assert not inspected(engine, one["id"])["State"]["Running"]
    alice.delete("containers/hers").raise_for_status()
    admin.post("containers/one/start").raise_for_status()
    assert granted(engine, one["id"]) == [SMALL]
    assert make(alice, "hers", gid=1).status_code == 409
    admin.post("containers/one/restart").raise_for_status()
    assert make(alice, "hers", gid=1).status_code == 409
    del hers


def test_two_starts_at_once_take_nothing_of_somebody_elses(
    admin: Client, alice: Client, engine: Dockerd
) -> None:
    one = make(admin, "one", gid=1).raise_for_status().json()["data"]
    admin.post("containers/one/stop").raise_for_status()
    make(alice, "hers", gid=1).raise_for_status()
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: admin.post("containers/one/start"), range(8)))
    assert {reply.status_code for reply in replies} == {409}
    assert not inspected(engine, one["id"])["State"]["Running"]
    alice.delete("containers/hers", params={"force": True}).raise_for_status()
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: admin.post("containers/one/start"), range(8)))
    assert {reply.status_code for reply in replies} == {200}
    assert make(alice, "hers", gid=1).status_code == 409


def test_it_is_kept_through_many_restarts(
    admin: Client, alice: Client, server: JupyterServer
) -> None:
    make(admin, "one", gid=1).raise_for_status()
    for _ in range(5):
        path = "containers/one/restart"
        with ThreadPoolExecutor(2) as threads:
            restart = threads.submit(admin.post, path, json={"timeout": 0})
            others = [make(alice, "hers", gid=1).status_code for _ in range(10)]
        assert restart.result().status_code == 200
        assert set(others) == {409}
    assert [gpu["holders"][0]["container"] for gpu in gpus_of(server) if gpu["holders"]] == ["one"]


def test_it_is_free_as_soon_as_the_stop_is_answered(admin: Client, alice: Client) -> None:
    make(admin, "one", gid=1).raise_for_status()
    for _ in range(3):
        admin.post("containers/one/stop", json={"timeout": 0}).raise_for_status()
        make(alice, "hers", gid=1).raise_for_status()
        alice.delete("containers/hers", params={"force": True}).raise_for_status()
        admin.post("containers/one/start").raise_for_status()


def test_the_engine_never_starts_it_again(admin: Client) -> None:
    make(admin, "one", gid=1, restart_policy="always").raise_for_status()
    shown = admin.get("containers/one").json()["data"]
    assert shown["restart_policy"] == "no"
    refused = admin.put("containers/one", json={"restart_policy": "always"})
    assert refused.status_code == 400
    assert "GPUs" in refused.json()["message"]


def test_what_is_started_past_the_server_is_counted_or_ended(
    server: JupyterServer, admin: Client, alice: Client, engine: Dockerd
) -> None:
    run = ("run", "--detach", "busybox:latest", "sleep", "600")
    beside = engine.docker(*run[:2], "--gpus", f"device={LARGE}", *run[2:])
    wait_until(lambda: gpus_of(server)[1]["holders"], "the claim of what runs beside")
    assert make(alice, "hers", gid=2).status_code == 409
    hers = make(alice, "hers", gid=1).raise_for_status().json()["data"]
    stolen = engine.docker(*run[:2], "--gpus", f"device={SMALL}", *run[2:])
    wait_until(lambda: not inspected(engine, stolen)["State"]["Running"], "its end")
    assert inspected(engine, hers["id"])["State"]["Running"]
    assert inspected(engine, beside)["State"]["Running"]
    # And one of hers that is started by hand while somebody else has its GPU.
    alice.post("containers/hers/stop", json={"timeout": 0}).raise_for_status()
    make(admin, "mine", gid=1).raise_for_status()
    engine.docker("start", hers["id"])
    wait_until(lambda: not inspected(engine, hers["id"])["State"]["Running"], "its end")


def test_a_request_that_is_given_up_leaves_nothing(admin: Client, alice: Client) -> None:
    make(admin, "one", gid=[1, 2]).raise_for_status()
    begun = make(alice, "hers", gid=1, wait=True, headers=ASYNC).json()["data"]["id"]
    wait_until(lambda: admin.get("gpus").json()["waiting"] == 1, "the request")
    assert admin.get(f"operations/{begun}").json()["state"] == "running"
    assert alice.delete(f"operations/{begun}").json()["state"] == "cancelled"
    assert admin.get("gpus").json()["waiting"] == 0
    admin.delete("containers/one", params={"force": True}).raise_for_status()
    make(alice, "hers", gid=1).raise_for_status()


@pytest.mark.parametrize("command", [["stop", "-t", "0"], ["kill"], ["rm", "--force"]])
def test_what_ends_past_the_server_is_free_again(
    admin: Client, engine: Dockerd, command: list[str]
) -> None:
    one = make(admin, "one", gid=1).raise_for_status().json()["data"]
    engine.docker(*command, one["id"])
    wait_until(lambda: make(admin, "next", gid=1).status_code == 200, "the GPU", 10)


def test_who_waits_is_told_the_place_and_served_in_order(
    server: JupyterServer, admin: Client, alice: Client, engine: Dockerd
) -> None:
    make(admin, "one", gid=[1, 2]).raise_for_status()
    waiting = []
    for number, client in enumerate((alice, admin, alice)):
        reply = make(client, f"w{number}", gid=1, wait=True, headers=ASYNC)
        assert reply.status_code == 202, reply.text
        waiting.append(reply.json()["data"]["id"])

    def operation(number: int) -> dict[str, Any]:
        found: dict[str, Any] = admin.get(f"operations/{waiting[number]}").json()
        return found

    wait_until(lambda: operation(2)["details"].get("place") == 3, "the place")
    assert "2 before you in the queue" in operation(2)["message"]
    assert operation(0)["details"] == {"place": 1, "estimate_seconds": None}
    assert admin.get("gpus").json()["waiting"] == 3
    # Somebody who does not wait is not let past.
    admin.delete("containers/one", params={"force": True}).raise_for_status()
    wait_until(lambda: operation(0)["state"] == "succeeded", "the first")
    assert [operation(n)["state"] for n in (1, 2)] == ["running", "running"]
    assert make(admin, "quick", gid=1).status_code == 409
    # Who gives up makes room for the next.
    assert admin.delete(f"operations/{waiting[1]}").json()["state"] == "cancelled"
    alice.delete("containers/w0", params={"force": True}).raise_for_status()
    wait_until(lambda: operation(2)["state"] == "succeeded", "the last")
    assert granted(engine, operation(2)["result"]["id"]) == [SMALL]
    assert "w1" not in admin.get("containers").text
    assert operation(2)["result"]["name"] == "w2"


def test_only_administrators_read_whose_it_is(
    admin: Client, alice: Client, cards: Cards, engine: Dockerd
) -> None:
    mine = make(admin, "secret", gid=2).raise_for_status().json()["data"]
    pid = inspected(engine, mine["id"])["State"]["Pid"]
    cards.change(1, used=5 * gpus.GIB, utilization=87, process=pid)
    try:
        wait_until(lambda: admin.get("gpus/2").json()["utilization"] == 87, "a reading", 20)
        shown = admin.get("gpus/2").json()
        [holder] = shown["holders"]
        assert (holder["container"], holder["username"], holder["mine"]) == (
            "secret",
            "admin",
            True,
        )
        [process] = shown["processes"]
        assert (process["pid"], process["container"]) == (pid, "secret")
        assert process["memory_used"] == 5 * gpus.GIB
        assert shown["history"][-1]["utilization"] == 87
        assert (shown["memory_used"], shown["temperature"], shown["power"]) == (
            5 * gpus.GIB,
            35,
            60.0,
        )
        measured: dict[str, Any] = {"gid": 2, "utilization": 87, "memory_used": 5 * gpus.GIB}
        measured |= {"temperature": 35, "power": 60.0}
        assert admin.get("metrics/containers/secret").json()["data"]["gpus"] == [measured]
        assert measured in alice.get("metrics/resources").json()["data"]["gpus"]
        hers = alice.get("gpus/2")
        assert "secret" not in hers.text
        assert "admin" not in hers.text
        assert hers.json()["holders"] == [
            {"since": holder["since"], "mine": False, "cid": None, "container": None}
            | {"username": None}
        ]
        assert hers.json()["processes"][0]["pid"] is None
    finally:
        cards.change(1, used=0, utilization=0, process=0)
    assert alice.get("gpus/9").status_code == 404
    assert alice.get("gpus/x").status_code == 404


def test_this_machine_is_ready_since_its_engine_was_reached(admin: Client) -> None:
    device = admin.get("devices/1").json()
    since = datetime.fromisoformat(device["since"])
    assert device["state"] == "ready"
    assert timedelta(0) < datetime.now(UTC) - since < timedelta(hours=1)


def test_the_device_has_so_much_and_no_more(
    server: JupyterServer, admin: Client, engine: Dockerd
) -> None:
    cpus = int(engine.docker("info", "--format", "{{.NCPU}}"))
    make(admin, "half", cpu=cpus - 0.5).raise_for_status()
    full = make(admin, "more", cpu=1)
    assert full.status_code == 409
    assert "not enough processors or memory" in full.json()["message"]
    make(admin, "little", cpu=0.5).raise_for_status()
    # A stopped one takes nothing, and asks again when it starts.
    admin.post("containers/half/stop").raise_for_status()
    make(admin, "more", cpu=1).raise_for_status()
    assert admin.post("containers/half/start").status_code == 409
    admin.delete("containers/more", params={"force": True}).raise_for_status()
    admin.post("containers/half/start").raise_for_status()
    assert admin.put("containers/little", json={"cpu": 1}).status_code == 409
    assert admin.put("containers/half", json={"cpu": 0.5}).is_success
    assert admin.put("containers/little", json={"cpu": 1}).is_success


def test_gpus_count_against_a_quota_while_they_are_held(
    server: JupyterServer, admin: Client, alice: Client
) -> None:
    admin.put("quotas/alice", json={"gpus": 1}).raise_for_status()
    try:
        make(alice, "one", gid="auto").raise_for_status()
        over = make(alice, "two", gid="auto")
        assert over.status_code == 403
        assert "one" in over.json()["message"]
        # One that waits counts as well: it would pass the limit as soon as it got one.
        assert make(alice, "two", gid="auto", wait=True).status_code == 403
        alice.post("containers/one/stop").raise_for_status()
        make(alice, "two", gid="auto").raise_for_status()
        assert alice.post("containers/one/start").status_code == 403
        alice.delete("containers/two", params={"force": True}).raise_for_status()
        alice.post("containers/one/start").raise_for_status()
        used = alice.get("quota").json()
        assert used["resources"]["gpus"]["used"] == 1 if "resources" in used else used
    finally:
        admin.put("quotas/alice", json={"gpus": None})


def test_slices_take_the_place_of_their_card(
    engine: Dockerd, tmp_path: Path, make_server: Callable[..., JupyterServer]
) -> None:
    slices = [Card(f"MIG-{n}", "NVIDIA A100 MIG 3g.40gb", 40 * gpus.GIB, card=LARGE) for n in "ab"]
    cards = Cards(tmp_path, [Card(SMALL), Card(LARGE), *slices])
    server = make_server(docker_host=engine.url, environ=cards.environ)
    wait_until(lambda: len(gpus_of(server)) == 3, "the GPUs")
    found = {gpu["uuid"]: gpu["parent"] for gpu in gpus_of(server)}
    assert found == {SMALL: None, "MIG-a": LARGE, "MIG-b": LARGE}
    with server.client() as admin:
        made = make(admin, "sliced", gid="auto").raise_for_status().json()["data"]
        assert granted(engine, made["id"]) == ["MIG-a"]


def test_who_waits_survives_a_server_that_was_killed(
    engine: Dockerd, tmp_path: Path, make_server: Callable[..., JupyterServer]
) -> None:
    cards = Cards(tmp_path, [Card(SMALL)])
    with ExitStack() as stack:
        server = make_server(docker_host=engine.url, environ=cards.environ)
        wait_until(lambda: len(gpus_of(server)) == 1, "the GPU")
        with server.client() as admin:
            one = make(admin, "one", gid=1).raise_for_status().json()["data"]
            more = {"environment": {"SECRET": "s3cret"}, "headers": ASYNC}
            waiting = make(admin, "two", gid=1, wait=True, **more).json()["data"]["id"]
            wait_until(lambda: admin.get("gpus").json()["waiting"] == 1, "the request")
        server.process.kill()
        server.process.wait()
        assert b"s3cret" not in b"".join(
            path.read_bytes() for path in server.home.glob("store.db*")
        )
        again = make_server(docker_host=engine.url, environ=cards.environ, home=server.home)
        client = stack.enter_context(closing(again.client()))

        def state() -> str:
            return str(client.get(f"operations/{waiting}").json()["state"])

        wait_until(lambda: client.get("gpus").json()["gpus"], "the GPU")
        assert client.get("gpus").json()["gpus"][0]["holders"][0]["container"] == "one"
        assert state() == "running"
        assert make(client, "two").status_code == 409
        client.delete("containers/one", params={"force": True}).raise_for_status()
        wait_until(lambda: state() == "succeeded", "the GPU for who waited")
        two = client.get("containers/two").json()["data"]
        assert granted(engine, two["id"]) == [SMALL]
        assert engine.docker("exec", two["id"], "sh", "-c", "echo $SECRET") == "s3cret"
        del one


def test_who_waits_is_served_although_the_engine_is_away_at_its_turn(
    admin: Client, engine: Dockerd
) -> None:
    def now() -> dict[str, Any]:
        found: dict[str, Any] = admin.get(f"operations/{waiting}").json()
        return found

    make(admin, "early", gid=1).raise_for_status()
    waiting = make(admin, "late", gid=1, wait=True, headers=ASYNC).json()["data"]["id"]
    wait_until(lambda: admin.get("gpus").json()["waiting"] == 1, "the request")
    admin.put("devices/1", json={"draining": True}).raise_for_status()
    try:
        admin.delete("containers/early", params={"force": True}).raise_for_status()
        with engine.hanging():
            admin.put("devices/1", json={"draining": False}).raise_for_status()
            wait_until(lambda: "does not answer" in now()["message"], "what it waits for", 60)
            assert now()["state"] == "running"
    finally:
        admin.put("devices/1", json={"draining": False}).raise_for_status()
    wait_until(lambda: now()["state"] != "running", "the container", 60)
    assert now()["state"] == "succeeded", now()
    late = admin.get("containers/late").json()["data"]
    assert granted(engine, late["id"]) == [SMALL]
    # The first try, of which nobody knew what became, left none beside it.
    [only] = engine.docker("ps", "--all", "--quiet", "--no-trunc").split()
    assert only == late["id"]


def test_from_the_command_line(server: JupyterServer, admin: Client, engine: Dockerd) -> None:
    def told(*words: str) -> str:
        done = server.run(server.python, "-m", "jupyter_ext.cli", *words)
        return f"{done.returncode} {done.stdout}{done.stderr}"

    assert "NVIDIA L4" in server.pig("gpu", "list")
    assert told("gpu", "who").startswith("0 All GPUs are free")
    run = ("container", "run", "--name", "cli", "--gpu", "auto", "--gpu-mem", "30g")
    server.pig(*run, "busybox:latest", "sleep", "600")
    made = admin.get("containers/cli").json()["data"]
    assert granted(engine, made["id"]) == [LARGE]
    assert made["gpus"] == [2]
    assert "admin.cli" in server.pig("gpu", "who")
    assert "taken" in server.pig("gpu", "show", "2")
    assert "0 wait in all" in told("gpu", "queue")
    make(admin, "later", gid=2, wait=True, headers=ASYNC)
    wait_until(lambda: "later" in server.pig("gpu", "queue"), "the place in the queue")
    [found] = [gpu for gpu in json.loads(server.pig("gpu", "list", "--json")) if gpu["gid"] == 2]
    assert found["holders"][0]["container"] == "cli"
    assert told("gpu", "show", "9").startswith("3 ")
    assert "write auto, 2 or 1,3" in told("container", "run", "--gpu", "x", "busybox")
