"""A server extension that kills somebody at the moment when an operation enters a phase.

The environment says whom (`KILL`: server, postgres, pgbackrest, or disk, which is filled), in which
phase (`KILL_AT`) of which kind of operation (`KILL_IN`), and where the databases (`KILL_BELOW`) and
the disk (`KILL_DISK`) are.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

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
        "pgbackrest": lambda: [
            pid for each in folder.glob("*/pgbackrest") for pid in processes_of(each)
        ],
    }[whom]()
    (folder / STRUCK).write_text(str(len(pids)))
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
