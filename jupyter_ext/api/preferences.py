"""The ``Prefer`` header (RFC 7240), as far as long work understands it."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_WAIT = 600.0
"""Seconds; a longer ``wait`` is cut to it."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How long a request waits for its operation.

    Parameters
    ----------
    seconds
        None waits to the end.
    """

    seconds: float | None = None

    @classmethod
    def of(cls, header: str) -> Preferences:
        """Read ``respond-async`` and ``wait=N``; the rest is ignored, as the RFC asks."""
        respond_async = False
        wait: float | None = None
        for part in header.lower().split(","):
            name, _, value = part.split(";")[0].strip().partition("=")
            if name.strip() == "respond-async":
                respond_async = True
            elif name.strip() == "wait" and value.strip(' "').isdecimal():
                wait = min(float(value.strip(' "')), LONGEST_WAIT)
        if wait is None and respond_async:
            wait = 0.0
        return cls(wait)
