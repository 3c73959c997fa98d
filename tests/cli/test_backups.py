"""``backup …``: what it shows before it asks, what it sends, and what it shows then."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_ext.cli.console import TerminalConsole

from ..client.speaker import Speaker, Speaking
from .conftest import Pig

BACKUP = {
    "id": "backup-20260102",
    "type": "full",
    "size": "4.1MB",
    "size_bytes": 4_300_000,
    "created_at": "2026-01-02T10:00:00Z",
    "seconds": 4,
    "timeline": 1,
    "owner": None,
    "databases": ["shop"],
    "verified_at": None,
    "files": [],
    "files_bytes": 0,
    "files_unread": None,
    "recovery_window": [
        {"timeline": 1, "from": "2026-01-02T10:00:05Z", "to": "2026-01-02T12:00:00Z"}
    ],
}
PLAN: dict[str, Any] = {
    "backup": "backup-20260102",
    "dry_run": True,
    "mode": "in_place",
    "databases": ["shop"],
    "cluster": False,
    "files": [],
    "files_time": None,
    "kept_files": None,
    "target_time": "2026-01-02T11:00:00Z",
    "timeline": 1,
    "seconds": 4.2,
    "bytes": {"live": 30_000_000, "side": 90_000_000, "kept": 8_000_000, "free": 10**10},
    "kept": {"shop": "shop.before-20260102-120000"},
    "side": None,
}
RESTORE = "POST /api/v1/backups/backup-20260102/restore"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock of a machine without a zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def a_server(speaker: Speaker) -> None:
    def restore(handler: Speaking) -> None:
        asked = json.loads(handler.request.body)
        dry = asked.get("dry_run", False)
        handler.finish({**PLAN, "dry_run": dry})

    speaker.on(RESTORE, restore)
    speaker.says("GET /api/v1/backups", {"backups": [BACKUP], "total": 1})
    speaker.says("DELETE /api/v1/backups/backup-20260102", {"id": "backup-20260102"})


def somebody(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Seat a person at the terminal."""
    monkeypatch.setattr(TerminalConsole, "interactive", property(lambda _: True))
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


def restores(speaker: Speaker) -> list[dict[str, Any]]:
    return [each.json for each in speaker.asked if each.path.endswith("/restore")]


def test_backups_are_listed(pig: Pig, speaker: Speaker) -> None:
    head, row = pig("backup", "list").out.splitlines()
    assert head.split() == ["ID", "TYPE", "SIZE", "TAKEN", "RESTORABLE", "UNTIL", "TESTED", "FOR"]
    assert "2026-01-02 12:00:00" in row
    assert row.split()[-2:] == ["never", "shop"]
    assert json.loads(pig("backup", "list", "--json").out) == [BACKUP]
    assert pig("-q", "backup", "list").out == "backup-20260102\n"
    speaker.says("GET /api/v1/backups", {"backups": [], "total": 0})
    assert "`create` takes one" in pig("backup", "list").err


def test_one_is_taken(pig: Pig, speaker: Speaker) -> None:
    speaker.says("POST /api/v1/backups", BACKUP, 201)
    ran = pig("backup", "create", "--type", "differential", "--database", "a", "--database", "b")
    assert ran.out == "Took backup-20260102: full, 4.1MB.\n"
    assert speaker.asked[0].json == {"type": "differential", "databases": ["a", "b"]}
    assert pig("backup", "create", "--type", "hourly").code == 2


