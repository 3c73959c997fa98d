"""Three engines on hosts of their own: placed, drained, killed, and come back.

Each host is a network namespace with a real engine behind TLS; the second has simulated GPUs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
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
from ..engines.registry import registry
from ..engines.scratch import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

GPU = "GPU-far-0"
LOST_SECONDS = 15


@dataclass
class Lab:
    """A desk, and the hosts that its administrator may add."""

    server: JupyterServer
    engines: list[Dockerd]
    hosts: list[Host]
    certificates: list[Path]
    registry: str

    def address(self, number: int) -> str:
        return f"tcp://{self.hosts[number].address}:2376"

    def client(self) -> httpx.Client:
        return self.server.client()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as stack:
        near, hosts = stack.enter_context(network(3))
        images_at = stack.enter_context(registry(near))
        hook = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
        engines: list[Dockerd] = []
        folders: list[Path] = []
        for number, host in enumerate(hosts):
            certificates = Certificates(tmp_path_factory.mktemp("tls"), host.address)
            folders.append(certificates.client)
            engine = Dockerd(
                listen=(f"tcp://{host.address}:2376",),
                options=(*certificates.options, "--insecure-registry", images_at.address),
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
        # What NVIDIA's runtime puts into a container: here the image has it.
        script = f"RUN printf '#!/bin/sh\\necho {GPU}, NVIDIA L4, 23034\\n' > /bin/nvidia-smi"
        recipe = f"FROM busybox:latest\n{script} && chmod +x /bin/nvidia-smi\n"
        engines[1].docker("build", "--tag", "probe:latest", "-", stdin=recipe.encode())
        server = stack.enter_context(
            jupyter.jupyter_server(
                docker_host=engines[0].url,
                config={
                    "JupyterExt": {
                        "rate_limits": {
                            "containers": {"amount": 0},
                            "piglet": {"amount": 0},
                            "matrix": {"amount": 0},
                        }
                    },
                    "ContainerDefaults": {
                        "registry": f"{images_at.address}/desk",
                        "probe_image": "probe:latest",
                        "init": False,
                    },
                },
            )
        )
        yield Lab(server, engines, hosts, folders, images_at.address)


@pytest.fixture(autouse=True)
def clean(lab: Lab) -> Iterator[None]:
    yield
    with lab.client() as client:
        for item in listed(client):
            client.delete(f"containers/{item['cid']}?force=true")
        for device in client.get("devices").json()["devices"][1:]:
            client.delete(f"devices/{device['did']}?force=true").raise_for_status()


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("containers").json()["data"]["items"]
    return found


def add(lab: Lab, client: httpx.Client, number: int, **more: Any) -> dict[str, Any]:
    body = {
        "name": f"host{number}",
        "address": lab.address(number),
        "certificates": str(lab.certificates[number]),
        **more,
    }
    reply = client.post("devices", json=body)
    assert reply.status_code == 201, reply.text
    added: dict[str, Any] = reply.json()
    wait_until(
        lambda: client.get(f"devices/{added['did']}").json()["state"] == "ready", "the new host"
    )
    return added


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


def test_containers_are_placed_on_the_host_with_most_room(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1, gpus=[])
        total = far["total_cpu"]
        first = make(client, "first", cpu=total / 2)
        second = make(client, "second", cpu=total / 2)
        assert {first["device"], second["device"]} == {1, far["did"]}
        by_device = {first["device"]: first, second["device"]: second}
        assert len(running(lab.engines[0])) == len(running(lab.engines[1])) == 1
        # Everything works there as it does here.
        cid = by_device[far["did"]]["cid"]
        reply = client.post(f"containers/{cid}/restart", json={"timeout": 0})
        assert reply.json()["data"]["status"] == "running"
        assert client.get(f"metrics/containers/{cid}").status_code == 200
        named = make(client, "named", device=far["did"], ports={"80/tcp": None})
        [(_, binding)] = json.loads(
            lab.engines[1].docker(
                "inspect", "--format", "{{json .HostConfig.PortBindings}}", named["id"]
            )
        ).items()
        assert binding[0]["HostIp"] == lab.hosts[1].address
        wrong = client.post("containers", json={"name": "n", "image": "busybox", "device": 99})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "device")


def test_a_drained_host_takes_nothing_new(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1, gpus=[])
        stays = make(client, "stays", device=far["did"])
        drained = client.put("devices/host1", json={"draining": True}).json()
        assert drained["state"] == "draining"
        assert drained["since"]
        assert {make(client, f"n{number}")["device"] for number in range(4)} == {1}
        refused = client.post(
            "containers", json={"name": "x", "image": "busybox", "device": far["did"]}
        )
        assert refused.status_code == 409
        assert "drained" in refused.json()["message"]
        assert status(client, stays) == "running"
        assert client.put("devices/host1", json={"draining": False}).json()["state"] == "ready"
        make(client, "again", device=far["did"])


def test_gpus_of_another_host_are_found_and_given(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1)
        [gpu] = client.get("gpus").json()["gpus"]
        assert (gpu["uuid"], gpu["model"], gpu["device"]) == (GPU, "NVIDIA L4", far["did"])
        assert far["gpus"] == [gpu["gid"]]
        made = make(client, "learns", gid="auto", ports={"80/tcp": None})
        assert made["device"] == far["did"]
        [found] = json.loads(lab.engines[1].docker("inspect", made["id"]))
        [request] = found["HostConfig"]["DeviceRequests"]
        assert request["DeviceIDs"] == [GPU]
        assert found["HostConfig"]["PortBindings"]["80/tcp"][0]["HostIp"] == lab.hosts[1].address
        # Nobody else gets it, and nothing of the look at it is left.
        reply = client.post("containers", json={"name": "b", "image": "busybox", "gid": "auto"})
        assert reply.status_code == 409
        assert running(lab.engines[1]) == ["admin.learns"]


def test_who_waits_for_a_host_is_named_to_whoever_removes_it(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1)
        made = make(client, "learns", gid="auto")
        body = {"name": "waits", "image": "busybox", "gid": "auto", "wait": True}
        body["device"] = far["did"]
        headers = {"Prefer": "respond-async"}
        waiting = client.post("containers", json=body, headers=headers).json()["data"]["id"]
        for way in ("", "?force=true"):
            refused = client.delete(f"devices/host1{way}")
            assert refused.status_code == 409
            error = refused.json()["error"]
            assert f"pig operation cancel {waiting}`" in error["message"]
            assert error["details"]["operations"] == [waiting]
        client.delete(f"operations/{waiting}").raise_for_status()
        client.delete(f"containers/{made['cid']}?force=true").raise_for_status()
        client.delete("devices/host1").raise_for_status()


def test_a_killed_host_is_lost_keeps_its_claims_and_returns(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1)
        made = make(client, "learns", gid="auto", ports={"80/tcp": None})
        with lab.hosts[1].unplugged():
            began = time.monotonic()
            wait_until(
                lambda: status(client, made) == "lost",
                "the loss",
                LOST_SECONDS,
            )
            assert time.monotonic() - began < LOST_SECONDS
            assert [item["status"] for item in listed(client)] == ["lost"]
            shown = client.get(f"devices/{far['did']}").json()
            assert shown["state"] == "lost"
            assert shown["since"]
            assert shown["problem"]
            # Its GPU stays its own: the container may run on.
            [gpu] = client.get("gpus").json()["gpus"]
            assert [holder["cid"] for holder in gpu["holders"]] == [made["cid"]]
            assert client.delete("devices/host1").status_code == 409
            # All else goes on.
            assert make(client, "here")["device"] == 1
        wait_until(
            lambda: status(client, made) == "running",
            "its return",
            60,
        )
        wait_until(
            lambda: client.get(f"devices/{far['did']}").json()["state"] == "ready", "the device"
        )
        assert sorted(item["name"] for item in listed(client)) == ["here", "learns"]
        assert running(lab.engines[1]) == ["admin.learns"]
        assert client.post(f"containers/{made['cid']}/stop", json={"timeout": 0}).is_success


@pytest.mark.slow
def test_a_desk_that_starts_while_a_host_is_away_shows_what_was_there(
    lab: Lab, tmp_path: Path
) -> None:
    def desk() -> AbstractContextManager[JupyterServer]:
        return jupyter.jupyter_server(docker_host=lab.engines[0].url, home=tmp_path / "home")

    with desk() as first, first.client() as client:
        far = add(lab, client, 2, gpus=[])
        made = make(client, "far", device=far["did"], ports={"80/tcp": None})
    with lab.hosts[2].unplugged(), desk() as second, second.client() as client:
        [shown] = [item for item in listed(client) if item["name"] == "far"]
        assert (shown["cid"], shown["status"]) == (made["cid"], "lost")
        assert client.post(f"containers/{made['cid']}/stop").status_code == 503
        lab.hosts[2].plug_in()
        wait_until(lambda: status(client, made) == "running", "the host", 60)
        assert [item["name"] for item in listed(client)] == ["far"]
        assert client.delete(f"containers/{made['cid']}?force=true").is_success


def test_an_image_saved_on_one_host_runs_on_another(lab: Lab) -> None:
    with lab.client() as client:
        far = add(lab, client, 1, gpus=[])
        farther = add(lab, client, 2, gpus=[])
        made = make(
            client,
            "worked",
            device=far["did"],
            command=["sh", "-c", "echo kept > /note; sleep 3600"],
        )
        saved = client.post(
            f"{lab.server.url}images", json={"cid": made["cid"], "name": "mine"}
        ).json()
        assert saved["status"] == 0, saved
        there = make(
            client,
            "elsewhere",
            image="jupyter-ext/admin/mine:latest",
            device=farther["did"],
            command=["sh", "-c", "cat /note; sleep 3600"],
        )
        assert there["device"] == farther["did"]
        wait_until(
            lambda: "kept" in client.get(f"containers/{there['cid']}/logs").json()["data"]["logs"],
            "what was saved",
        )
        assert running(lab.engines[2]) == ["admin.elsewhere"]
        # On both it is one image.
        iids = {item["iid"] for item in client.get("images").json()["data"]["items"]}
        assert saved["iid"] in iids
        # On whichever host a container of it is, running or not: it stays.
        used = "some containers is based on the image, unable to remove image"
        for _ in range(2):
            refused = client.delete(f"images/{saved['iid']}?force=true")
            assert refused.status_code == 409
            assert "elsewhere" in refused.json()["message"]
            matrix = client.delete(f"{lab.server.url}images/{saved['iid']}").json()
            assert matrix == {"status": -1, "error": used}
            client.post(f"containers/{there['cid']}/stop?timeout=0").raise_for_status()
        client.delete(f"containers/{there['cid']}").raise_for_status()
        # By the name at the registry, too, through which it came there.
        client.delete(f"images/{saved['iid']}?force=true").raise_for_status()
        for engine in lab.engines[1:]:
            assert engine.docker("images", "--quiet", "jupyter-ext/admin/mine") == ""


def test_who_adds_a_host_is_told_what_is_wrong(lab: Lab) -> None:
    with lab.client() as client:
        add(lab, client, 1, gpus=[])
        body = {
            "name": "again",
            "address": lab.address(1),
            "certificates": str(lab.certificates[1]),
        }
        twice = client.post("devices", json=body)
        assert twice.status_code == 409
        assert "host1" in twice.json()["error"]["message"]
        nobody = {**body, "address": f"tcp://{lab.hosts[2].address}:2399"}
        away = client.post("devices", json=nobody)
        assert away.status_code == 503
        plain = client.post("devices", json={"name": "p", "address": lab.address(2)})
        assert plain.status_code == 400
        assert "certificates" in plain.text
        missing = client.post("devices", json={**body, "certificates": "/nowhere"})
        assert missing.status_code == 400
        assert "ca.pem" in missing.text
        strange = client.post("devices", json={**body, "address": "http://x"})
        assert strange.status_code == 400
        assert client.delete("devices/1").status_code == 409
        assert client.get("devices/nobody").status_code == 404
        assert [d["name"] for d in client.get("devices").json()["devices"]] == ["local", "host1"]
