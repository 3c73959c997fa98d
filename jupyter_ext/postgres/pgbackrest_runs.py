"""Runs of pgBackRest whose server is gone, and what they left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .backup_info import RepositoryInfo
from .processes import end_running, running

if TYPE_CHECKING:
    from .pgbackrest_program import PgBackRestProgram

_LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")


def runs(configuration: Path, sign: str) -> list[int]:
    """Return the processes that work with a configuration, and have a sign in their command."""
    return running(f"--config={configuration}", sign, whose=configuration)


async def end_runs(configuration: Path, sign: str) -> None:
    """Kill such processes, each with all that it started.

    Raises
    ------
    Unavailable
        One does not end.
    """
    await end_running(f"--config={configuration}", sign, whose=configuration)


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
