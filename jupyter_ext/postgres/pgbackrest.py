"""Backups of a whole cluster by pgBackRest: the driver.

Source: pgBackRest's user guide, its command reference and its configuration reference.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from ..errors import Conflict, InvalidRequest, NotFound, PlatformError, Unavailable
from .archive import Archive, ArchiveStatus, RecoveryWindow
from .backup_info import BackupInfo, BackupKind, RepositoryInfo, parse_info
from .connections import connected
from .owned_files import make_folder, on_disk, remove_folders
from .pgbackrest_program import (
    CONFIGURATION,
    CURE,
    STALL_SECONDS,
    PgBackRestProgram,
    Progress,
    find_pgbackrest,
)
from .pgbackrest_runs import end_runs, remove_unfinished, runs
from .pgbackrest_versions import check_pair
from .phases import BackupPhase, Enter, said_phase, unheard
from .place import Place
from .processes import ProgramFailed, run
from .repository import Repository, Retention
from .schemas import SYSTEM
from .verification import Verification, parse_verification

FIRST = 16384
"""PostgreSQL's numbers of databases from here on are not its own (`FirstNormalObjectId`)."""

ARCHIVE_TIMEOUT = 60
"""Seconds until a segment that is not full goes to the archive: what a lost disk may cost."""

_NOT_LATER = "is not later than latest backup label"
_LABEL = re.compile(r"new backup label = (\S+)")
_VERSION = re.compile(r"pgBackRest (\d+(?:\.\d+)*)")


