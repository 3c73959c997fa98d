from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_ext.client import specs
from jupyter_ext.client.calls import split_reference
from jupyter_ext.errors import InvalidRequest


def test_ports() -> None:
    assert specs.ports(["8080:80", "5353:53/udp", "9000"]) == {
        "80/tcp": 8080,
        "53/udp": 5353,
        "9000/tcp": None,
    }


@pytest.mark.parametrize("text", ["", "x", "80:", "70000:80", "0:80", "80/icmp", "1:2:3", "-1:80"])
def test_what_is_no_port_names_the_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        specs.ports([text])
    assert "HOST:CONTAINER" in caught.value.fields["ports"]


def test_folders(tmp_path: Path) -> None:
    assert specs.volumes(["data:/data", "/abs/x/../y:/y:ro"], tmp_path) == [
        {"host_path": str(tmp_path / "data"), "container_path": "/data"},
        {"host_path": "/abs/y", "container_path": "/y", "read_only": True},
    ]


@pytest.mark.parametrize("text", ["", "data", "data:relative", ":/x", "a:/b:x"])
def test_what_is_no_folder_names_the_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        specs.volumes([text])
    assert "volumes" in caught.value.fields


def test_variables() -> None:
    assert specs.environment(["A=1", "B=x=y", "C=", "D"], {"D": "here"}) == {
        "A": "1",
        "B": "x=y",
        "C": "",
        "D": "here",
    }
    for text in ("", "=x", "NOWHERE"):
        with pytest.raises(InvalidRequest):
            specs.environment([text], {})


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("512m", 512), ("2g", 2048), ("1.5G", 1536), ("64 MB", 64)]
)
def test_sizes(text: str, size: int) -> None:
    assert specs.megabytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "0", "-1g", "1p"])
def test_what_is_no_size_names_the_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        specs.megabytes(text)
    assert "mem" in caught.value.fields


def test_cores() -> None:
    assert specs.cores("0.5") == 0.5
    for text in ("x", "0", "-1", "nan", "inf"):
        with pytest.raises(InvalidRequest):
            specs.cores(text)


def test_moments() -> None:
    past = datetime.fromisoformat(specs.moment("10m"))
    assert abs(datetime.now(UTC) - timedelta(minutes=10) - past) < timedelta(seconds=10)
    assert specs.moment("2026-01-01T00:00:00Z") == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("nginx", ("nginx", None)),
        ("nginx:1.27", ("nginx", "1.27")),
        ("localhost:5000/nginx", ("localhost:5000/nginx", None)),
        ("localhost:5000/a/nginx:x", ("localhost:5000/a/nginx", "x")),
        ("nginx@sha256:abc", ("nginx", "sha256:abc")),
    ],
)
def test_references(reference: str, parts: tuple[str, str | None]) -> None:
    assert split_reference(reference) == parts
