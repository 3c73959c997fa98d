"""``device …``: what it asks a person, and what it sends then."""

from __future__ import annotations

import io
import json

import pytest

from jupyter_ext.cli.console import TerminalConsole

from ..client.speaker import Speaker, Speaking
from .conftest import Pig

KEY = "SHA256:" + "k" * 43
GPU2 = {
    "did": 2,
    "name": "gpu2",
    "state": "ready",
    "since": None,
    "bind_address": "10.0.0.2",
    "cpu_name": "",
    "total_cpu": 8.0,
    "used_cpu": 1.5,
    "total_memory": 32_000_000_000,
    "used_memory": 0,
    "gpus": [3],
    "used_gpus": [],
    "containers": 2,
}
CONFLICT = {
    "error": {
        "code": "CONFLICT",
        "message": f"The host gpu2 shows the key {KEY}.",
        "details": {"device": "gpu2", "host_key": f"is needed: {KEY}"},
    }
}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at the terminal, who answers yes, and no to the next question."""
    monkeypatch.setattr(TerminalConsole, "interactive", property(lambda _: True))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n"))


def knows(speaker: Speaker) -> None:
    """Have a server that adds a host once its key was named."""

    def add(handler: Speaking) -> None:
        trusted = json.loads(handler.request.body).get("host_key") == KEY
        handler.set_status(201 if trusted else 409)
        handler.finish(json.dumps(GPU2 if trusted else CONFLICT))

    speaker.on("POST /api/v1/devices", add)


@pytest.mark.usefixtures("person")
def test_a_host_is_trusted_by_a_person(pig: Pig, speaker: Speaker) -> None:
    knows(speaker)
    ran = pig("device", "add", "gpu2", "ssh://docker@gpu2", "--gpu", "GPU-1:NVIDIA L4:23034")
    assert (ran.code, ran.out) == (0, "Added gpu2 as device 2.\n")
    assert KEY in ran.err
    assert "Trust it? [y/N]" in ran.err
    assert [asked.json.get("host_key") for asked in speaker.asked] == [None, KEY]
    assert speaker.asked[1].json["gpus"] == [
        {"uuid": "GPU-1", "model": "NVIDIA L4", "memory": 23034}
    ]
    assert pig("device", "add", "gpu2", "ssh://docker@gpu2").code == 1
    assert len(speaker.asked) == 3


def test_a_script_names_the_key(pig: Pig, speaker: Speaker) -> None:
    knows(speaker)
    ran = pig("device", "add", "gpu2", "ssh://docker@gpu2")
    assert ran.code == 1
    assert f"--host-key {KEY}" in ran.err
    wrong = pig("device", "add", "gpu2", "ssh://docker@gpu2", "--host-key", "SHA256:other")
    assert wrong.code == 1
    assert len(speaker.asked) == 2
    assert pig("device", "add", "gpu2", "ssh://docker@gpu2", "--host-key", KEY).code == 0


def test_devices_are_listed(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/devices", {"devices": [GPU2], "total": 1})
    head, row = pig("device", "list").out.splitlines()
    assert head.split() == ["DID", "NAME", "STATE", "SINCE", "CPU", "MEMORY", "GPUS", "CONTAINERS"]
    assert row.split()[:3] == ["2", "gpu2", "ready"]
    assert "1.5 / 8" in row
    assert json.loads(pig("device", "list", "--json").out) == [GPU2]


@pytest.mark.usefixtures("person")
def test_containers_are_left_behind_only_after_a_question(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/devices/gpu2", GPU2)
    speaker.says("DELETE /api/v1/devices/gpu2", {"did": 2, "name": "gpu2"})
    ran = pig("device", "remove", "gpu2")
    assert ran.out == "Removed gpu2.\n"
    assert "Forget 2 containers on gpu2? [y/N]" in ran.err
    assert speaker.asked[-1].query == {"force": "true"}
    # --yes asks nothing, and forgets nothing that the server does not give up by itself.
    assert "[y/N]" not in pig("device", "remove", "gpu2", "--yes").err
    assert speaker.asked[-1].query == {}
    asked = len(speaker.asked)
    assert pig("device", "remove", "gpu2").code == 1
    assert [each.method for each in speaker.asked[asked:]] == ["GET"]


def test_nobody_there_to_be_asked(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/devices/gpu2", GPU2)
    assert pig("device", "remove", "gpu2", "--force").code == 2
    assert [asked.method for asked in speaker.asked] == ["GET"]


def test_a_container_on_a_device(pig: Pig, speaker: Speaker) -> None:
    made = {"id": "c" * 64, "name": "web", "status": "running", "ports": {}}
    speaker.says("GET /api/v1/devices/gpu2", GPU2)
    speaker.says("POST /api/v1/containers", {"data": made})
    for ref in ("gpu2", "2"):
        pig("container", "run", "--name", "web", "--device", ref, "busybox")
        assert speaker.asked[-1].json["device"] == 2
    assert speaker.paths().count("GET /api/v1/devices/gpu2") == 1
