"""A server extension that kills somebody at the moment when an operation enters a phase.

The environment says whom (`KILL`: server, postgres, backend, pg_dump, pg_restore, pgbackrest, or
disk, which is filled), in which phase (`KILL_AT`) of which kind of operation (`KILL_IN`), and where
the databases (`KILL_BELOW`) and the disk (`KILL_DISK`) are. It may wait in the phase: for so many
seconds (`KILL_AFTER`), for the first call of this method of the engine's driver
(`KILL_AFTER_CALL`), for the first of them that comes (`KILL_RUNNING`), or for something new that is
called so below the databases' folder (`KILL_UPON`). What the row of the operation reads at the blow
is written down.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.operations.running import Progress

from .clusters import postmasters
from .desk_cluster import processes_of
from .disks import fill

RUNNING_SECONDS = 20.0

STRUCK = "struck"
"""The file, beside the databases, that says how many processes were killed."""

ROW = "row"
"""The one that says which state the operation had in the store then."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "tests.engines.killer"}]


def _load_jupyter_server_extension(app: Any) -> None:
    wanted, kind = os.environ["KILL_AT"], os.environ["KILL_IN"]
    folder, whom = Path(os.environ["KILL_BELOW"]), os.environ["KILL"]
    entered, kept = Progress.enter, Progress.keep
    reached = list[str]()

    def seen(self: Progress, phase: object) -> None:
        if str(phase) != wanted or self.operation.kind != kind:
            return
        if reached or (folder / STRUCK).exists():
            return
        reached.append(self.operation.id)
        words = (folder, whom, self.operation.id)
        if sign := os.environ.get("KILL_UPON"):
            seen_before = set(folder.glob(sign))
            threading.Thread(target=strike_upon, args=(sign, seen_before, *words)).start()
        elif os.environ.get("KILL_RUNNING"):
            threading.Thread(target=strike_running, args=words, daemon=True).start()
        elif seconds := float(os.environ.get("KILL_AFTER", "0")):
            (folder / STRUCK).touch()
            threading.Timer(seconds, strike, words).start()
        elif not os.environ.get("KILL_AFTER_CALL"):
            strike(*words)

    def enter(self: Progress, phase: str) -> None:
        entered(self, phase)
        seen(self, phase)

    async def keep(self: Progress, details: dict[str, Any]) -> None:
        await kept(self, details)
        seen(self, details.get("phase"))

    Progress.enter = enter  # type: ignore[method-assign]
    Progress.keep = keep  # type: ignore[method-assign]
    if name := os.environ.get("KILL_AFTER_CALL"):
        called = getattr(DockerDriver, name)

        async def call(*words: Any, **more: Any) -> Any:
            result = await called(*words, **more)
            if reached and not (folder / STRUCK).exists():
                strike(folder, whom, reached[0])
            return result

        setattr(DockerDriver, name, call)


def strike_running(folder: Path, whom: str, operation: str) -> None:
    """Kill whoever comes first; nobody may come, and who comes may be gone before the blow."""
    until = time.monotonic() + RUNNING_SECONDS
    killed = 0
    while not killed and time.monotonic() < until:
        killed = kill(pids_of(folder, whom))
        time.sleep(0.002)
    # After the blow, since who comes may be gone before it; its end is seen a moment later only.
    (folder / ROW).write_text(state_of(operation))
    (folder / STRUCK).write_text(str(killed))


def strike_upon(
    sign: str, before: Collection[Path], folder: Path, whom: str, operation: str
) -> None:
    """Kill once something is there that was not before; nobody, where it does not come."""
    until = time.monotonic() + RUNNING_SECONDS
    while time.monotonic() < until:
        if not set(folder.glob(sign)) <= set(before):
            strike(folder, whom, operation)
            return
        time.sleep(0.002)
    (folder / STRUCK).write_text("0")


def strike(folder: Path, whom: str, operation: str) -> None:
    """Kill, as the kernel does where memory runs out."""
    if whom == "disk":
        (folder / STRUCK).touch()
        fill(Path(os.environ["KILL_DISK"]))
        return
    pids = pids_of(folder, whom)
    (folder / ROW).write_text(state_of(operation))
    # First: the server kills itself.
    (folder / STRUCK).write_text(str(len(pids)))
    kill(pids)


def state_of(operation: str) -> str:
    """Return what the row of an operation reads."""
    [store] = Path(os.environ["JUPYTER_EXT_HOME"]).glob("*.db")
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        query = "SELECT state FROM operations WHERE id = ?"
        found: tuple[str] = connection.execute(query, [operation]).fetchone()
        return found[0]


def kill(pids: Collection[int]) -> int:
    """Kill processes; return how many were still there."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def pids_of(folder: Path, whom: str) -> list[int]:
    """Return the processes of somebody."""
    return {
        "server": lambda: [os.getpid()],
        "postgres": lambda: postmasters(folder),
        "backend": lambda: backends(folder)[:1],
        "pg_dump": lambda: programs("pg_dump"),
        "pg_restore": lambda: programs("pg_restore"),
        "pgbackrest": lambda: [
            pid for each in folder.glob("*/pgbackrest") for pid in processes_of(each)
        ],
    }[whom]()


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
