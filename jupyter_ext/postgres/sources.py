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
        """Those that are restored; None: all."""

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Put the files into a folder; return the settings that its recovery needs yet."""


@dataclass(frozen=True, slots=True)
class BackupSource:
    """A backup and the WAL since; the parameters are those of `PgBackRest.restore`."""

    backups: PgBackRest
    label: str
    to: datetime | None = None
    timeline: int | None = None
    databases: Sequence[str] | None = None

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Restore it; pgBackRest writes the settings itself."""
        await self.backups.restore(
            target,
            self.label,
            to=self.to,
            timeline=self.timeline,
            databases=self.databases,
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

    async def fill(self, target: Path, progress: Progress | None) -> Mapping[str, str]:
        """Copy it, which takes a moment."""
        return await self.copy.fill(target, self.backups.archive_get(target))
