"""A cell as something that a container can run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

LONGEST_LINE = 3000
"""Characters of a command that travels in an address; longer cells are typed in."""

# Reads exactly the cell's bytes, so that what it reads itself is not taken from it.
READER = (
    'f=$(mktemp) && head -c "$2" >"$f" || exit 126; "$1" "$f" </dev/null; c=$?; rm -f "$f"; exit $c'
)


@dataclass(frozen=True, slots=True)
class Script:
    """A command, and what is typed into it.

    Parameters
    ----------
    command
        Words.
    typed
        Text for its standard input.
    """

    command: list[str]
    typed: str = ""

    @classmethod
    def of(cls, shell: str, cell: str) -> Script:
        """Return how `shell` runs `cell`."""
        words = [*shlex.split(shell), "-c", cell]
        if len(shlex.join(words).encode()) <= LONGEST_LINE:
            return cls(words)
        length = str(len(cell.encode()))
        return cls(["sh", "-c", READER, "sh", shell, length], cell)
