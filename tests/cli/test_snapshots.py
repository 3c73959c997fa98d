"""``snapshot restore``: what is said before anything is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from ..client.speaker import Speaker
from .conftest import Pig
from .test_backups import somebody

WHERE = "POST /api/v1/snapshots/week%201/restore"


def part(name: str, kind: str, state: str = "kept") -> dict[str, Any]:
    return {"name": name, "kind": kind, "state": state, "not_in_it": []}


@pytest.fixture(autouse=True)
def a_server(speaker: Speaker) -> None:
    parts = [
        part("database:shop", "database"),
        part("files", "files"),
        part("container:box", "container", "gone"),
    ]
    found = {"name": "week 1", "created_at": "2026-01-02T12:00:00Z", "parts": parts}
    speaker.says("GET /api/v1/snapshots/week%201", found)
    speaker.says(WHERE, {"parts": ["files"], "kept": "before week 1", "not_in_it": {}})


def restores(speaker: Speaker) -> list[Any]:
    return [each.json for each in speaker.asked if each.path.endswith("/restore")]


def test_nothing_is_replaced_unasked_and_what_would_be_is_said(pig: Pig, speaker: Speaker) -> None:
    ran = pig("snapshot", "restore", "week 1")
    assert ran.code == 2
    assert "would replace: database:shop, files." in ran.err
    assert "sessions in these databases end" in ran.err
    assert "--yes" in ran.err
    assert restores(speaker) == []


def test_a_part_that_it_does_not_have_is_refused_with_those_that_it_has(
    pig: Pig, speaker: Speaker
) -> None:
    ran = pig("snapshot", "restore", "--part", "container:box", "week 1")
    assert ran.code == 2
    assert "week 1 has database:shop, files" in ran.err
    assert restores(speaker) == []


def test_whoever_agrees_has_it_done(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, asked in (("n\n", []), ("y\n", [{"parts": ["files"]}])):
        somebody(monkeypatch, answer)
        ran = pig("snapshot", "restore", "--part", "files", "week 1")
        assert "would replace: files." in ran.err
        assert "sessions" not in ran.err
        assert restores(speaker) == asked
    assert "What was there is the snapshot before week 1" in ran.out
