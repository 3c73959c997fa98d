"""``db …``: what it asks a person, what it sends, and what it shows."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from jupyter_ext.cli.console import TerminalConsole

from ..client.speaker import Speaker
from .conftest import Pig

ADDRESS = "postgresql://ann:hush@127.0.0.1:5433/mydb"
MADE = {"name": "mydb", "owner": "ann", "size": "8 MB", "connection_url": None}


def one(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "owner": "ann", "size": "8 MB", "system": False, **more}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at the terminal, who answers no."""
    monkeypatch.setattr(TerminalConsole, "interactive", property(lambda _: True))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))


@pytest.fixture(autouse=True)
def a_server(speaker: Speaker) -> None:
    operation = {"id": "op-1", "kind": "database.create", "subject": "mydb"}
    done = {**operation, "state": "succeeded", "result": MADE}
    speaker.says("POST /api/v1/databases", done, 202)
    connection = {"url": ADDRESS, "host": "127.0.0.1", "port": 1, "database": "mydb"}
    connection |= {"user": "ann", "password": "hush"}
    for name in ("mydb", "a", "b"):
        speaker.says(f"GET /api/v1/databases/{name}/connection", connection)
        speaker.says(f"DELETE /api/v1/databases/{name}", {"name": name, "status": "deleted"})
    speaker.says("GET /api/v1/databases", {"databases": [one("a"), one("b")], "total": 2})


def test_the_address_is_all_of_the_output(pig: Pig) -> None:
    ran = pig("db", "create", "mydb")
    assert (ran.code, ran.out) == (0, f"{ADDRESS}\n")
    assert "hush" not in ran.err
    assert json.loads(pig("db", "create", "mydb", "--json").out)["connection_url"] == ADDRESS
    assert pig("-q", "db", "create", "mydb").out == f"{ADDRESS}\n"


def test_what_is_made_for_others_is_theirs(pig: Pig, speaker: Speaker) -> None:
    options = ("--owner", "ann", "--template", "old", "--extension", "a", "--extension", "b")
    assert pig("db", "create", "mydb", *options).out == "Made mydb, which is ann's.\n"
    assert speaker.paths() == ["POST /api/v1/databases"]
    assert speaker.asked[0].json == {
        "name": "mydb",
        "owner": "ann",
        "template": "old",
        "extensions": ["a", "b"],
    }


def test_databases_are_listed(pig: Pig, speaker: Speaker) -> None:
    head, row, _ = pig("db", "list", "--fresh").out.splitlines()
    assert head.split() == ["NAME", "OWNER", "SIZE", "CREATED"]
    assert row.split()[:4] == ["a", "ann", "8", "MB"]
    assert speaker.asked[0].query == {"fresh": "true"}
    assert pig("-q", "db", "list").out == "a\nb\n"
    speaker.says("GET /api/v1/databases", {"databases": [], "total": 0})
    assert "`create NAME` makes one" in pig("db", "list").err


def test_the_status_of_databases_is_their_list(pig: Pig) -> None:
    shown = pig("status", "db")
    assert (shown.code, shown.out) == (0, pig("db", "list").out)
    assert [each["name"] for each in json.loads(pig("status", "db", "--json").out)] == ["a", "b"]


def test_nobody_there_to_be_asked(pig: Pig, speaker: Speaker) -> None:
    ran = pig("db", "drop", "a", "--force")
    assert ran.code == 2
    assert "add --yes" in ran.err
    assert speaker.asked == []
    assert pig("db", "drop", "a", "b", "--yes").out == "Deleted a, b.\n"
    assert speaker.asked[-1].query == {}
    assert pig("db", "drop", "a", "--yes", "--force").code == 0
    assert speaker.asked[-1].query == {"force": "true"}


@pytest.mark.usefixtures("person")
def test_a_person_is_asked(pig: Pig, speaker: Speaker) -> None:
    ran = pig("db", "drop", "a", "b")
    assert ran.code == 1
    assert "Delete a, b with all that is in there? [y/N]" in ran.err
    assert speaker.asked == []


def test_what_is_not_there_is_listed_by_its_command(pig: Pig, speaker: Speaker) -> None:
    missing = {"code": "NOT_FOUND", "message": "No database.", "details": {"database": "nix"}}
    speaker.says("DELETE /api/v1/databases/nix", {"error": missing}, 404)
    ran = pig("db", "drop", "--yes", "nix")
    assert ran.code == 3
    assert "See `pig db list`." in ran.err


def test_without_a_name_there_must_be_one_or_somebody_to_ask(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = pig("db", "connect", "--", "-c", "SELECT 1")
    assert ran.code == 2
    assert "There are: a, b." in ran.err
    speaker.says("GET /api/v1/databases", {"databases": [one("postgres", system=True)]})
    assert pig("db", "connect").code == 3
    assert not [path for path in speaker.paths() if path.endswith("connection")]


def test_a_person_names_one(pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TerminalConsole, "interactive", property(lambda _: True))
    monkeypatch.setattr("sys.stdin", io.StringIO("c\nb\n"))
    ran = pig("db", "connect", "--", "--version")
    assert ran.code == 0
    assert "Which database (a, b)" in ran.err
    assert speaker.paths()[-1] == "GET /api/v1/databases/b/connection"


def test_without_psql_it_says_how_to_get_it(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ran = pig("db", "connect", "mydb")
    assert ran.code == 1
    assert "postgresql-client" in ran.err
    assert speaker.asked == []


def test_the_shell_is_offered_no_name_that_it_would_run(speaker: Speaker) -> None:
    names = ("plain", "größe-2", "$(touch x)", "a b", "; rm x", "-x", "a/b", "`id`", "x'y")
    speaker.says("GET /api/v1/databases", {"databases": [one(name) for name in names]})
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli"],
        env={
            **os.environ,
            "PIG_URL": speaker.url,
            "PIG_API_KEY": "k",
            "_PIG_COMPLETE": "bash_complete",
            "COMP_WORDS": "pig db connect ",
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,plain", "plain,größe-2", "plain,a/b"]
