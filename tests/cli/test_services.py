"""``start``, ``stop``, ``restart``, ``logs`` and ``status services``: what is asked and shown."""

from __future__ import annotations

from typing import Any

import pytest

from ..client.speaker import Speaker
from .conftest import Pig
from .test_backups import somebody


def one(name: str, status: str, kind: str = "process", **more: Any) -> dict[str, Any]:
    facts = {"port": 5433, "pid": 7, "uptime": 90_000, "memory_bytes": 3_000_000}
    actions = ["start", "stop", "restart"]
    return {"name": name, "status": status, "kind": kind, "actions": actions, **facts, **more}


@pytest.fixture(autouse=True)
def a_server(speaker: Speaker) -> None:
    services = [
        one("postgres", "stopped", "postgres"),
        one("jupyter", "running", "jupyter"),
        one("vscode", "running"),
        one("cron", "running", "systemd"),
    ]
    speaker.says("GET /api/v1/services", {"services": services, "total": 4})
    for service in services:
        for verb, status in (("start", "running"), ("stop", "stopped"), ("restart", "running")):
            where = f"POST /api/v1/services/{service['name']}/{verb}"
            speaker.says(where, {**service, "status": status})
        logs = {"lines": [f"of {service['name']}", "\x1b[2Jend"]}
        speaker.says(f"GET /api/v1/services/{service['name']}/logs", logs)


def acts(speaker: Speaker) -> list[str]:
    return [path.split("services/")[1] for path in speaker.paths() if path.startswith("POST")]


def test_services_are_listed(pig: Pig) -> None:
    head, *rows = pig("status", "services").out.splitlines()
    assert head.split() == ["SERVICE", "STATUS", "PORT", "PID", "UP", "FOR", "MEMORY"]
    assert rows[0].split() == ["postgres", "stopped", "5433", "7", "1", "d", "1", "h", "3", "MB"]


def test_without_a_name_all_are_meant_and_the_server_comes_last(pig: Pig, speaker: Speaker) -> None:
    assert pig("start").code == 0
    assert acts(speaker) == ["postgres/start"]
    speaker.asked.clear()
    assert pig("stop", "--yes").code == 0
    assert acts(speaker) == ["vscode/stop", "jupyter/stop"]
    speaker.asked.clear()
    assert pig("restart", "--yes").code == 0
    assert acts(speaker) == ["vscode/restart", "jupyter/restart"]


def test_the_server_is_not_ended_unasked(pig: Pig, speaker: Speaker) -> None:
    ran = pig("stop")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert acts(speaker) == []
    assert pig("stop", "cron").code == 0
    assert acts(speaker) == ["cron/stop"]


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_everybodys_databases_are_not_ended_unasked(pig: Pig, speaker: Speaker, verb: str) -> None:
    ran = pig(verb, "postgres")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert acts(speaker) == []
    assert pig(verb, "--yes", "postgres").code == 0
    assert acts(speaker) == [f"postgres/{verb}"]


def test_the_question_says_what_ends(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody(monkeypatch, "n\n")
    ran = pig("stop", "postgres")
    assert "Stop postgres? Then everybody's sessions in databases end. [y/N]" in ran.err
    assert acts(speaker) == []
    somebody(monkeypatch, "y\n")
    assert pig("restart", "postgres").code == 0
    assert acts(speaker) == ["postgres/restart"]


def test_unknown_service_is_code_3(pig: Pig, speaker: Speaker) -> None:
    missing = {"code": "NOT_FOUND", "message": "No service.", "details": {"service": "x"}}
    speaker.says("POST /api/v1/services/x/start", {"error": missing}, 404)
    assert pig("start", "x").code == 3


def test_logs_of_one_and_of_all(pig: Pig, speaker: Speaker) -> None:
    assert pig("logs", "vscode", "-n", "5", "--since", "2h").out.splitlines() == [
        "of vscode",
        "\N{REPLACEMENT CHARACTER}[2Jend",
    ]
    query = speaker.asked[-1].query
    assert query["tail"] == "5"
    assert query["since"].endswith("Z")
    assert "vscode     of vscode" in pig("logs").out.splitlines()
    assert pig("logs", "vscode", "--since", "never").code == 2
