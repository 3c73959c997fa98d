"""A server extension that kills somebody at the moment when an operation enters a phase.

The environment says whom (`KILL`: server, postgres, backend, pg_dump, pg_restore, pgbackrest, or
disk, which is filled), in which phase (`KILL_AT`) of which kind of operation (`KILL_IN`), how many
seconds after it has begun (`KILL_AFTER`), and where the databases (`KILL_BELOW`) and the disk
(`KILL_DISK`) are.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import psutil

from jupyter_ext.operations.running import Progress

from .clusters import postmasters
from .desk_cluster import processes_of
from .disks import fill

STRUCK = "struck"
"""The file, beside the databases, that says how many processes were killed."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "tests.engines.killer"}]


def _load_jupyter_server_extension(app: Any) -> None:
    wanted, kind = os.environ["KILL_AT"], os.environ["KILL_IN"]
    folder = Path(os.environ["KILL_BELOW"])
    entered = Progress.enter

    def enter(self: Progress, phase: str) -> None:
        entered(self, phase)
        if str(phase) == wanted and self.operation.kind == kind and not (folder / STRUCK).exists():
            (folder / STRUCK).touch()
            after = float(os.environ.get("KILL_AFTER", "0"))
            if after:
                Timer(after, strike, [folder, os.environ["KILL"]]).start()
            else:
                strike(folder, os.environ["KILL"])

    Progress.enter = enter  # type: ignore[method-assign]


def strike(folder: Path, whom: str) -> None:
    """Kill, as the kernel does where memory runs out."""
    if whom == "disk":
        (folder / STRUCK).touch()
        fill(Path(os.environ["KILL_DISK"]))
        return
    pids = {
        "server": lambda: [os.getpid()],
        "postgres": lambda: postmasters(folder),
        "backend": lambda: backends(folder)[:1],
        "pg_dump": lambda: programs("pg_dump"),
        "pg_restore": lambda: programs("pg_restore"),
        "pgbackrest": lambda: [
            pid for each in folder.glob("*/pgbackrest") for pid in processes_of(each)
        ],
    }[whom]()
    (folder / STRUCK).write_text(str(len(pids)))
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def backends(folder: Path) -> list[int]:
    """Return the sessions of the product itself, those that make a database first."""
    servers = postmasters(folder)
    found = [
        (b"CREATE DATABASE" not in title, process.pid)
        for server in servers
        for process in psutil.Process(server).children()
        if b": dba " in (title := Path(f"/proc/{process.pid}/cmdline").read_bytes())
    ]
    return [pid for _, pid in sorted(found)]


def programs(name: str) -> list[int]:
    """Return this server's runs of a program."""
    return [each.pid for each in psutil.Process().children() if each.name() == name]
