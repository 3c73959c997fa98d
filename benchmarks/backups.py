"""Backups and restores by REST, against pgBackRest's own commands on the same cluster."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from jupyter_ext.postgres.processes import SystemUser
from jupyter_ext.postgres.programs import find_programs
from tests.engines.clusters import cluster_folder, system_user
from tests.engines.scratch import free_port

from .harness import Caller, fill_database, server
from .rows import Row, median, ratio_at_most

BACKUPS = 3
RESTORES = 3
SOURCE_ROWS = 1_350_000
"""About 1 GB."""

SWITCHED = ("switched", "backing up")
"""Phases of a restore whose cluster is in its place, and that takes a backup of it."""

PAUSE = 0.02
"""Seconds between two looks at how far a restore is."""


def run() -> list[Row]:
    """Take full backups, and restore the whole cluster, in turns with the plain commands."""
    with (
        cluster_folder(in_memory=False) as folder,
        server(None, probe=False, traits={"cluster_dir": str(folder)}) as jupyter,
        Caller.of(jupyter, timeout=600) as caller,
    ):
        url = caller.json("POST", "/api/v1/databases", {"name": "source"})["connection_url"]
        fill_database(url, SOURCE_ROWS)
        # Prepares the repository.
        backup = caller.json("POST", "/api/v1/backups", {})
        plain = Plain(folder)
        return [_backing_up(caller, plain), _restoring(caller, plain, backup)]


class Plain:
    """pgBackRest by hand, with the configuration that the extension wrote."""

    def __init__(self, folder: Path) -> None:
        [self._configuration] = folder.glob("*/pgbackrest/pgbackrest.conf")
        self._target = self._configuration.parent.parent / "plain"
        self._user = SystemUser.named(system_user())
        self._programs = find_programs()

    def backup(self) -> float:
        """Take a full backup; return its seconds."""
        return self._timed(["backup", "--type=full"])

    def restore(self) -> float:
        """Restore the newest backup into an empty folder and start it; return the seconds."""
        self._target.mkdir(mode=0o700)
        shutil.chown(self._target, self._user.name)
        options = [f"--pg1-path={self._target}", "--type=immediate", "--target-action=promote"]
        try:
            spent = self._timed(["restore", "--archive-mode=off", *options])
            settings = {
                "port": str(free_port()),
                "unix_socket_directories": str(self._target),
                "listen_addresses": "",
                # A standby wants as many as its origin had when it started.
                "max_wal_senders": "10",
                "hba_file": str(self._target / "pg_hba.conf"),
                "ident_file": str(self._target / "pg_ident.conf"),
            }
            words = shlex.join(f"--{name}={value}" for name, value in settings.items())
            control = [self._programs["pg_ctl"], "-D", str(self._target), "-w", "-s"]
            log = str(self._target / "start.log")
            began = time.perf_counter()
            self._run([*control, "-l", log, "-o", words, "start"])
            spent += time.perf_counter() - began
            self._run([*control, "-m", "immediate", "stop"])
            return spent
        finally:
            shutil.rmtree(self._target)

    def _timed(self, words: list[str]) -> float:
        began = time.perf_counter()
        self._run(["pgbackrest", f"--config={self._configuration}", "--stanza=main", *words])
        return time.perf_counter() - began

    def _run(self, command: list[str]) -> None:
        subprocess.run(
            command,
            cwd="/",
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._user.switch(),
        )


def _backing_up(caller: Caller, plain: Plain) -> Row:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(BACKUPS):
        for mine in (True, False) if number % 2 else (False, True):
            if mine:
                ours.append(caller.timed("POST", "/api/v1/backups", {"type": "full"}))
            else:
                theirs.append(plain.backup())
    return ratio_at_most(
        1.15,
        "full backup of 1 GB by REST, median",
        median(ours),
        "s",
        "pgbackrest backup, median",
        median(theirs),
    )


def _restoring(caller: Caller, plain: Plain, backup: dict[str, Any]) -> Row:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(RESTORES):
        for mine in (True, False) if number % 2 else (False, True):
            if mine:
                ours.append(_restored(caller, backup["id"]))
            else:
                theirs.append(plain.restore())
    return ratio_at_most(
        2,
        "restore 1 GB by REST, with proof and switch, median",
        median(ours),
        "s",
        "pgbackrest restore and start, median",
        median(theirs),
    )


def _restored(caller: Caller, backup: str) -> float:
    """Return the seconds until the restored cluster is in its place; wait for its backup, too."""
    caller._headers["Prefer"] = "respond-async"
    began = time.perf_counter()
    path = f"/api/v1/backups/{backup}/restore"
    operation = json.loads(caller.call("POST", path, {"databases": []}))["id"]
    del caller._headers["Prefer"]
    spent = 0.0
    while True:
        found = caller.json("GET", f"/api/v1/operations/{operation}")
        if not spent and found["details"].get("phase") in SWITCHED:
            spent = time.perf_counter() - began
        if found["state"] == "succeeded":
            return spent or time.perf_counter() - began
        if found["state"] != "running":
            raise RuntimeError(f"the restore {found['state']}: {found['message']}")
        time.sleep(PAUSE)