class PgBackRest:
    """The backups of one cluster.

    Parameters
    ----------
    place
        The cluster.
    repository
        Where the backups are kept.
    folder
        For the program's configuration, log and locks; nothing outside it is read or written.
    stanza
        The cluster's name in the repository.
    """

    def __init__(
        self, place: Place, repository: Repository, folder: Path, stanza: str = "main"
    ) -> None:
        self.place = place
        self.repository = repository
        self._folder = folder
        self._stanza = stanza

    @cached_property
    def _program(self) -> PgBackRestProgram:
        return PgBackRestProgram(self.place, self.repository, self._folder, self._stanza)

    @property
    def prepared(self) -> bool:
        """Whether it was ever configured."""
        return (self._folder / CONFIGURATION).exists()

    def unprepare(self) -> None:
        """Be as before the first configuration; the repository stays as it is."""
        self._program.unconfigure()

    @cached_property
    def archive(self) -> Archive:
        """The WAL of this cluster in the repository."""
        return Archive(self._program)

    async def check_versions(self) -> None:
        """Find out whether this pgBackRest reads this PostgreSQL.

        Raises
        ------
        Unavailable
            It is not installed, or it is too old; the text names the version that is needed.
        """
        words = [find_pgbackrest(), "version"]
        try:
            found = _VERSION.search(await run(words, user=self.place.user, deadline=30))
        except (ProgramFailed, TimeoutError, OSError) as error:
            raise Unavailable(f"pgBackRest can't be run: {error}.", CURE) from error
        if found is None:
            raise Unavailable("pgBackRest does not tell its version.", CURE)
        check_pair(found[1], self.place.programs.version)

    def archive_settings(self) -> dict[str, str]:
        """Return the settings with which the cluster sends its WAL to the repository.

        The command leaves why it failed in a file, since pgBackRest writes no log of single
        segments. Source: PostgreSQL's documentation, "Continuous Archiving".
        """
        words = self._program.command("archive-push", "--log-level-stderr=warn")
        # PostgreSQL replaces %p, and reads %% as one sign.
        known = shlex.join(words).replace("%", "%%")
        reason = shlex.quote(str(self._program.reason_file)).replace("%", "%%")
        return {
            "archive_mode": "on",
            "archive_command": f'{known} "%p" 2>{reason}',
            "archive_timeout": str(ARCHIVE_TIMEOUT),
            "wal_level": "replica",
            "max_wal_senders": "3",
        }

    def archive_get(self, data: Path) -> str:
        """Return the command with which a cluster in a folder reads the archive."""
        words = self._program.command("archive-get", f"--pg1-path={data}")
        return shlex.join(words).replace("%", "%%") + ' %f "%p"'

    async def configure(self) -> None:
        """Write the program's configuration; raises `Unavailable`."""
        await self._program.configure()

    async def create_stanza(self) -> None:
        """Prepare the repository for this cluster; nothing happens where that was done before."""
        await self.configure()
        await self._program.run("prepare the repository", "stanza-create")

    async def check(self, deadline: float = 60) -> None:
        """Prove that WAL of the running cluster reaches the repository.

        Raises
        ------
        Unavailable
            It does not within `deadline` seconds; the text says why.
        """
        await self._program.run(
            "find a new WAL segment in the archive", "check", f"--archive-timeout={deadline:g}"
        )

    async def backup(
        self,
        kind: BackupKind,
        *,
        annotations: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        enter: Enter = unheard,
    ) -> BackupInfo:
        """Take a backup; the first one is full whatever was asked for.

        So is one that would follow an older full one than was the last, which was deleted:
        pgBackRest, which calls it after that one, takes this for a clock that went back.

        Raises
        ------
        Conflict
            Another one is being taken.
        Unavailable
            Its WAL does not reach the archive, or the repository can't be written.
        """
        label = ""

        def read(line: str) -> None:
            nonlocal label
            if found := _LABEL.search(line):
                label = found[1]
            if (phase := said_phase(line)) is not None:
                enter(phase)

        enter(BackupPhase.CALLING)
        notes = [f"--annotation={name}={value}" for name, value in (annotations or {}).items()]

        async def take(kind: BackupKind) -> None:
            await self._program.run(
                "take the backup",
                "backup",
                f"--type={kind.option}",
                *notes,
                progress=progress,
                on_line=read,
                deadline=None,
                stall=STALL_SECONDS,
                level="detail",
            )

        try:
            await take(kind)
        except Unavailable as error:
            if kind is BackupKind.FULL or _NOT_LATER not in error.message:
                raise
            await take(BackupKind.FULL)
        enter(BackupPhase.LISTING)
        made = (await self.info()).backup(label)
        if made is None:
            raise Unavailable(f"pgBackRest took a backup, and does not list it ({label!r}).")
        return made

    async def info(self) -> RepositoryInfo:
        """Return what is in the repository."""
        told = await self._program.run("list the backups", "info", "--output=json")
        return parse_info(json.loads(told), self._stanza)

    async def get(self, label: str) -> BackupInfo:
        """Return a backup; raises `NotFound`."""
        found = (await self.info()).backup(label)
        if found is None:
            raise NotFound("backup", label)
        return found

    async def databases(self, label: str) -> list[str]:
        """Return the names of the databases in a backup, templates left out."""
        return sorted(await self.numbers(label))

    async def numbers(self, label: str) -> dict[str, int]:
        """Return PostgreSQL's numbers of the databases in a backup, by name."""
        told = await self._program.run("read the backup", "info", "--output=json", f"--set={label}")
        for stanza in json.loads(told):
            for backup in stanza.get("backup") or []:
                found = backup.get("database-ref") or []
                return {str(each["name"]): int(each["oid"]) for each in found}
        raise NotFound("backup", label)

    async def recovery_windows(self) -> list[RecoveryWindow]:
        """Return the moments that can be reached, for each timeline; the newest timeline last."""
        return await self.archive.windows(await self.info())

    async def source(
        self, moment: datetime, timeline: int | None = None
    ) -> tuple[BackupInfo, RecoveryWindow]:
        """Return the backup from which a moment is reached soonest, and the window it is in.

        Parameters
        ----------
        timeline
            None: the newest.

        Raises
        ------
        InvalidRequest
            The moment is in no window; the text names those that there are.
        """
        info = await self.info()
        windows = await self.archive.windows(info)
        # What a switch left behind is never meant without being named.
        newest = max(await self.archive.timelines(info), default=1)
        wanted = newest if timeline is None else timeline
        for window in windows:
            if window.timeline == wanted and window.first <= moment <= window.last:
                usable = (info.backup(label) for label in window.backups)
                good = [each for each in usable if each is not None and each.earliest <= moment]
                return max(good, key=lambda each: each.stop), window
        there = "; ".join(str(each) for each in windows) or "there are none yet"
        asked = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        problem = f"{asked} can't be restored on timeline {wanted}; moments that can: {there}"
        raise InvalidRequest(fields={"target_time": problem})

    async def delete(self, label: str, ids: Mapping[str, str] | None = None) -> None:
        """Remove a backup, and the WAL that is older than all that are left.

        Parameters
        ----------
        ids
            What backups are called in what is told of them, by label.

        Raises
        ------
        NotFound
            There is none.
        Conflict
            Others depend on it, or it is the only full one.
        """
        info = await self.info()
        if info.backup(label) is None:
            raise NotFound("backup", label)
        called = {each.label: each.label for each in info.backups} | {**(ids or {})}
        if dependants := [called[each.label] for each in info.dependants(label)]:
            raise Conflict(
                "backup",
                called[label],
                f"The backup {called[label]} is needed by {len(dependants)} others: delete "
                f"{', '.join(dependants)} first.",
                details={"dependants": dependants},
            )
        full = [each for each in info.backups if each.kind is BackupKind.FULL]
        left = sum(each.label != label for each in full)
        # As many as are left: then the WAL from before the oldest of them goes away too.
        archive = f"--repo1-retention-archive={max(1, left)}"
        try:
            await self._program.run("delete the backup", "expire", f"--set={label}", archive)
        except PlatformError as error:
            if "cannot be expired until" not in error.message:
                raise
            raise Conflict(
                "backup",
                called[label],
                f"The backup {called[label]} is the only full one: take another before it is "
                "deleted.",
            ) from error

    async def clean_up(self, sign: str = "") -> None:
        """End runs whose server is gone, and remove what they left half made.

        Parameters
        ----------
        sign
            Only runs with this in their command line are ended. What is half made is removed where
            no backup is being taken.
        """
        await end_runs(self._program.configuration, sign)
        taken = partial(runs, self._program.configuration, "--annotation=mark=")
        if not await on_disk(taken):
            await remove_unfinished(self._program, await self.info())

    async def expire(self, retention: Retention, *, dry_run: bool = False) -> list[str]:
        """Remove the backups and the WAL that `retention` does not keep.

        Returns
        -------
        list[str]
            The labels that went away, or would, oldest first.
        """
        gone = set[str]()

        def read(line: str) -> None:
            if found := re.search(r"(?:expire|remove expired) .*?backup(?: set)? (.+)$", line):
                gone.update(re.findall(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?", found[1]))

        await self._program.run(
            "delete old backups",
            "expire",
            *(["--dry-run"] if dry_run else []),
            *retention.options(),
            on_line=read,
            level="info",
        )
        return sorted(gone)

    async def verify(self) -> Verification:
        """Check every file in the repository against its checksum, and that no WAL is missing."""
        said: list[str] = []
        report = await self._program.run(
            "verify the repository",
            "verify",
            "--output=text",
            "--verbose",
            on_line=said.append,
            deadline=None,
            stall=STALL_SECONDS,
            level="info",
        )
        return parse_verification(report, said, await self.archive.missing(await self.info()))

    async def archive_status(self) -> ArchiveStatus:
        """Return whether WAL reaches the archive, and why not; asks the running cluster."""
        async with connected(self.place) as connection:
            return await self.archive.status(connection)

    async def restore(
        self,
        target: Path,
        label: str,
        *,
        to: datetime | None = None,
        timeline: int | None = None,
        databases: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Put the cluster's files, as they were in a backup, into a folder of their own.

        Nothing is recovered yet: that happens when it is started (`SideCluster`), since PostgreSQL
        itself plays the WAL back. What is restored never archives by itself.

        Parameters
        ----------
        target
            Must not be there, or be empty, in a folder that is there. Tablespaces go to
            `tablespaces(target)`.
        to
            The moment; None: the end of the backup.
        timeline
            On which `to` is; None: the backup's own.
        databases
            Others are restored as empty files only, can't be connected to, and should be dropped.

        Raises
        ------
        InvalidRequest
            The moment is before the backup's end, or on a timeline to which it does not lead.
        NotFound
            There is no such backup, or it holds no database of this name.
        Conflict
            `target` is in use, or another restore is at work.
        """
        info = await self.info()
        if (backup := info.backup(label)) is None:
            raise NotFound("backup", label)
        if to is not None and to < backup.earliest:
            # PostgreSQL would not notice where nothing was committed meanwhile.
            raise InvalidRequest(
                f"{to.astimezone(UTC).isoformat()} can't be reached from the backup {label}, which "
                f"is good from {backup.earliest.isoformat()} on.",
                fields={"target_time": "is before the end of the backup"},
            )
        if timeline is not None and not await self.archive.leads(info, backup, timeline):
            raise InvalidRequest(
                f"The backup {label} does not lead to timeline {timeline}.",
                fields={"timeline": "does not follow from this backup"},
            )
        only: list[str] = []
        if databases is not None:
            known = await self.numbers(label)
            only = _selection(known, databases)
            if missing := [name for name in databases if name not in known]:
                raise NotFound("database", missing[0], f"{label} holds no {missing[0]!r}.")
        if await on_disk(lambda: target.exists() and any(target.iterdir())):
            raise Conflict("folder", target, f"{target} is not empty, nothing is restored there.")
        options = ["--type=immediate"]
        if to is not None:
            text = to.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
            own = timeline in (None, backup.timeline)
            options = [
                "--type=time",
                f"--target={text}",
                # A number needs the timeline's history file, and the first has none.
                f"--target-timeline={'current' if own else timeline}",
            ]
        await on_disk(partial(make_folder, target, self.place.user))
        spaces = tablespaces(target)
        try:
            await self._program.run(
                "restore the backup",
                "restore",
                f"--pg1-path={target}",
                f"--set={label}",
                *options,
                "--target-action=promote",
                "--archive-mode=off",
                f"--tablespace-map-all={spaces}",
                *only,
                progress=progress,
                deadline=None,
                stall=STALL_SECONDS,
                level="detail",
            )
        except BaseException:
            await remove_folders(self.place.user, spaces, target)
            raise


def _selection(known: Mapping[str, int], wanted: Sequence[str]) -> list[str]:
    """Return the options that leave out other databases; PostgreSQL's own can't be left out.

    Those are its own by their numbers, too: the one that was `postgres` before a restore, say.
    """
    others = [name for name, number in known.items() if number >= FIRST and name not in SYSTEM]
    if named := [name for name in wanted if name in others]:
        return [f"--db-include={name}" for name in named]
    return [f"--db-exclude={name}" for name in others] if wanted else []


def tablespaces(data: Path) -> Path:
    """Return where the tablespaces of a restored cluster are."""
    return data.with_name(f"{data.name}-tablespaces")
