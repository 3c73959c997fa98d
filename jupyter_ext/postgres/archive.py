"""The WAL in the repository: whether it arrives, and which moments it reaches.

Source: PostgreSQL's documentation, "Recovery Target": recovery to a moment ends before the first
transaction that ended after it, and fails where the WAL ends before there is one. So the last
moment that can be reached is the one before the last commit or abort in the archive.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from .backup_info import BackupInfo, RepositoryInfo
from .owned_files import give, on_disk, read_end, remove_folders
from .pgbackrest_program import PgBackRestProgram, read_complaint
from .processes import ProgramFailed, run
from .wal import Segment, Way, parse_lsn

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_STORED = re.compile(r"(?:[0-9A-F]{16}/)?([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_ENDED = re.compile(r"desc: (?:COMMIT|ABORT)\S* (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_SEGMENT_BYTES = re.compile(r"Bytes per WAL segment: +(\d+)")


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """Whether the running cluster's WAL reaches the archive.

    Parameters
    ----------
    failing
        The last attempt failed.
    reason
        Why, in pgBackRest's words; empty while it works.
    waiting
        Segments that are full and not yet there.
    last_archived
        The newest that is.
    """

    failing: bool
    reason: str
    waiting: int
    last_archived: str | None
    last_archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecoveryWindow:
    """Moments between which every one can be reached.

    Parameters
    ----------
    timeline
        A moment before this timeline began is the same on the one that it came from.
    first, last
        UTC, both included.
    backups
        Labels of those that lead there, oldest first.
    """

    timeline: int
    first: datetime
    last: datetime
    backups: tuple[str, ...]

    def __str__(self) -> str:
        # Whole seconds that are in it.
        ends = (self.first + timedelta(microseconds=999_999), self.last)
        first, last = (f"{each:%Y-%m-%d %H:%M:%S}" for each in ends)
        return f"{first} to {last} UTC (timeline {self.timeline})"


class Archive:
    """The WAL of one cluster in its repository."""

    def __init__(self, program: PgBackRestProgram) -> None:
        self._program = program
        self._segment_bytes = 0
        # What is archived never changes.
        self._ended: dict[Segment, datetime | None] = {}
        self._ways: dict[int, Way] = {1: Way.read(1)}

    async def status(self, connection: AsyncConnection[tuple[Any, ...]]) -> ArchiveStatus:
        """Ask the running cluster. Source: its view ``pg_stat_archiver``."""
        cursor = await connection.execute(
            "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),"
            " last_archived_wal, last_archived_time, (SELECT count(*) FROM"
            " pg_ls_archive_statusdir() WHERE name LIKE '%.ready') FROM pg_stat_archiver"
        )
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - the view has one row always
        failing, last, at, waiting = row
        moment = at.astimezone(UTC) if at is not None else None
        reason = await on_disk(self._reason) if failing else ""
        return ArchiveStatus(failing, reason, waiting, last, moment)

    def _reason(self) -> str:
        """Return what the last failed run said."""
        try:
            complaint = read_complaint(read_end(self._program.reason_file))
        except OSError as error:
            return f"The reason can't be read: {error}"
        return f"{complaint.text} {complaint.cure}".strip() or "pgBackRest did not say why."

    async def segment_bytes(self) -> int:
        """Return the size of this cluster's segments."""
        if not self._segment_bytes:
            place = self._program.place
            words = [place.programs["pg_controldata"], str(place.data)]
            found = _SEGMENT_BYTES.search(await run(words, user=place.user, deadline=30))
            self._segment_bytes = int(found[1]) if found else 1 << 24
        return self._segment_bytes

    async def _contents(self, archive_id: str) -> tuple[set[Segment], set[int]]:
        """Return the segments that are there, and the timelines that have a history."""
        size = await self.segment_bytes()
        folder = f"archive/{self._program.stanza}/{archive_id}"
        listed = await self._program.run("list the archive", "repo-ls", "--recurse", folder)
        segments, histories = set[Segment](), set[int]()
        for line in listed.splitlines():
            if found := _STORED.fullmatch(line):
                segments.add(Segment.of(found[1], size))
            elif found := _HISTORY.fullmatch(line):
                histories.add(int(found[1], 16))
        return segments, histories

    async def timelines(self, info: RepositoryInfo) -> set[int]:
        """Return the timelines whose history is archived; a new one must be none of them."""
        if info.archive_id is None:
            return set()
        return (await self._contents(info.archive_id))[1]

    async def leads(self, info: RepositoryInfo, backup: BackupInfo, timeline: int) -> bool:
        """Whether a timeline goes on from where a backup was taken."""
        if timeline == backup.timeline:
            return True
        if info.archive_id is None or timeline not in await self.timelines(info):
            return False
        way = await self._way(timeline, info.archive_id)
        return way.passes(backup.timeline, parse_lsn(backup.stop_lsn))

    async def missing(self, info: RepositoryInfo) -> list[str]:
        """Return which segments are not there without which a backup is worth nothing."""
        if info.archive_id is None:
            return []
        size = await self.segment_bytes()
        segments, _ = await self._contents(info.archive_id)
        gaps = list[str]()
        for backup in info.backups:
            first = Segment.of(backup.first_segment, size)
            last = Segment.of(backup.last_segment, size)
            for number in range(first.number, last.number + 1):
                if (needed := Segment(first.timeline, number)) not in segments:
                    gaps.append(f"{needed.name(size)}: missing, the backup {backup.label} needs it")
        return gaps

    async def _way(self, timeline: int, archive_id: str) -> Way:
        if timeline not in self._ways:
            name = f"archive/{self._program.stanza}/{archive_id}/{timeline:08X}.history"
            text = await self._program.run("read a timeline's history", "repo-get", name)
            self._ways[timeline] = Way.read(timeline, text)
        return self._ways[timeline]

    async def windows(self, info: RepositoryInfo) -> list[RecoveryWindow]:
        """Return the moments that can be reached, timeline by timeline, oldest first.

        A timeline has several windows where segments are missing between backups.
        """
        if info.archive_id is None or not info.backups:
            return []
        size = await self.segment_bytes()
        segments, histories = await self._contents(info.archive_id)
        windows: list[RecoveryWindow] = []
        for timeline in sorted(histories | {1}):
            way = await self._way(timeline, info.archive_id)
            ends: defaultdict[int, list[BackupInfo]] = defaultdict(list)
            for backup in info.backups:
                if way.passes(backup.timeline, parse_lsn(backup.stop_lsn)):
                    first = Segment.of(backup.first_segment, size).number
                    end = way.reach(first, segments, size)
                    if (
                        end is not None
                        and end.number >= Segment.of(backup.last_segment, size).number
                    ):
                        ends[end.number].append(backup)
            for end_number, backups in sorted(ends.items()):
                oldest = min(backups, key=lambda each: each.stop)
                first = Segment.of(oldest.first_segment, size).number
                last = await self._last_end(way, range(end_number, first - 1, -1), segments, size)
                # At its own end a backup can be restored in any case.
                if last is not None and last >= oldest.earliest:
                    labels = tuple(each.label for each in backups)
                    windows.append(RecoveryWindow(timeline, oldest.earliest, last, labels))
        return windows

    async def _last_end(
        self, way: Way, numbers: Iterable[int], segments: set[Segment], size: int
    ) -> datetime | None:
        """Return the last moment before which a transaction ended, looking backwards."""
        for number in numbers:
            there = (each for each in way.candidates(number, size) if each in segments)
            segment = next(there, None)
            if segment is None:
                return None
            if segment not in self._ended:
                self._ended[segment] = await self._end_in(segment.name(size))
            if (ended := self._ended[segment]) is not None:
                return ended - timedelta(microseconds=1)
        return None

    def _spool(self) -> Path:
        """Make a folder for a segment."""
        folder = Path(tempfile.mkdtemp(prefix="segment-", dir=self._program.folder / "spool"))
        give(folder, self._program.place.user)
        return folder

    async def _end_in(self, name: str) -> datetime | None:
        """Return when the last transaction in a segment ended."""
        place = self._program.place
        folder = await on_disk(self._spool)
        last: datetime | None = None

        def read(line: str) -> None:
            nonlocal last
            if found := _ENDED.search(line):
                moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
                last = moment if last is None else max(last, moment)

        file = folder / name
        try:
            await self._program.run("read the archive", "archive-get", name, str(file))
            words = [place.programs["pg_waldump"], "--rmgr=Transaction", str(file)]
            await run(words, user=place.user, deadline=60, on_line=read)
        except ProgramFailed as error:
            # A timeline that was left in the middle of a segment ends with no whole record.
            if "error in WAL record" not in error.output:
                raise Unavailable(f"The WAL segment {name} can't be read: {error}") from error
        finally:
            await remove_folders(place.user, folder)
        return last
