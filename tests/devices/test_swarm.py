"""A swarm of three engines on hosts of their own: its nodes are devices.

The first engine manages it and is the desk's own; the second declares GPUs. All are behind TLS,
with certificates of one authority, as a swarm's operator has them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import gpus, images, jupyter, require
from ..engines.certificates import Certificates
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.jupyter import JupyterServer
from ..engines.network import Host, network
from ..engines.scratch import wait_until
from ..integration.api_users import join

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(300)]

GPUS = ("GPU-aaaaaaa1-0000-0000-0000-000000000001", "GPU-bbbbbbb2-0000-0000-0000-000000000002")
NETWORK = "lab-{username}"


@dataclass
class Lab:
    """A desk whose engine manages a swarm."""

    server: JupyterServer
    engines: list[Dockerd]
    hosts: list[Host]
    certificates: Certificates

    def client(self) -> httpx.Client:
        return self.server.client()

    def manage(self, *words: str) -> str:
        return self.engines[0].docker(*words)

    def node(self, number: int) -> str:
        return self.engines[number].docker("info", "--format", "{{.Swarm.NodeID}}")

    def address(self, number: int) -> str:
        return f"tcp://{self.hosts[number].address}:2376"

    def label(self, number: int) -> None:
        word = f"jupyter_ext.engine={self.address(number)}"
        self.manage("node", "update", "--label-add", word, self.node(number))

    def join(self, number: int) -> None:
        token = self.manage("swarm", "join-token", "--quiet", "worker")
        here, manager = self.hosts[number].address, self.hosts[0].address
        self.engines[number].docker(
            *("swarm", "join", "--token", token, "--advertise-addr", here, f"{manager}:2377")
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as stack:
        _, hosts = stack.enter_context(network(3))
        hook = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
        declared = [
            word for uuid in GPUS for word in ("--node-generic-resource", f"NVIDIA-GPU={uuid}")
        ]
        certificates = Certificates(
            tmp_path_factory.mktemp("tls"), *(host.address for host in hosts)
        )
        engines: list[Dockerd] = []
        for number, host in enumerate(hosts):
            counted = ("--node-generic-resource", "NVIDIA-GPU=2") if number == 2 else ()
            engine = Dockerd(
                listen=(f"tcp://{host.address}:2376",),
                options=(*certificates.options, *(declared if number == 1 else counted)),
                programs=hook if number == 1 else None,
                host=host,
            )
            try:
                engines.append(stack.enter_context(engine))
            except EngineMissing as why:
                require.missing("docker", str(why))
        # One image on all of them.
        images.load_busybox(engines[0])
        saved = tmp_path_factory.mktemp("image") / "busybox.tar"
        engines[0].docker("save", "--output", str(saved), "busybox:latest")
        for engine in engines[1:]:
            engine.docker("load", "--input", str(saved))
        engines[0].docker(
            *("swarm", "init", "--advertise-addr", hosts[0].address),
            *("--default-addr-pool", "10.112.0.0/16"),
        )
        server = stack.enter_context(desk(engines[0], certificates.client))
        lab = Lab(server, engines, hosts, certificates)
        lab.join(1)
        lab.join(2)
        yield lab


@contextmanager
def desk(engine: Dockerd, certificates: Path) -> Iterator[JupyterServer]:
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {
            "rate_limits": {name: {"amount": 0} for name in ("containers", "piglet", "matrix")}
        },
        "ContainerDefaults": {
            "init": False,
            "node_certificates": str(certificates),
            "network": NETWORK,
            "owner_network": NETWORK,
        },
    }
    with jupyter.jupyter_server(docker_host=engine.url, config=config) as server:
        yield server


@pytest.fixture(autouse=True)
def clean(lab: Lab) -> Iterator[None]:
    yield
    with lab.client() as client:
        for item in listed(client):
            client.delete(f"containers/{item['cid']}?force=true")
    for service in lab.manage("service", "ls", "--quiet").split():
        lab.manage("service", "rm", service)


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("containers").json()["data"]["items"]
    return found


def devices(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("devices").json()["devices"]
    return found


def of_node(client: httpx.Client, node: str) -> dict[str, Any]:
    [found] = [device for device in devices(client) if device["node"] == node] or [{}]
    return found


def ready(lab: Lab, client: httpx.Client, number: int) -> dict[str, Any]:
    """Return the device of a node once it can be used."""
    node = lab.node(number)
    wait_until(lambda: "state" in of_node(client, node), "the node")
    if of_node(client, node)["state"] == "no-address":
        lab.label(number)
    wait_until(lambda: of_node(client, node)["state"] == "ready", "its engine")
    return of_node(client, node)


def make(client: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "image": "busybox:latest", "command": ["sleep", "3600"], **more}
    reply = client.post("containers", json=body)
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()["data"]
    return made


def status(client: httpx.Client, made: dict[str, Any]) -> str:
    return str(client.get(f"containers/{made['cid']}").json()["data"]["status"])


def running(engine: Dockerd) -> list[str]:
    return sorted(engine.docker("ps", "--format", "{{.Names}}").split())


def test_nodes_are_devices_once_their_engines_have_addresses(lab: Lab) -> None:
    with lab.client() as client:
        wait_until(lambda: len(devices(client)) == 3, "the nodes")
        first, *others = devices(client)
        # The manager is this machine's own engine.
        assert (first["did"], first["node"], first["state"]) == (1, lab.node(0), "ready")
        assert {device["name"] for device in others} == {host.name for host in lab.hosts[1:]}
        second = of_node(client, lab.node(2))
        assert second["state"] == "no-address"
        assert second["total_cpu"] > 0
        wait_until(
            lambda: "docker node update" in (of_node(client, lab.node(2))["problem"] or ""),
            "the cure",
        )
        refused = client.post(
            "containers", json={"name": "x", "image": "busybox", "device": second["did"]}
        )
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "device")
        # By a label, which is heard of at once, and by hand.
        third = ready(lab, client, 1)
        assert third["bind_address"] == lab.hosts[1].address
        body = {"address": lab.address(1), "certificates": str(lab.certificates.client)}
        path = f"devices/{second['did']}"
        wrong = client.put(path, json=body)
        assert wrong.status_code == 409
        assert lab.node(2) in wrong.json()["error"]["message"]
        plain = client.put(path, json={"address": lab.address(2)})
        assert (plain.status_code, "TLS" in plain.text) == (400, True)
        given = client.put(path, json={**body, "address": lab.address(2)})
        assert given.status_code == 200, given.text
        wait_until(lambda: of_node(client, lab.node(2))["state"] == "ready", "its engine")
        # What runs there is a container of its own engine.
        made = make(client, "far", device=second["did"])
        assert running(lab.engines[2]) == ["admin.far"]
        assert client.post(f"containers/{made['cid']}/stop", json={"timeout": 0}).is_success
        assert client.delete(path).status_code == 409


def test_a_drain_of_the_swarm_is_followed(lab: Lab) -> None:
    with lab.client() as client:
        far = ready(lab, client, 1)
        stays = make(client, "stays", device=far["did"])
        for word in ("drain", "pause"):
            lab.manage("node", "update", "--availability", word, lab.node(1))
            began = time.monotonic()
            wait_until(lambda: of_node(client, far["node"])["state"] == "draining", word, 10)
            # By its event, not by the next look.
            assert time.monotonic() - began < 3
            refused = client.post(
                "containers", json={"name": "x", "image": "busybox", "device": far["did"]}
            )
            assert refused.status_code == 409
            assert "drained" in refused.json()["message"]
            assert status(client, stays) == "running"
            lab.manage("node", "update", "--availability", "active", lab.node(1))
            wait_until(lambda: of_node(client, far["node"])["state"] == "ready", "the end", 10)
        # What an administrator drained here is not the swarm's to fill again.
        client.put(f"devices/{far['did']}", json={"draining": True}).raise_for_status()
        lab.manage("node", "update", "--availability", "drain", lab.node(1))
        lab.manage("node", "update", "--availability", "active", lab.node(1))
        time.sleep(1)
        assert of_node(client, far["node"])["state"] == "draining"
        client.put(f"devices/{far['did']}", json={"draining": False}).raise_for_status()
        make(client, "again", device=far["did"])


def test_gpus_that_an_operator_declared_are_given_by_uuid(lab: Lab) -> None:
    with lab.client() as client:
        far = ready(lab, client, 1)
        counting = ready(lab, client, 2)
        wait_until(lambda: len(of_node(client, far["node"])["gpus"]) == 2, "its GPUs")
        found = client.get("gpus").json()["gpus"]
        assert [(gpu["uuid"], gpu["model"], gpu["device"]) for gpu in found] == [
            (uuid, "NVIDIA-GPU", far["did"]) for uuid in GPUS
        ]
        # Of those that are only counted nobody knows which they are.
        assert counting["gpus"] == []
        made = make(client, "learns", gid="auto")
        assert made["device"] == far["did"]
        [inspected] = json.loads(lab.engines[1].docker("inspect", made["id"]))
        [request] = inspected["HostConfig"]["DeviceRequests"]
        assert set(request["DeviceIDs"]) < set(GPUS)


def test_gpus_of_the_swarms_own_tasks_are_taken(lab: Lab) -> None:
    with lab.client() as client:
        far = ready(lab, client, 1)
        wait_until(lambda: len(of_node(client, far["node"])["gpus"]) == 2, "its GPUs")
        lab.manage(
            *("service", "create", "--detach", "--no-resolve-image", "--name", "trains"),
            *("--generic-resource", "NVIDIA-GPU=1", "--network", "host"),
            *("busybox:latest", "sleep", "3600"),
        )

        def taken() -> list[dict[str, Any]]:
            return [gpu for gpu in client.get("gpus").json()["gpus"] if gpu["foreign"]]

        wait_until(lambda: len(taken()) == 1, "the task", 30)
        [theirs] = taken()
        assert (theirs["free"], theirs["holders"]) == (0, [])
        assert of_node(client, far["node"])["used_gpus"] == [theirs["gid"]]
        refused = client.post(
            "containers", json={"name": "x", "image": "busybox", "gid": theirs["gid"]}
        )
        assert refused.status_code == 409
        # The other one is free, and whoever waits for both gets them when the task ends.
        first = make(client, "learns", gid="auto")
        [inspected] = json.loads(lab.engines[1].docker("inspect", first["id"]))
        assert inspected["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] != [theirs["uuid"]]
        lab.manage("service", "rm", "trains")
        wait_until(lambda: not taken(), "the end of the task", 30)
        second = make(client, "learns-too", gid="auto")
        assert second["device"] == far["did"]


def test_containers_of_one_user_reach_each_other_on_all_nodes(lab: Lab) -> None:
    with lab.client() as client:
        far, farther = ready(lab, client, 1), ready(lab, client, 2)
        made = [
            make(client, f"n{number}", device=did)
            for number, did in enumerate((1, far["did"], farther["did"]))
        ]
        found = [
            json.loads(engine.docker("inspect", each["id"]))[0]["NetworkSettings"]["Networks"]
            for engine, each in zip(lab.engines, made, strict=True)
        ]
        [name] = {name for networks in found for name in networks}
        assert name.startswith("lab-admin-")
        addresses = [networks[name]["IPAddress"] for networks in found]
        for number, engine in enumerate(lab.engines):
            for other in addresses[number + 1 :] + addresses[:number]:
                engine.docker("exec", made[number]["id"], "ping", "-c", "1", "-W", "5", other)
        # Somebody else's are in a network of their own.
        body = {"name": "other", "image": "busybox:latest", "command": ["sleep", "3600"]}
        with join(lab.server, "bob").http as bob:
            reply = bob.post("/containers", json={**body, "device": far["did"]})
        assert reply.is_success, reply.text
        other = reply.json()["data"]["id"]

        def ping(address: str) -> str:
            command = f"ping -c 1 -W 2 {address} >/dev/null 2>&1; echo $?"
            return lab.engines[1].docker("exec", other, "sh", "-c", command)

        assert [ping(address) for address in ("127.0.0.1", *addresses)] == ["0", "1", "1", "1"]


def test_a_killed_node_is_lost_and_returns_once(lab: Lab) -> None:
    with lab.client() as client:
        far = ready(lab, client, 1)
        made = make(client, "works", device=far["did"])
        with lab.hosts[1].unplugged():
            wait_until(lambda: status(client, made) == "lost", "the loss", 20)
            assert of_node(client, far["node"])["state"] == "lost"
            wait_until(
                lambda: "Down" in lab.manage("node", "ls", "--format", "{{.Status}}"),
                "the swarm's word",
                40,
            )
            refused = client.post(
                "containers", json={"name": "x", "image": "busybox", "device": far["did"]}
            )
            assert refused.status_code in (409, 503)
        wait_until(lambda: status(client, made) == "running", "its return", 60)
        wait_until(lambda: of_node(client, far["node"])["state"] == "ready", "its word", 60)
        assert [item["name"] for item in listed(client)] == ["works"]
        assert running(lab.engines[1]) == ["admin.works"]
        assert len(devices(client)) == 3


def test_a_node_that_leaves_is_kept_for_its_containers(lab: Lab) -> None:
    with lab.client() as client:
        far = ready(lab, client, 1)
        made = make(client, "works", device=far["did"])
        node = lab.node(1)
        lab.engines[1].docker("swarm", "leave")
        lab.manage("node", "rm", "--force", node)
        wait_until(lambda: of_node(client, node)["state"] == "left", "the leave")
        # The network that went with the swarm is another matter: its engine tells how it is.
        assert status(client, made) in ("running", "exited")
        refused = client.post(
            "containers", json={"name": "x", "image": "busybox", "device": far["did"]}
        )
        assert refused.status_code == 409
        # The same host comes back under another id, and is the same device.
        lab.join(1)
        wait_until(lambda: of_node(client, lab.node(1)).get("state") == "ready", "the node")
        back = of_node(client, lab.node(1))
        assert (back["did"], back["name"]) == (far["did"], far["name"])
        assert len(devices(client)) == 3
        # Without containers nothing is kept of it.
        client.delete(f"containers/{made['cid']}?force=true").raise_for_status()
        node = lab.node(1)
        lab.engines[1].docker("swarm", "leave")
        lab.manage("node", "rm", "--force", node)
        wait_until(lambda: len(devices(client)) == 2, "the leave")
        lab.join(1)
        ready(lab, client, 1)
