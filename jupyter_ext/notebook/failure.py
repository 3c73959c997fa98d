"""How magics fail: in one line, and still failing the cell."""

from __future__ import annotations


class CommandFailed(Exception):
    """What went wrong in a magic, without a traceback: that would tell of our code."""

    def _render_traceback_(self) -> list[str]:
        return [f"Error: {self}"]
