"""What the taking of a snapshot is at, in words that its operation shows."""

from __future__ import annotations

from enum import StrEnum


class SnapshotPhase(StrEnum):
    """Of a snapshot that is taken, in order; of parts that it is not to have there are none."""

    STARTING = "starting"
    """Its name is claimed."""
    COPYING = "copying the cluster"
    """Where an administrator's disk can share blocks: then no moment is looked for."""
    PREPARING = "preparing the archive"
    LOOKING = "looking for a backup"
    """Which has all of the databases."""
    BACKING_UP = "backing up"
    """Where there is none."""
    MARKING = "marking"
    """This moment, in the WAL."""
    REACHING = "reaching"
    """A backup is looked for that leads there."""
    MEASURING = "measuring"
    """The databases."""
    OPENING = "opening the vault"
    """Of files; made where there is none."""
    SAVING = "saving files"
    CHECKING = "checking files"
    """That all of them are their owner's."""
    COMMITTING = "saving images"
    """From here on for each container, in turn."""
    DESCRIBING = "describing containers"
    """With what they are made again."""
    NOTING = "noting"
    """In the store."""
    NOTED = "noted"
    """It is there for good."""
