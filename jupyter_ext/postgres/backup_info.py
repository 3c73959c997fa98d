"""Backups as pgBackRest tells of them.

Source: pgBackRest's command reference, "Info Command"; the fields of its JSON are those of
``src/command/info/info.c``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any


class BackupKind(StrEnum):
    """How much of the cluster a backup holds itself; the rest it takes from earlier ones."""

    FULL = "full"
    INCREMENTAL = "incremental"
    DIFFERENTIAL = "differential"

    @property
    def option(self) -> str:
        """Return pgBackRest's word."""
        return {"full": "full", "incremental": "incr", "differential": "diff"}[self]


EXTRA = {"extra": "yes"}
"""The annotation of what a user who is no administrator takes: it pushes out nothing of others."""

KINDS = {kind.option: kind for kind in BackupKind}


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """A backup in the repository.

    Parameters
    ----------
    label
        ``20260102-030405F``; those that depend on it have more behind an underscore.
    start, stop
        UTC, to the second.
    timeline
        On which it was taken.
    start_lsn, stop_lsn
        ``0/3000028``: a restore is consistent from `stop_lsn` on.
    first_segment, last_segment
        WAL files that it needs to be consistent.
    database_size
        Bytes of the cluster.
    delta_size
        Bytes of it that this backup holds itself.
    stored_size
        Bytes that it takes up in the repository itself; 0 where pgBackRest does not know.
    prior
        The backup that this one continues.
    references
        All that it depends on.
    damaged
        Pages with wrong checksums were found in the cluster while it was taken.
    annotations
        What the caller gave it along.
    """

    label: str
    kind: BackupKind
    start: datetime
    stop: datetime
    timeline: int
    start_lsn: str
    stop_lsn: str
    first_segment: str
    last_segment: str
    database_size: int
    delta_size: int
    stored_size: int
    prior: str | None = None
    references: tuple[str, ...] = ()
    damaged: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def extra(self) -> bool:
        """Whether it is a user's own, beside those of administrators and of the schedule."""
        return EXTRA.items() <= self.annotations.items()

    @property
    def earliest(self) -> datetime:
        """The first moment for which it is surely good: pgBackRest cuts fractions of seconds."""
        return self.stop + timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ArchiveRange:
    """The first and the last WAL segment in the archive; there may be gaps between them."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """What is in the repository: the cluster's backups, oldest first, and its archive."""

    backups: tuple[BackupInfo, ...] = ()
    archive: ArchiveRange | None = None
    archive_id: str | None = None

    def backup(self, label: str) -> BackupInfo | None:
        """Return the backup of this label."""
        return next((each for each in self.backups if each.label == label), None)

    def fulls_to_keep(self, wanted: int) -> int | None:
        """Return how many full backups there are since the oldest of the `wanted` newest ones.

        Those that users take of their own accord don't count: whoever may delete nothing must not
        push out what others rely on by taking more. None: there are not as many that count.
        """
        fulls = [each for each in reversed(self.backups) if each.kind is BackupKind.FULL]
        counted = [number for number, each in enumerate(fulls, 1) if not each.extra]
        return counted[wanted - 1] if len(counted) >= wanted else None

    def dependants(self, label: str) -> tuple[BackupInfo, ...]:
        """Return the backups that can't be restored without this one."""
        return tuple(each for each in self.backups if label in each.references)


def parse_info(stanzas: Sequence[Mapping[str, Any]], stanza: str) -> RepositoryInfo:
    """Read the JSON of ``pgbackrest info``."""
    for told in stanzas:
        if told["name"] != stanza:
            continue
        archives = told.get("archive") or []
        # The last one is the cluster's; earlier ones are of versions before an upgrade.
        newest = archives[-1] if archives else None
        return RepositoryInfo(
            tuple(_backup(each) for each in told.get("backup") or []),
            ArchiveRange(newest["min"], newest["max"]) if newest and newest.get("min") else None,
            newest["id"] if newest else None,
        )
    return RepositoryInfo()


def _backup(told: Mapping[str, Any]) -> BackupInfo:
    info, moments, wal = told["info"], told["timestamp"], told["archive"]
    lsn = told.get("lsn") or {}
    return BackupInfo(
        label=told["label"],
        kind=KINDS[told["type"]],
        start=datetime.fromtimestamp(moments["start"], UTC),
        stop=datetime.fromtimestamp(moments["stop"], UTC),
        timeline=int(wal["start"][:8], 16),
        start_lsn=lsn.get("start", ""),
        stop_lsn=lsn.get("stop", ""),
        first_segment=wal["start"],
        last_segment=wal["stop"],
        database_size=info["size"],
        delta_size=info["delta"],
        stored_size=info["repository"].get("delta") or 0,
        prior=told.get("prior"),
        references=tuple(told.get("reference") or ()),
        damaged=bool(told.get("error")),
        annotations=dict(told.get("annotation") or {}),
    )
