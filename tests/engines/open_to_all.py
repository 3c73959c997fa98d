"""Run a program that other users of this machine start in their turn, wherever Python lies."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable
from pathlib import Path


def open_to_all(folders: Iterable[Path], stage: Path, command: list[str]) -> list[str]:
    """Return how `command` is run so that everybody can enter `folders`.

    Python or the checkout may lie in somebody's home (a version manager keeps it there), where no
    other user gets to. The command sees such a home replaced by an empty folder that has nothing
    but `folders`; the rest of the machine sees no change, and none is left (a mount namespace of
    its own).

    Parameters
    ----------
    stage
        An empty folder for the time of the change.
    """
    hidden: dict[Path, list[Path]] = {}
    for folder in {folder.resolve() for folder in folders}:
        closed = next((p for p in reversed([folder, *folder.parents]) if _is_closed(p)), None)
        if closed is not None:
            hidden.setdefault(closed, []).append(folder)
    if not hidden:
        return command
    lines = ["set -e"]
    for number, (closed, needed) in enumerate(hidden.items()):
        for index, folder in enumerate(needed):
            kept = shlex.quote(str(stage / f"{number}-{index}"))
            lines += [f"mkdir {kept}", f"mount --bind {shlex.quote(str(folder))} {kept}"]
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(closed))}")
        for index, folder in enumerate(needed):
            kept, there = shlex.quote(str(stage / f"{number}-{index}")), shlex.quote(str(folder))
            lines += [f"mkdir -p {there}", f"mount --bind {kept} {there}"]
    lines.append('exec "$@"')
    script = "\n".join(lines)
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command]


def _is_closed(folder: Path) -> bool:
    return not folder.stat().st_mode & stat.S_IXOTH
