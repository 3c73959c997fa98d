"""What the engine says, in our words: its refusals, its JSON, its streams."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_ext.containers import docker_images, docker_parse
from jupyter_ext.containers.docker_address import EngineAddress
from jupyter_ext.containers.docker_errors import EngineFault, translate, unavailable
from jupyter_ext.containers.docker_logs import frames
from jupyter_ext.containers.docker_run import engine_config
from jupyter_ext.containers.docker_stats import read_stats
from jupyter_ext.containers.engine_types import ContainerSpec, EngineMount, EnginePort
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, PlatformError, Unavailable

DRIVER = "driver failed programming external connectivity on endpoint u.web (7a1c): "


@pytest.mark.parametrize(
    ("status", "words", "kind", "name"),
    [
        (404, "No such container: web", NotFound, "web"),
        (404, "No such image: nginx:1", NotFound, "nginx:1"),
        (404, "page not found", NotFound, "asked"),
        (
            409,
            'Conflict. The container name "/u.web" is already in use by container "1"',
            Conflict,
            "u.web",
        ),
        (409, "container 1 is not running", Conflict, "asked"),
        (
            500,
            f"{DRIVER}Bind for 127.0.0.1:8080 failed: port is already allocated",
            Conflict,
            "8080",
        ),
        (500, f"{DRIVER}Bind for :::8081 failed: port is already allocated", Conflict, "8081"),
        (
            500,
            f"{DRIVER}Error starting userland proxy: "
            "listen tcp4 127.0.0.1:80: bind: address already in use",
            Conflict,
            "80",
        ),
        (500, "failed to bind host port 127.0.0.1:53/udp: address already in use", Conflict, "53"),
        (400, "invalid reference format", InvalidRequest, None),
        (500, 'exec: "nope": executable file not found in $PATH: unknown', InvalidRequest, None),
        (
            500,
            "unable to find user nobody: no matching entries in passwd file",
            InvalidRequest,
            None,
        ),
        (500, "write /var/lib/docker/x: no space left on device", Unavailable, None),
        (500, 'could not select device driver "" with capabilities: [[gpu]]', Unavailable, None),
        (503, "swarm is not ready", Unavailable, None),
        (500, "something odd", Conflict, "asked"),
        (500, "", Conflict, "asked"),
    ],
)
def test_refusals(status: int, words: str, kind: type[PlatformError], name: str | None) -> None:
    error = translate(EngineFault(status, words), "container", "asked")
    assert type(error) is kind
    assert getattr(error, "name", None) == name


def test_a_busy_port_is_a_field() -> None:
    words = f"{DRIVER}Bind for 127.0.0.1:8080 failed: port is already allocated"
    error = translate(EngineFault(500, words), "container", "x")
    assert (str(error), error.details) == ("Port 8080 is taken on 127.0.0.1.", {"port": "8080"})
    assert "ports" in error.fields


@pytest.mark.parametrize(
    ("url", "reason", "cure"),
    [
        ("unix:///s", "[Errno 13] Permission denied", "usermod -aG docker"),
        ("unix:///s", "has too much to do", "Try again"),
        ("tcp://far:2375", "Connection refused", "DOCKER_HOST"),
    ],
)
def test_each_absence_has_its_cure(url: str, reason: str, cure: str) -> None:
    assert cure in unavailable(EngineAddress(url), reason).cure


def test_an_engine_that_is_not_running_or_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    which = "jupyter_ext.containers.docker_errors.shutil.which"
    monkeypatch.setattr(which, lambda name, path=None: f"/usr/bin/{name}")
    assert unavailable(EngineAddress("unix:///s"), "No such file").cure.endswith(
        "`sudo systemctl start docker`"
    )
    monkeypatch.setattr(which, lambda name, path=None: None)
    assert (
        "apt-get install docker.io" in unavailable(EngineAddress("unix:///s"), "No such file").cure
    )


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("2026-01-02T05:04:05.1+02:00", datetime(2026, 1, 2, 3, 4, 5, 100000, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, time: datetime | None) -> None:
    assert docker_parse.parse_time(text) == time


def test_an_entry_of_the_list() -> None:
    found = docker_parse.listed_container(
        {
            "Id": "a" * 64,
            "Names": ["/other/alias", "/u.web"],
            "State": "removing",
            "Image": "nginx",
            "ImageID": "sha256:1",
            "Created": 1_700_000_000,
            "Ports": [
                {"PrivatePort": 80, "Type": "tcp", "IP": "127.0.0.1", "PublicPort": 8080},
                {"PrivatePort": 80, "Type": "tcp", "IP": "::", "PublicPort": 8080},
                {"PrivatePort": 53, "Type": "udp"},
            ],
            "Labels": None,
            "Mounts": [
                {"Type": "volume", "Name": "v", "Source": "/d/v", "Destination": "/z", "RW": False},
                {"Type": "bind", "Source": "/home", "Destination": "/a", "RW": True},
            ],
        },
        1.0,
    )
    assert (found.name, found.status) == ("u.web", "dead")
    assert found.ports == {"53/udp": None, "80/tcp": 8080}
    assert found.mounts == (
        EngineMount("/home", "/a"),
        EngineMount("v", "/z", read_only=True, kind="volume"),
    )


def test_an_entry_with_next_to_nothing() -> None:
    found = docker_parse.listed_container({"Id": "a"}, 1.0)
    assert (found.name, found.ports, found.networks) == ("", {}, {})
    assert docker_parse.inspected_container({"Id": "a"}, 1.0).detail is not None
    assert docker_parse.inspected_image({"Id": "a"}).tags == ()


def test_what_a_container_is_made_of() -> None:
    spec = ContainerSpec(
        "u.web",
        "nginx",
        ports={"80/tcp": EnginePort(8080), "81/tcp": EnginePort(), "82/tcp": None},
        memory=1 << 20,
        cpu=0.5,
        restart_policy="on-failure:3",
        mounts=(EngineMount("/home/u", "/work", read_only=True),),
        log_max_size=1000,
    )
    config = engine_config(spec)
    host = config["HostConfig"]
    assert set(config["ExposedPorts"]) == {"80/tcp", "81/tcp", "82/tcp"}
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (1 << 20, 1 << 20, 500_000_000)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1000"}}
    assert host["Init"] is True
    assert "Privileged" not in host
    assert "Cmd" not in config


class Parts:
    """A stream whose bytes come in pieces of a few."""

    def __init__(self, data: bytes, size: int = 3) -> None:
        self.parts = [data[n : n + size] for n in range(0, len(data), size)]
        self.rest = b""

    async def read(self) -> bytes:
        if self.rest:
            rest, self.rest = self.rest, b""
            return rest
        return self.parts.pop(0) if self.parts else b""

    async def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := await self.read()):
            data += more
        self.rest = data[count:]
        return data[:count]


def frame(number: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(data)) + data


async def test_frames_are_taken_apart() -> None:
    data = frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"") + frame(1, b"three")
    found = [part async for part in frames(Parts(data), tty=False)]  # type: ignore[arg-type]
    assert found == [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three")]


async def test_a_frame_that_breaks_off_ends() -> None:
    data = frame(1, b"one") + b"\x01\x00"
    assert [p async for p in frames(Parts(data), tty=False)] == [("stdout", b"one")]  # type: ignore[arg-type]


async def test_a_terminal_has_no_frames() -> None:
    data = b"\x01\x00\x00\x00abc"
    found = b"".join([d async for _, d in frames(Parts(data), tty=True)])  # type: ignore[arg-type]
    assert found == data


async def told(*items: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for item in items:
        yield item


def layer(id_: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    detail = {"current": current, "total": total} if total else {}
    return {"id": id_ * 12, "status": status, "progressDetail": detail}


async def test_progress_grows_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "REPORT_EVERY", 0)
    items = [
        {"status": "Pulling from x", "id": "latest"},
        layer("a", "Pulling fs layer"),
        layer("b", "Pulling fs layer"),
        layer("a", "Downloading", 50, 100),
        layer("a", "Download complete"),
        layer("b", "Downloading", 100, 300),
        layer("a", "Extracting", 50, 100),
        layer("a", "Pull complete"),
        layer("b", "Verifying Checksum"),
        layer("b", "Extracting", 300, 300),
        layer("b", "Pull complete"),
        {"status": "Status: Downloaded newer image for x"},
    ]
    reports = [report async for report in docker_images._follow(told(*items))]
    fractions = [report.fraction for report in reports if report.fraction is not None]
    assert reports[0].fraction is None
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert fractions[-1] == 1
    assert {found.id: found.total for found in reports[-1].layers} == {"a" * 12: 100, "b" * 12: 300}


async def test_an_error_in_the_stream_is_raised() -> None:
    with pytest.raises(docker_images._RegistryError, match="denied"):
        async for _ in docker_images._follow(told({"error": "denied"})):
            pass


def stats(total: int, before: int | None, system: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "read": "2026-01-02T03:04:05Z",
        "cpu_stats": {
            "cpu_usage": {"total_usage": total},
            "system_cpu_usage": system,
            "online_cpus": 2,
        },
        "precpu_stats": {"cpu_usage": {"total_usage": before or 0}},
        "memory_stats": {"usage": 1000, "limit": 5000, "stats": {"inactive_file": 300}},
        "networks": {
            "eth0": {"rx_bytes": 1, "tx_bytes": 2},
            "eth1": {"rx_bytes": 10, "tx_bytes": 20},
        },
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 8}]
        },
        "pids_stats": {"current": 3},
    }
    if before is not None:
        found["precpu_stats"]["system_cpu_usage"] = system - 1000
    return found


def test_the_engines_statistics() -> None:
    sample = read_stats("a", stats(600, 100, 10_000))
    assert sample.cpu_usage == pytest.approx(100.0)
    assert (sample.memory_usage, sample.memory_limit, sample.pids) == (700, 5000, 3)
    assert (sample.rx_bytes, sample.tx_bytes) == (11, 22)
    assert (sample.read_bytes, sample.write_bytes) == (7, 8)


def test_a_first_frame_has_no_cpu() -> None:
    assert read_stats("a", stats(600, None, 10_000)).cpu_usage is None


def test_a_container_that_has_just_ended_has_no_numbers() -> None:
    sample = read_stats(
        "a", {"memory_stats": {}, "blkio_stats": {"io_service_bytes_recursive": None}}
    )
    assert (sample.cpu_usage, sample.memory_usage) == (None, 0)
