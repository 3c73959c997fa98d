"""How replies look: five documents, five small classes, one value of each."""

from __future__ import annotations

from .base import Dialect, RateLimit
from .containers import Containers
from .matrix import Matrix
from .metadata import Metadata
from .piglet import Piglet
from .problem import problem
from .voidvm import VoidVM

PIGLET = Piglet()
CONTAINERS = Containers()
VOIDVM = VoidVM()
METADATA = Metadata()
MATRIX = Matrix()

DIALECTS: tuple[Dialect, ...] = (PIGLET, CONTAINERS, VOIDVM, METADATA, MATRIX)


def dialect_for(path: str) -> Dialect:
    """Return the dialect of a path that nobody serves: the longest documented prefix decides.

    Parameters
    ----------
    path
        Below the base URL, with a leading slash.
    """
    best: Dialect = PIGLET
    longest = 0
    for dialect in DIALECTS:
        for prefix in dialect.prefixes:
            inside = path == prefix or path.startswith(prefix + "/")
            if inside and len(prefix) > longest:
                best, longest = dialect, len(prefix)
    return best


__all__ = [
    "CONTAINERS",
    "DIALECTS",
    "MATRIX",
    "METADATA",
    "PIGLET",
    "VOIDVM",
    "Dialect",
    "RateLimit",
    "dialect_for",
    "problem",
]
