"""Hosts behind ssh: who they are is asked first, and what they show later must be the same."""

from __future__ import annotations

import os
import pty
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import paramiko
import pytest

from ..engines import images, jupyter, require
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.jupyter import JupyterServer
from ..engines.network import network
from ..engines.scratch import wait_until
from ..engines.ssh import SshServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@dataclass
class Lab:
    """A desk with an engine of its own, and a host behind ssh with another one."""

    server: JupyterServer
    near: Dockerd
    far: Dockerd
    ssh: SshServer
    home: Path
    image: Path
    """The tar file of ``busybox:latest``."""

    def client(self) -> httpx.Client:
        return self.server.client()

    def body(self, name: str = "gpu2", **more: Any) -> dict[str, Any]:
        return {"name": name, "address": self.ssh.address, "gpus": [], **more}

    def add(self, client: httpx.Client) -> dict[str, Any]:
        reply = client.post("devices", json=self.body(host_key=self.ssh.fingerprint))
        assert reply.status_code == 201, reply.text
        added: dict[str, Any] = reply.json()
        wait_until(lambda: state(client, added) == "ready", "the host")
        return added


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as stack:
        _, hosts = stack.enter_context(network(2))
        try:
            near, far = (stack.enter_context(Dockerd(host=host)) for host in hosts)
        except EngineMissing as why:
            require.missing("docker", str(why))
        # One image on both of them.
        images.load_busybox(near)
        saved = tmp_path_factory.mktemp("image") / "busybox.tar"
        near.docker("save", "--output", str(saved), "busybox:latest")
        far.docker("load", "--input", str(saved))
        home = tmp_path_factory.mktemp("home")
        ssh = SshServer(home, str(far.socket))
        stack.callback(ssh.close)
        # Whoever knows the host already asks all the same: only what the administrator said counts.
        ssh.known.unlink()
        server = stack.enter_context(
            jupyter.jupyter_server(
                docker_host=near.url,
                environ={"HOME": str(home), "SSH_AUTH_SOCK": ""},
                config={
                    "JupyterExt": {
                        "rate_limits": {"containers": {"amount": 0}, "piglet": {"amount": 0}}
                    },
                    "ContainerDefaults": {"init": False, "probe_image": "busybox:latest"},
                },
            )
        )
        yield Lab(server, near, far, ssh, home, saved)


@pytest.fixture(autouse=True)
def clean(lab: Lab) -> Iterator[None]:
    host_key = lab.ssh.host_key
    yield
    if lab.ssh.host_key is not host_key:
        lab.ssh.show(host_key)
    with lab.client() as client:
        for device in client.get("devices").json()["devices"][1:]:
            client.delete(f"devices/{device['did']}?force=true").raise_for_status()
    lab.near.clean()
    lab.far.clean()


def state(client: httpx.Client, device: dict[str, Any]) -> str:
    return str(client.get(f"devices/{device['did']}").json()["state"])


def names(client: httpx.Client) -> list[str]:
    return [device["name"] for device in client.get("devices").json()["devices"]]


def make(client: httpx.Client, device: dict[str, Any], name: str) -> httpx.Response:
    body = {"name": name, "image": "busybox:latest", "command": ["sleep", "3600"]}
    return client.post("containers", json={**body, "device": device["did"]})


def running(engine: Dockerd) -> list[str]:
    return engine.docker("ps", "--format", "{{.Names}}").split()


def fingerprint_by_openssh(key: paramiko.PKey, folder: Path) -> str:
    file = folder / "host.pub"
    file.write_text(f"{key.get_name()} {key.get_base64()}\n")
    said = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True)
    return said.stdout.split()[1]


