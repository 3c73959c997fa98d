"""What a request may say, and which field is to blame."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from jupyter_ext.containers.schemas import LogsQuery, NewContainer, PullBody

GOOD: dict[str, Any] = {"name": "web", "image": "nginx"}


def fields(model: type[BaseModel], value: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return {str(error["loc"][0]) for error in caught.value.errors() if error["loc"]}


@pytest.mark.parametrize(
    "given",
    [
        {"ports": {"80": 8080}},
        {"ports": {"80/tcp": None, "53/udp": 0}},
        {"ports": {"80/tcp": "8080"}},
        {"environment": {"A": "x", "B": 1, "C": 1.5, "D": True}},
        {"command": "sh -c 'echo hi'"},
        {"command": ["sh", "-c", "echo hi"]},
        {"cpu": 0.5, "mem": 64},
        {"cpu": 0, "mem": 0},
        {"gid": 0, "count": 0},
        {"gid": None},
        {"volumes": [{"host_path": "/a", "container_path": "/b"}]},
        {"restart_policy": "on-failure:3"},
        {"image": "sha256:" + "a" * 64},
        {"image": "deadbeef"},
    ],
)
def test_good_bodies(given: dict[str, Any]) -> None:
    NewContainer.model_validate({**GOOD, **given})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "12"}, "name"),
        ({"image": "No Such"}, "image"),
        ({"ports": {"http": 8080}}, "ports"),
        ({"ports": {"0/tcp": 8080}}, "ports"),
        ({"ports": {"80/icmp": 8080}}, "ports"),
        ({"ports": {"80/tcp": 70000}}, "ports"),
        ({"ports": {"80": 8080, "80/tcp": 8081}}, "ports"),
        ({"ports": {"80": 8080, "81": 8080}}, "ports"),
        ({"ports": [80]}, "ports"),
        ({"environment": {"1A": "x"}}, "environment"),
        ({"environment": {"A=B": "x"}}, "environment"),
        ({"environment": {"": "x"}}, "environment"),
        ({"environment": {"A": None}}, "environment"),
        ({"environment": {"A": "x" * 200_000}}, "environment"),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}, "environment"),
        ({"command": "echo 'open"}, "command"),
        ({"command": ["a\0b"]}, "command"),
        # Splitting it would hold the loop for more than a minute.
        ({"command": "a" * 1_000_000}, "command"),
        ({"image": "a." * 500_000 + "/x"}, "image"),
        ({"cpu": -1}, "cpu"),
        ({"cpu": 0.001}, "cpu"),
        ({"cpu": float("nan")}, "cpu"),
        ({"mem": 1}, "mem"),
        ({"gid": -1}, "gid"),
        ({"gid": "any"}, "gid"),
        ({"gid": [1, 1]}, "gid"),
        ({"count": 65}, "count"),
        ({"restart_policy": "sometimes"}, "restart_policy"),
        ({"volumes": [{"host_path": "/a"}]}, "volumes"),
    ],
)
def test_bad_bodies_name_the_field(given: dict[str, Any], field: str) -> None:
    assert fields(NewContainer, {**GOOD, **given}) == {field}


def test_all_wrong_fields_are_named_at_once() -> None:
    wrong = {"name": "", "image": "", "ports": {"x": 1}, "cpu": -1}
    assert fields(NewContainer, wrong) == {"name", "image", "ports", "cpu"}


def test_what_came_in_is_written_one_way() -> None:
    body = NewContainer.model_validate(
        {
            **GOOD,
            "ports": {"80": "8080", "81/tcp": 0},
            "environment": {"A": 1, "B": True},
            "command": "sh -c 'a b'",
        }
    )
    assert body.ports == {"80/tcp": 8080, "81/tcp": None}
    assert body.environment == {"A": "1", "B": "true"}
    assert body.command == ["sh", "-c", "a b"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("1700000000.5", datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)),
        ("2025-04-17T14:30:00Z", datetime(2025, 4, 17, 14, 30, tzinfo=UTC)),
        ("2025-04-17T16:30:00+02:00", datetime(2025, 4, 17, 14, 30, tzinfo=UTC)),
        ("2025-04-17T16:30:00 02:00", datetime(2025, 4, 17, 14, 30, tzinfo=UTC)),
        ("2025-04-17T14:30:00", datetime(2025, 4, 17, 14, 30, tzinfo=UTC)),
        ("", None),
    ],
)
def test_moments_of_logs(text: str, moment: datetime | None) -> None:
    assert LogsQuery.model_validate({"since": text}).since == moment


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "9" * 40}, "until"),
        ({"tail": -1}, "tail"),
        ({"tail": 10_001}, "tail"),
        ({"tail": "all"}, "tail"),
    ],
)
def test_bad_queries_of_logs(given: dict[str, Any], field: str) -> None:
    assert fields(LogsQuery, given) == {field}


@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        ({"name": "nginx"}, "nginx:latest"),
        ({"name": "nginx", "tag": "1"}, "nginx:1"),
        ({"name": "nginx:1"}, "nginx:1"),
        ({"name": "nginx:1", "tag": "latest"}, "nginx:1"),
        ({"name": "r:5000/a", "tag": "1"}, "r:5000/a:1"),
        ({"name": "nginx", "tag": "sha256:" + "a" * 64}, "nginx@sha256:" + "a" * 64),
        ({"name": "nginx@sha256:" + "a" * 64}, "nginx@sha256:" + "a" * 64),
    ],
)
def test_what_to_pull(given: dict[str, Any], meaning: str) -> None:
    assert PullBody.model_validate(given).reference == meaning


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "No"}, "name"),
        ({"name": "nginx", "tag": "a b"}, "tag"),
        ({"name": "nginx:1", "tag": "2"}, "tag"),
        ({}, "name"),
    ],
)
def test_what_can_not_be_pulled(given: dict[str, Any], field: str) -> None:
    assert fields(PullBody, given) == {field}
