"""Which container a process of this machine is in, by its control group."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{64}")
"""Docker's ids stand whole in the names of its control groups, v1 and v2, whichever driver."""


def containers_of(pids: Iterable[int]) -> dict[int, str]:
    """Return the engine's id by process number, of those that are in a container.

    Reads ``/proc``, which never waits; a process that has ended is in none.
    """
    found: dict[int, str] = {}
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        if ids := _ID.findall(text):
            found[pid] = ids[-1]
    return found
