from __future__ import annotations

from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter

from jupyter_ext.cli.commands import complete as names
from jupyter_ext.cli.session import Session
from jupyter_ext.notebook import completion

from ..client.speaker import Speaker


@pytest.fixture(autouse=True)
def some_containers(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIG_URL", speaker.url)
    monkeypatch.setenv("PIG_API_KEY", "k")
    monkeypatch.setattr(names, "_kept", {})
    monkeypatch.setattr(completion, "_session", Session(timeout=1.5))
    items = [{"id": "1", "name": "web"}, {"id": "2", "name": "worker"}, {"id": "3", "name": "db"}]
    speaker.says("GET /api/v1/containers", {"data": {"total": 3, "items": items}})
    images = [{"id": "1", "tags": ["busybox:latest", "localhost:5000/busy:1"]}]
    speaker.says("GET /api/v1/images", {"data": {"total": 1, "items": images}})
    databases = [{"name": "mydb"}, {"name": "my $(own)"}]
    speaker.says("GET /api/v1/databases", {"databases": databases, "total": 2})
    speaker.says("GET /api/v1/backups", {"backups": [{"id": "backup-20260102"}], "total": 1})
    snapshots = [{"name": "one"}, {"name": "one; rm -rf x"}]
    speaker.says("GET /api/v1/snapshots", {"snapshots": snapshots, "total": 2})


def offered(shell: Any, text: str) -> list[str]:
    """Return the texts that the line could become."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    completion._session.close()
    return sorted(text[: one.start] + one.text for one in found)


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("%container st", ["%container start", "%container stats", "%container stop"]),
        ("%container stop w", ["%container stop web", "%container stop worker"]),
        ("%container stop web d", ["%container stop web db"]),
        ("%container run --na", ["%container run --name"]),
        ("%container run busy", ["%container run busybox:latest"]),
        ("%container run busybox:la", ["%container run busybox:latest"]),
        ("%container list --status ex", ["%container list --status exited"]),
        ("%%container wo", ["%%container worker"]),
        ("%database cl", ["%database clone"]),
        ("%database use my", ["%database use mydb"]),
        ("%database drop --ye", ["%database drop --yes"]),
        ("%backup cr", ["%backup create"]),
        ("%backup restore ba", ["%backup restore backup-20260102"]),
        ("%backup restore --database my", ["%backup restore --database mydb"]),
        ("%snapshot re", ["%snapshot restore"]),
        ("%snapshot restore one", ["%snapshot restore one"]),
    ],
)
def test_the_tab_key(shell: Any, typed: str, lines: list[str]) -> None:
    assert offered(shell, typed) == lines


def test_every_name_is_offered_where_nothing_is_typed(shell: Any) -> None:
    found = offered(shell, "%container stop ")
    assert {f"%container stop {name}" for name in ("db", "web", "worker")} <= set(found)


def test_no_server_is_no_noise(
    shell: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIG_URL")
    assert "%container stop web" not in offered(shell, "%container stop w")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
