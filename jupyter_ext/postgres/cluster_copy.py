"""Copies of the whole cluster that share its blocks: made in a moment, where the disk can.

xfs and btrfs can (``cp --reflink``). Such a copy is a base backup like any other: it needs no
repository, and goes on being whole when the backups are gone. Source: PostgreSQL's documentation,
"Making a Base Backup Using the Low Level API".
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import Unavailable
from .connections import connected, translating
from .owned_files import is_full, make_folder, no_room, on_disk, remove_folders, write_private
from .place import Place
from .processes import ProgramFailed, SystemUser, end_running, run

COPIES = "copies"
"""In the cluster's folder."""

STATEMENTS = (
    "SELECT pg_walfile_name(pg_backup_start(%s, true))",
    "SELECT pg_walfile_name(lsn), labelfile, clock_timestamp() FROM pg_backup_stop(false)",
)
"""That begin and end a copy, of `NEW_NAMES` on."""

OLD_STATEMENTS = (
    "SELECT pg_walfile_name(pg_start_backup(%s, true, false))",
    "SELECT pg_walfile_name(lsn), labelfile, clock_timestamp() FROM pg_stop_backup(false, false)",
)

LABEL = "backup_label"
"""The file with which PostgreSQL recovers a copy; it is written when all else is there."""

NEW_NAMES = 15
"""The PostgreSQL that changed the names."""

EMPTY = (
    "pg_dynshmem",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
)
"""Folders whose content belongs to the running server; of WAL only what is needed is copied."""