def at_a_terminal(server: JupyterServer, answer: bytes, *words: str) -> str:
    """Run the program as a person does who answers its question; returns all that it says."""
    main, side = pty.openpty()
    started = subprocess.Popen(
        [server.python, "-m", "jupyter_ext.cli", *words],
        env={**server.environ, "COLUMNS": "200"},
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    text, answered = b"", False
    with suppress(OSError):  # the other side is closed
        while part := os.read(main, 65536):
            text += part
            if not answered and b"[y/N]" in text:
                answered = os.write(main, answer) > 0
    os.close(main)
    started.wait(30)
    return text.decode()


def test_a_host_is_added_once_its_key_is_confirmed(lab: Lab, tmp_path: Path) -> None:
    right = fingerprint_by_openssh(lab.ssh.host_key, tmp_path)
    assert right == lab.ssh.fingerprint
    with lab.client() as client:
        before = len(lab.ssh.logins)
        asked = client.post("devices", json=lab.body())
        assert asked.status_code == 409
        assert right in asked.json()["error"]["details"]["host_key"]
        other = client.post("devices", json=lab.body(host_key="SHA256:" + "A" * 43))
        assert other.status_code == 409
        assert "another key" in other.json()["error"]["message"]
        # Until then nobody has tried to log in there.
        assert len(lab.ssh.logins) == before
        assert names(client) == ["local"]
        added = lab.add(client)
        made = make(client, added, "there")
        assert made.status_code == 200, made.text
        assert running(lab.far) == ["admin.there"]
        assert running(lab.near) == []


def test_a_host_with_another_key_is_lost_and_told_nothing(lab: Lab) -> None:
    with lab.client() as client:
        added = lab.add(client)
        make(client, added, "stays").raise_for_status()
        right = lab.ssh.host_key
        lab.ssh.show(paramiko.ECDSAKey.generate())
        logins = len(lab.ssh.logins)
        wait_until(lambda: state(client, added) == "lost", "the loss", 30)

        def problem() -> str:
            return client.get("devices/gpu2").json()["problem"] or ""

        # First it is only known that the connection broke.
        wait_until(lambda: "shows another key" in problem(), "why", 30)
        assert lab.ssh.fingerprint in problem()
        assert make(client, added, "refused").status_code == 503
        assert client.post("devices/gpu2/gpus").status_code == 503
        # A key of another kind is no more welcome.
        lab.ssh.show(paramiko.RSAKey.generate(2048))
        wait_until(
            lambda: lab.ssh.fingerprint in (client.get("devices/gpu2").json()["problem"] or ""),
            "the other kind",
            30,
        )
        assert len(lab.ssh.logins) == logins
        lab.ssh.show(right)
        wait_until(lambda: state(client, added) == "ready", "the return", 60)
        [item] = client.get("containers").json()["data"]["items"]
        assert (item["name"], item["status"]) == ("stays", "running")


def test_an_engine_is_one_device_whoever_is_faster(lab: Lab) -> None:
    with lab.client() as client, ThreadPoolExecutor(6) as pool:
        bodies = [lab.body(f"host{n}", host_key=lab.ssh.fingerprint) for n in range(6)]
        replies = list(pool.map(lambda body: client.post("devices", json=body), bodies))
        assert sorted(reply.status_code for reply in replies) == [201, *[409] * 5]
        assert all(
            "address" in reply.json()["error"]["details"]
            for reply in replies
            if reply.status_code == 409
        )
        [_, only] = names(client)
        assert only in {reply.json().get("name") for reply in replies}


def test_the_own_engine_is_no_second_device(lab: Lab, tmp_path: Path) -> None:
    ssh = SshServer(tmp_path, str(lab.near.socket))
    try:
        own = lab.home / ".ssh" / "id_ecdsa"
        kept = own.read_bytes()
        own.write_bytes((tmp_path / ".ssh" / "id_ecdsa").read_bytes())
        body = {"name": "again", "address": ssh.address, "host_key": ssh.fingerprint, "gpus": []}
        with lab.client() as client:
            refused = client.post("devices", json=body)
            assert refused.status_code == 409
            assert "'local'" in refused.json()["error"]["message"]
            assert names(client) == ["local"]
    finally:
        own.write_bytes(kept)
        ssh.close()


def test_a_host_is_not_removed_under_a_container_that_is_being_made(lab: Lab) -> None:
    with lab.client() as client, ThreadPoolExecutor(1) as pool:
        added = lab.add(client)
        with lab.far.hanging():
            making = pool.submit(make, client, added, "slow")
            wait_until(lambda: client.get("devices/gpu2").json()["containers"] == 1, "the claim", 5)
            plain = client.delete("devices/gpu2")
            forced = client.delete("devices/gpu2?force=true")
            assert (plain.status_code, forced.status_code) == (409, 409)
            assert "being made" in forced.json()["error"]["message"]
        made = making.result()
        # The engine hung for a moment only; where that was too long, nothing is left of it.
        assert made.status_code in (200, 503), made.text
        wait_until(lambda: state(client, added) == "ready", "the host", 60)
        if made.status_code == 503:
            make(client, added, "slow2").raise_for_status()
        assert client.delete("devices/gpu2").status_code == 409
        client.delete("devices/gpu2?force=true").raise_for_status()
        assert client.get("containers").json()["data"]["items"] == []
        assert len(running(lab.far)) == 1
        # Whoever adds it again finds what ran on.
        lab.add(client)
        wait_until(
            lambda: len(client.get("containers").json()["data"]["items"]) == 1, "what ran on"
        )


@pytest.mark.slow
def test_a_host_whose_gpus_can_not_be_looked_for_is_not_half_added(lab: Lab) -> None:
    lab.far.docker("image", "rm", "busybox:latest")
    try:
        with lab.client() as client:
            body = lab.body(host_key=lab.ssh.fingerprint)
            body.pop("gpus")
            began = time.monotonic()
            refused = client.post("devices", json=body)
            assert refused.status_code == 503, refused.text
            assert "busybox:latest" in refused.json()["error"]["message"]
            assert time.monotonic() - began < 60
            assert names(client) == ["local"]
    finally:
        lab.far.docker("load", "--input", str(lab.image))
    with lab.client() as client:
        reply = client.post("devices", json=body)
        assert reply.status_code == 201, reply.text
        assert reply.json()["gpus"] == []


@pytest.mark.parametrize(
    ("address", "field", "said"),
    [
        ("ssh://-oProxyCommand=x", "address", "user or host"),
        ("ssh://$(touch${IFS}x)@h", "address", "user or host"),
        ("ssh://me@169.254.169.254", "address", "metadata|link-local"),
        ("ssh://me@[fe80::1]", "address", "link-local"),
        ("ssh://0.0.0.0", "address", "this machine"),
        ("ssh://me:secret@host", "address", "password"),
    ],
)
def test_addresses_that_are_no_hosts(lab: Lab, address: str, field: str, said: str) -> None:
    with lab.client() as client:
        refused = client.post("devices", json={"name": "x", "address": address})
        assert refused.status_code == 400, refused.text
        problem = refused.json()["error"]["details"][field]
        assert any(each in problem for each in said.split("|")), problem


def test_the_command_line(lab: Lab, tmp_path: Path) -> None:
    def pig(*words: str) -> subprocess.CompletedProcess[str]:
        return lab.server.run(lab.server.python, "-m", "jupyter_ext.cli", "device", *words)

    add = ("add", "gpu2", lab.ssh.address, "--no-gpus")
    asked = pig(*add)
    assert asked.returncode == 1
    assert f"--host-key {lab.ssh.fingerprint}" in asked.stderr
    assert pig(*add, "--host-key", "SHA256:" + "A" * 43).returncode == 1
    assert pig("add", "gpu2", "http://x").returncode == 2
    said = at_a_terminal(lab.server, b"n\n", "device", *add)
    assert f"shows the key {lab.ssh.fingerprint}" in said
    assert "Trust it? [y/N]" in said
    assert pig("list", "-q").stdout.split() == ["local"]
    assert pig(*add, "--gpu", "nonsense").returncode == 2
    done = pig(*add, "--host-key", lab.ssh.fingerprint)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Added gpu2 as device ")
    listed = pig("list").stdout.splitlines()
    assert listed[0].split()[:3] == ["DID", "NAME", "STATE"]
    assert "gpu2" in listed[2]
    assert pig("list", "-q").stdout.split() == ["local", "gpu2"]
    assert lab.ssh.address in pig("show", "gpu2").stdout
    assert pig("show", "nobody").returncode == 3
    name = f"c{secrets.token_hex(2)}"
    with lab.client() as client:
        wait_until(lambda: client.get("devices/gpu2").json()["state"] == "ready", "the host")
    lab.server.pig("container", "run", "--name", name, "--device", "gpu2", "busybox", "sleep", "99")
    assert running(lab.far) == [f"admin.{name}"]
    assert pig("drain", "gpu2").stdout == "gpu2 takes nothing new; 1 container left on it.\n"
    run = ("container", "run", "--device", "gpu2", "busybox", "true")
    assert lab.server.run(lab.server.python, "-m", "jupyter_ext.cli", *run).returncode == 1
    assert pig("resume", "gpu2").stdout == "gpu2 is ready.\n"
    assert pig("set", "gpu2").returncode == 2
    declared = ("--name", "gpu3", "--gpu", "GPU-5f1c:NVIDIA L4:23034")
    assert pig("set", "gpu2", *declared).stdout == "Changed gpu3.\n"
    with lab.client() as client:
        [gpu] = [each for each in client.get("gpus").json()["gpus"] if each["present"]]
    assert (gpu["uuid"], gpu["model"]) == ("GPU-5f1c", "NVIDIA L4")
    # The probe finds that it has none.
    assert pig("gpus", "gpu3").stdout == "GPUs of gpu3: none.\n"
    assert pig("remove", "gpu3").returncode == 1
    assert pig("remove", "gpu3", "--force").returncode == 2
    assert pig("remove", "gpu3", "--force", "--yes").stdout == "Removed gpu3.\n"
    assert pig("remove", "gpu3").returncode == 3
    assert running(lab.far) == [f"admin.{name}"]
    assert pig("remove", "local", "--yes").returncode == 1