def test_files_go_with_one_and_come_back(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"files": ["a b.txt", "project"], "files_bytes": 2_000_000}
    speaker.says("POST /api/v1/backups", BACKUP | held, 201)
    ran = pig("backup", "create", "--file", "a b.txt", "--file", "project", "--no-databases")
    assert ran.out == "Took backup-20260102: full, 4.1MB, with 2 files or folders (2 MB).\n"
    assert speaker.asked[0].json == {"databases": [], "files": ["a b.txt", "project"]}
    for wrong in (["--no-databases"], ["--no-databases", "--file", "a", "--database", "b"]):
        assert pig("backup", "create", *wrong).code == 2
    files = [{"path": "project", "replaces": True}]
    plan = PLAN | {"databases": [], "kept": {}, "files": files, "kept_files": "before b 1"}
    speaker.says(RESTORE, plan | {"files_time": "2026-01-02T10:00:00Z"})
    somebody(monkeypatch, "y\n")
    ran = pig("backup", "restore", "backup-20260102", "--file", "project")
    assert "your folder as the snapshot before b 1" in ran.err
    assert "cluster" not in ran.err and "cluster" not in ran.out
    assert "project, as they were 2026-01-02 10:00:00 UTC" in ran.out
    sent = [{name: each.get(name) for name in ("databases", "files")} for each in restores(speaker)]
    chosen = {"databases": None, "files": ["project"]}
    assert sent == [chosen, chosen | {"databases": []}]
    pig("backup", "restore", "backup-20260102", "--yes", "--no-files")
    assert restores(speaker)[-1] == {"files": []}
    assert pig("backup", "restore", "--file", "a", "--no-files").code == 2
    assert pig("backup", "restore", "--file", "a", "--all").code == 2


def test_a_dry_run_is_a_dry_run(pig: Pig, speaker: Speaker) -> None:
    ran = pig("backup", "restore", "--to", "2026-01-02T11:00:00Z", "--dry-run")
    assert ran.code == 0
    assert "8 MB as shop.before-20260102-120000" in ran.out
    assert "all sessions in there end" in ran.out
    assert "90 MB beside; 10 GB are free" in ran.out
    assert restores(speaker) == [{"target_time": "2026-01-02T11:00:00Z", "dry_run": True}]
    told = pig("backup", "restore", "backup-20260102", "--dry-run", "--json")
    assert json.loads(told.out) == PLAN
    assert "already" not in ran.out
    sizes = PLAN["bytes"] | {"kept_earlier": 5_000_000}
    speaker.says(RESTORE, {**PLAN, "bytes": sizes})
    assert "5 MB of earlier restores" in pig("backup", "restore", "--dry-run").out


def test_nobody_there_to_be_asked_sees_the_dry_run(pig: Pig, speaker: Speaker) -> None:
    ran = pig("backup", "restore", "backup-20260102")
    assert (ran.code, ran.out) == (2, "")
    assert "shop.before-20260102-120000" in ran.err
    assert "add --yes" in ran.err
    assert [each["dry_run"] for each in restores(speaker)] == [True]


def test_yes_asks_nothing(pig: Pig, speaker: Speaker) -> None:
    ran = pig("backup", "restore", "backup-20260102", "--yes", "--database", "shop")
    assert ran.out.startswith("shop is back at 2026-01-02 11:00:00")
    assert "What was there before is shop.before-20260102-120000." in ran.out
    assert restores(speaker) == [{"databases": ["shop"]}]


