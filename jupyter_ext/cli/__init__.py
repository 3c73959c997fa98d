"""The command line: ``pig`` and ``jupyter ext`` are one program over the REST API."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit with its code."""
    from .program import run

    called = Path(sys.argv[0]).name
    name = "jupyter ext" if called.startswith("jupyter-ext") else "pig"
    sys.exit(run(sys.argv[1:] if argv is None else argv, name))
