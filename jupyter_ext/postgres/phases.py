"""What backups and restores are at, in words that their operations show.

Whoever recovers one reads how far it came. The words are part of what clients see.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

Enter = Callable[[str], None]
"""Is told the phase that begins."""


class BackupPhase(StrEnum):
    """Of a backup, in order."""

    SAVING = "saving files"
    """Its owner's, where it has some."""
    WAITING = "waiting"
    """For its turn."""
    CALLING = "calling"
    """pgBackRest begins, and looks at the cluster."""
    STARTING = "starting"
    """PostgreSQL makes a checkpoint."""
    COPYING = "copying"
    STOPPING = "stopping"
    """PostgreSQL ends the backup."""
    ARCHIVING = "archiving"
    """Until the WAL is there without which it is worth nothing."""
    COMPLETING = "completing"
    """From here on pgBackRest lists it."""
    LISTING = "listing"
    NOTING = "noting"
    """In the store."""
    EXPIRING = "expiring"
    """Older ones."""


class RestorePhase(StrEnum):
    """Of a restore, in order; some are of the whole cluster, some of databases, some of files."""

    BRINGING = "bringing files"
    """Beside those that are there."""
    KEEPING = "keeping files"
    """Those that are there."""
    WAITING = "waiting"
    COPYING = "copying"
    """Files, to a place beside the cluster."""
    RECOVERING = "recovering"
    """WAL is played back."""
    PROVING = "proving"
    LOADING = "loading"
    """Databases, from the place beside."""
    SWITCHING = "switching"
    """From here on a crash may leave what was restored in its place."""
    CLOSING = "closing"
    """Nobody is let in any more."""
    ENDING = "ending"
    """Sessions."""
    ARCHIVING = "archiving"
    """What they had written."""
    HANDING_OVER = "handing over"
    """The restored cluster stops."""
    STOPPING = "stopping"
    """The live one does."""
    SWAPPING = "swapping"
    RENAMING = "renaming"
    OPENING = "opening"
    """What was restored starts, and those are let in who may now."""
    SWITCHED = "switched"
    BACKING_UP = "backing up"
    FILES = "putting files"
    """In their place, after all else: from here on it only goes on."""


class MakingPhase(StrEnum):
    """Of a database that is made or cloned, in order; a dump has more of them than a copy."""

    STARTING = "starting"
    COPYING = "copying"
    """The one statement that copies all."""
    COPIED = "copied"
    CREATING = "creating"
    """An empty one, to be filled."""
    EXTENDING = "extending"
    """The extensions that its owner may not add."""
    ADMITTING = "admitting"
    """The one connection that fills it."""
    DUMPING = "dumping"
    FILLED = "filled"
    OPENING = "opening"
    """From here on it may be there for good."""
    NOTING = "noting"
    """In the store, together with the end."""


SWITCHES = frozenset(RestorePhase) - {
    RestorePhase.BRINGING,
    RestorePhase.KEEPING,
    RestorePhase.WAITING,
    RestorePhase.COPYING,
    RestorePhase.RECOVERING,
    RestorePhase.PROVING,
    RestorePhase.LOADING,
}
"""Phases in which what was restored may be in its place."""

_SAID = (
    (re.compile(r"execute (?:non-)?exclusive backup start|execute backup start"), "STARTING"),
    (re.compile(r"backup start archive = "), "COPYING"),
    (re.compile(r"execute (?:non-)?exclusive backup stop|execute backup stop"), "STOPPING"),
    (re.compile(r"check archive for segment"), "ARCHIVING"),
    (re.compile(r"new backup label = "), "COMPLETING"),
)


def said_phase(line: str) -> BackupPhase | None:
    """Return the phase that a line of pgBackRest's log begins. Source: ``src/command/backup``."""
    return next((BackupPhase[name] for words, name in _SAID if words.search(line)), None)


def unheard(phase: str) -> None:
    """Tell nobody."""
