"""Runs of pgBackRest whose server is gone, and what they left."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ..errors import Unavailable
from .backup_info import RepositoryInfo
from .owned_files import on_disk

if TYPE_CHECKING:
    from .pgbackrest_program import PgBackRestProgram

END_SECONDS = 10.0

_LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")


def runs(configuration: Path, sign: str) -> list[int]:
    """Return the processes that work with a configuration, and have a sign in their command."""
    known = f"--config={configuration}"
    try:
        # Anybody may run something with these words.
        whose = {os.geteuid(), configuration.stat().st_uid}
    except FileNotFoundError:
        return []
    found = []
    for process in psutil.process_iter(["cmdline", "status", "uids"]):
        words, uids = process.info["cmdline"] or [], process.info["uids"]
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        ours = uids is not None and uids.real in whose
        if alive and ours and known in words and any(sign in word for word in words):
            found.append(process.pid)
    return found


async def end_runs(configuration: Path, sign: str) -> None:
    """Kill such processes, each with all that it started.

    Raises
    ------
    Unavailable
        One does not end.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_SECONDS
    while there := await on_disk(partial(runs, configuration, sign)):
        if loop.time() > deadline:
            raise Unavailable(f"pgBackRest (process {there[0]}) does not end.", "Kill it.")
        for pid in there:
            with suppress(ProcessLookupError):
                # Each was started in a session of its own, with which its helpers go.
                group = os.getpgid(pid)
                os.killpg(group, signal.SIGKILL) if group == pid else os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)


async def remove_unfinished(program: PgBackRestProgram, info: RepositoryInfo) -> None:
    """Remove the files of backups that are in the repository and not in its list.

    They are of runs that broke off: pgBackRest lists a backup when all of it is there. Source: its
    user guide, "Backup"; ``repo-ls`` and ``repo-rm`` of its command reference.
    """
    folder = f"backup/{program.stanza}"
    listed = await program.run("look for unfinished backups", "repo-ls", folder)
    known = {each.label for each in info.backups}
    for name in listed.splitlines():
        if _LABEL.fullmatch(name) and name not in known:
            path = f"{folder}/{name}"
            await program.run("remove an unfinished backup", "repo-rm", "--recurse", path)