RUNNING = ("postmaster.pid", "postmaster.opts", "current_logfiles")

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_VANISHED = re.compile(r"cp: cannot (?:stat|open) .*: No such file or directory")


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What is known of a copy.

    Parameters
    ----------
    moment
        Of which it is, by the cluster's clock: what was committed before is in it.
    timeline
        That the cluster wrote then.
    """

    moment: datetime
    timeline: int


class ClusterCopy:
    """A copy of a cluster's files that shares its blocks.

    Parameters
    ----------
    origin
        The cluster.
    name
        Of the copy, in the cluster's folder.
    """

    def __init__(self, origin: Place, name: str) -> None:
        self._origin = origin
        self.folder = origin.data.parent / COPIES / name
        self._data = self.folder / "data"

    async def take(self) -> CopyFacts | None:
        """Copy the cluster as it is now; None where its disk can't share blocks.

        Raises
        ------
        Unavailable
            There is no room, or the files can't be copied.
        Away
            The cluster does not answer.
        """
        origin, user = self._origin.data, self._origin.user
        await on_disk(partial(self.folder.parent.mkdir, mode=0o711, exist_ok=True))
        await on_disk(partial(make_folder, self.folder, user))
        try:
            if await on_disk(lambda: any((origin / "pg_tblspc").iterdir())):
                # A tablespace lies elsewhere, on a disk of its own perhaps.
                return None
            await on_disk(partial(make_folder, self._data, user))
            if not await self._can_share():
                return None
            return await self._copy()
        except ProgramFailed as error:
            if await on_disk(partial(is_full, self.folder)):
                raise no_room(self.folder) from error
            raise Unavailable(f"The cluster can't be copied: {error}.", "Try again.") from error
        finally:
            if not await on_disk(self._label.exists):
                await remove_copy(origin.parent, self.folder.name)

    async def fill(self, target: Path, recovery_command: str) -> Mapping[str, str]:
        """Put a copy of it into a folder; return the settings with which that recovers.

        Raises
        ------
        Unavailable
            It is not there, or there is no room.
        """
        if not await on_disk(self._label.exists):
            raise Unavailable(f"{self.folder} is not there.", "Restore a backup.")
        await on_disk(partial(make_folder, target, self._origin.user))
        try:
            await self._share([f"{self._data}/."], target)
        except ProgramFailed as error:
            if await on_disk(partial(is_full, target)):
                raise no_room(target) from error
            raise Unavailable(f"{self.folder} can't be copied: {error}.", "Try again.") from error
        signal = target / "recovery.signal"
        await on_disk(partial(write_private, signal, "", self._origin.user))
        return {
            # All WAL that it needs is in it; the archive tells which timelines there are already.
            "restore_command": recovery_command,
            "recovery_target": "immediate",
            "recovery_target_action": "promote",
            "recovery_target_timeline": "current",
        }

    # -- inside --------------------------------------------------------------------------------

    @property
    def _label(self) -> Path:
        return self._data / LABEL

    async def _can_share(self) -> bool:
        try:
            await self._share([str(self._origin.data / "PG_VERSION")], self._data)
        except ProgramFailed:
            return False
        return True

    async def _copy(self) -> CopyFacts:
        user = self._origin.user
        version = int((await on_disk((self._origin.data / "PG_VERSION").read_text)).split(".")[0])
        async with connected(self._origin) as connection:
            with translating():
                # WAL that the copy needs stays until this session ends.
                await connection.execute(
                    "SELECT pg_create_physical_replication_slot("
                    "'jupyter_ext_copy_' || pg_backend_pid(), true, true)"
                )
                start, stop = STATEMENTS if version >= NEW_NAMES else OLD_STATEMENTS
                cursor = await connection.execute(start, [self.folder.name])
                first = str(_only(await cursor.fetchone()))
                await self._share(await on_disk(self._content), self._data)
                cursor = await connection.execute(stop)
                row = await cursor.fetchone()
            assert row is not None  # noqa: S101 - one row always
            last, label, moment = row
            await on_disk(self._make_empty)
            await self._share(
                await on_disk(partial(self._wal, first, str(last))), self._data / "pg_wal"
            )
        await on_disk(partial(write_private, self._label, label, user))
        return CopyFacts(moment.astimezone(UTC), int(first[:8], 16))

    async def _share(self, sources: list[str], target: Path) -> None:
        """Copy files and folders; those that the server removes meanwhile need not be there."""
        said: list[str] = []
        words = ["cp", "--archive", "--reflink=always", "--", *sources, f"{target}/"]
        try:
            await run(words, user=self._origin.user, on_line=said.append)
        except ProgramFailed:
            if not said or not all(_VANISHED.fullmatch(line) for line in said):
                raise

    def _content(self) -> list[str]:
        left_out = {*EMPTY, *RUNNING}
        there = sorted(self._origin.data.iterdir())
        return [str(each) for each in there if each.name not in left_out]

    def _make_empty(self) -> None:
        for name in (*EMPTY, "pg_wal/archive_status"):
            make_folder(self._data / name, self._origin.user)

    def _wal(self, first: str, last: str) -> list[str]:
        """Return the segments of a copy, and the histories of timelines."""
        return [
            str(each)
            for each in (self._origin.data / "pg_wal").iterdir()
            if each.suffix == ".history"
            or (_SEGMENT.fullmatch(each.name) and first <= each.name <= last)
        ]


def is_whole(cluster: Path, name: str) -> bool:
    """Whether the copy is there, of the cluster in this folder."""
    return (cluster / COPIES / name / "data" / LABEL).exists()


async def remove_copy(cluster: Path, name: str) -> int:
    """Remove a copy, whole or half, whatever still works at it.

    Returns
    -------
    int
        Bytes by which the room on its disk grew meanwhile: what it shared is freed with the last
        who has it.

    Raises
    ------
    Unavailable
        What works at it does not end.
    """
    folder = cluster / COPIES / name

    def look() -> tuple[SystemUser, int] | None:
        try:
            found = folder.lstat()
        except FileNotFoundError:
            return None
        user = SystemUser(str(found.st_uid), found.st_uid, found.st_gid)
        return user, shutil.disk_usage(cluster).free

    await end_running("--reflink=always", f"{folder}/", whose=cluster)
    if (there := await on_disk(look)) is None:
        return 0
    user, before = there
    await remove_folders(user, folder)
    return max(0, (await on_disk(partial(shutil.disk_usage, cluster))).free - before)


def _only(row: tuple[Any, ...] | None) -> Any:
    assert row is not None  # noqa: S101 - each of these statements gives one row
    return row[0]