def test_a_person_reads_the_dry_run_and_says_no(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody(monkeypatch, "n\n")
    ran = pig("backup", "restore", "backup-20260102")
    assert ran.code == 1
    assert ran.err.index("shop.before-") < ran.err.index("Restore? [y/N]")
    assert len(restores(speaker)) == 1


def test_what_was_read_is_what_is_done(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody(monkeypatch, "y\n")
    assert pig("backup", "restore", "--to", "10m", "--timeline", "1").code == 0
    moment, named = PLAN["target_time"], PLAN["databases"]
    assert restores(speaker)[1] == {"target_time": moment, "timeline": 1, "databases": named}


def test_whose_backup_it_is_is_told_where_nothing_is_named(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = BACKUP | {"owner": "ann"}
    speaker.says("GET /api/v1/backups", {"backups": [theirs], "total": 1})
    speaker.says("GET /api/v1/currentUser", {"user": {"username": "bob"}})
    to = ("backup", "restore", "--to", "2026-01-02T11:00:00Z")
    assert "backup-20260102, taken by ann" in pig(*to, "--dry-run").out
    assert "backup-20260102 was taken by ann" in pig(*to, "--yes").err
    somebody(monkeypatch, "n\n")
    assert "backup-20260102, taken by ann" in pig(*to).err
    assert "ann" not in pig(*to, "--database", "shop", "--dry-run").out
    speaker.says("GET /api/v1/currentUser", {"user": {"username": "ann"}})
    assert "ann" not in pig(*to, "--dry-run").out


def test_the_whole_cluster_is_asked_for_by_its_name(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {**PLAN, "databases": [], "cluster": True, "kept": {"cluster": "/pg/before-20260102"}}
    speaker.says(RESTORE, whole)
    somebody(monkeypatch, "n\n")
    ran = pig("backup", "restore", "backup-20260102", "--all")
    assert "Replace what everybody has? [y/N]" in ran.err
    assert restores(speaker)[0]["databases"] == []
    assert pig("backup", "restore", "--all", "--database", "a").code == 2
    side = {"id": "s", "host": "127.0.0.1", "port": 9, "connection_url": "postgresql://x@h:9/y"}
    speaker.says(RESTORE, {**whole, "mode": "side", "kept": {}, "side": side})
    somebody(monkeypatch, "y\n")
    ran = pig("backup", "restore", "backup-20260102", "--side")
    assert "it is left beside" in ran.err
    assert ran.out.endswith("is left beside: postgresql://x@h:9/y\n")


def test_a_time_that_is_none(pig: Pig, speaker: Speaker) -> None:
    ran = pig("backup", "restore", "--to", "teatime")
    assert ran.code == 2
    assert "'teatime' is no moment" in ran.err
    assert speaker.asked == []


def test_deleting_asks_first(pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "add --yes" in pig("backup", "delete", "backup-20260102").err
    somebody(monkeypatch, "n\n")
    assert pig("backup", "delete", "backup-20260102").code == 1
    assert speaker.asked == []
    assert pig("backup", "delete", "-y", "backup-20260102").out == "Deleted backup-20260102.\n"
    missing = {"code": "NOT_FOUND", "message": "No backup.", "details": {"backup": "b"}}
    speaker.says("DELETE /api/v1/backups/b", {"error": missing}, 404)
    ran = pig("backup", "delete", "-y", "b")
    assert ran.code == 3
    assert "See `pig backup list`." in ran.err


def test_ids_are_offered_by_the_shell(speaker: Speaker) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli"],
        env={
            **os.environ,
            "PIG_URL": speaker.url,
            "PIG_API_KEY": "k",
            "_PIG_COMPLETE": "bash_complete",
            "COMP_WORDS": "pig backup restore ba",
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,backup-20260102"]


def test_a_terminal_shows_how_far_it_is(speaker: Speaker) -> None:
    operation = {"id": "op-1", "kind": "backup.create", "subject": "full backup"}
    going = operation | {"state": "running", "progress": 0.4, "message": "Taking the backup"}
    speaker.says("POST /api/v1/backups", going, 202)
    speaker.says("GET /api/v1/operations/op-1", going)

    async def events(handler: Speaking) -> None:
        await handler.say_event("operations", going, "b-1")
        await asyncio.sleep(0.5)
        ended = going | {"state": "succeeded", "result": BACKUP}
        await handler.say_event("operations", ended, "b-2")

    speaker.on("GET /api/v1/events", events)
    main, side = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli", "backup", "create"],
        env={
            **os.environ,
            "PIG_URL": speaker.url,
            "PIG_API_KEY": "k",
            "TERM": "xterm",
            "COLUMNS": "120",
        },
        stdout=subprocess.PIPE,
        stderr=side,
        text=True,
        check=False,
    )
    os.close(side)
    shown = os.read(main, 65536).decode()
    assert done.returncode == 0, shown
    os.close(main)
    assert done.stdout == "Took backup-20260102: full, 4.1MB.\n"
    assert "40%" in shown
    assert "Taking the backup" in shown
