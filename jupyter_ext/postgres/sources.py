"""What clusters are restored from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from .cluster_copy import ClusterCopy
from .pgbackrest import PgBackRest
from .pgbackrest_program import Progress


class Source(Protocol):
    """What a cluster is restored from."""

    @property
    def to(self) -> datetime | None:
        """The moment to which it is recovered; None: that of the source."""

    @property
    def databases(self) -> Sequence[str] | None:
        """Those that are wanted; None: all."""

    async def numbers(self) -> Mapping[str, int]:
        """Return PostgreSQL's numbers of those whose files are restored; empty: those of all."""

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Put the files into a folder; return the settings that its recovery needs yet."""


@dataclass(frozen=True, slots=True)
class BackupSource:
    """A backup and the WAL since.

    Parameters
    ----------
    label, to, timeline
        As in `PgBackRest.restore`.
    whole
        Others are restored with their files, too, though only `databases` are wanted.
    """

    backups: PgBackRest
    label: str
    to: datetime | None = None
    timeline: int | None = None
    databases: Sequence[str] | None = None
    whole: bool = False

    async def numbers(self) -> Mapping[str, int]:
        """Look them up in the backup, which may not have all of them."""
        if self.whole or self.databases is None:
            return {}
        known = await self.backups.numbers(self.label)
        return {name: known[name] for name in self.databases if name in known}

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Restore it; pgBackRest writes the settings itself."""
        await self.backups.restore(
            target,
            self.label,
            to=self.to,
            timeline=self.timeline,
            databases=None if self.whole else self.databases,
            progress=progress,
        )
        return {}


@dataclass(frozen=True, slots=True)
class CopySource:
    """A copy that shares the cluster's blocks."""

    copy: ClusterCopy
    backups: PgBackRest

    to: None = None
    databases: None = None

    async def numbers(self) -> Mapping[str, int]:
        """Return none: all files are there."""
        return {}

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Copy it, which takes a moment."""
        return await self.copy.fill(target, self.backups.archive_get(target))
