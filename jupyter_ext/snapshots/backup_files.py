"""Notebook files of backups: kept in their owner's repository, beside those of snapshots."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..devices.threads import in_a_thread
from ..errors import Conflict, InvalidRequest, PlatformError
from ..operations.running import Progress
from ..postgres.backup_files import FileJob, SavedFiles
from ..postgres.phases import RestorePhase
from ..store.types import new_id, utcnow
from . import swap
from .book import SnapshotBook
from .files import NAME, FileKeeper
from .folders import Folder
from .manager import SnapshotManager
from .named_paths import found, outermost, way_is_free
from .parts import Kept
from .restores import SnapshotRestores, before_name
from .settings import SnapshotSettings
from .vault import Vault

if TYPE_CHECKING:
    from ..containers.people import People

SHOWN = 3
"""Paths in a text."""

_log = logging.getLogger(__name__)


class BackupFiles:
    """Keeps users' notebook files with backups, and puts them back."""

    def __init__(
        self,
        keeper: FileKeeper,
        book: SnapshotBook,
        manager: SnapshotManager,
        restores: SnapshotRestores,
        settings: SnapshotSettings,
        people: People,
    ) -> None:
        self._keeper = keeper
        self._book = book
        self._manager = manager
        self._restores = restores
        self._settings = settings
        self._people = people

    async def check(self, caller: Account, names: Sequence[str]) -> Sequence[str]:
        """Return paths in the caller's folder; raises `InvalidRequest` naming what is wrong."""
        folder = await self._keeper.folder(caller)
        if isinstance(folder, str):
            raise InvalidRequest(folder, fields={"files": folder})
        Vault.program()

        def look() -> Sequence[str]:
            return outermost([_named(folder, name, self._settings.exclude) for name in names])

        return await in_a_thread(look, "backup files")

    async def save(
        self, caller: Account, paths: Sequence[str], mark: str, progress: Progress
    ) -> SavedFiles:
        """Keep files; after a crash they are found by the mark.

        Raises
        ------
        InvalidRequest
            There is nothing to keep, or not all of it can be.
        Unavailable
            restic is missing or away.
        """
        moment = utcnow()
        kept = await self._keeper.copy(caller, mark, progress, paths)
        if not kept.there:
            raise _wrong(f"there is nothing in them to keep: {kept.reason}")
        if missing := await self._keeper.missing(caller.id, kept, paths):
            # It went away since it was looked at, or a pattern of the operator's leaves it out.
            raise _wrong(f"{', '.join(map(repr, missing[:SHOWN]))} could not be kept")
        return SavedFiles(mark, kept.words(), paths, kept.size, moment, kept.reason)

    async def discard(self, owner: str, mark: str) -> None:
        """Remove what was kept, whole or half; may be called again."""
        await self._keeper.discard(owner, mark, ())

    async def verify(self, owner: str, saved: SavedFiles) -> None:
        """Read all of it; raises `Unavailable` where it is damaged."""
        await self._keeper.read(owner, Kept.read(saved.part))

    async def plan(
        self, caller: Account, id: str, saved: SavedFiles, paths: Sequence[str]
    ) -> FileJob:
        """Plan to put files back.

        Raises
        ------
        InvalidRequest
            The backup does not have one of them.
        Conflict
            They have no place to go to.
        """
        folder = await self._keeper.folder(caller)
        if isinstance(folder, str):
            raise Conflict("files", NAME, f"The files have no place to go to: {folder}")
        part = Kept.read(saved.part)
        if missing := await self._keeper.missing(caller.id, part, paths):
            raise _wrong(f"{missing[0]!r} is not among those of this backup")
        try:
            there = await in_a_thread(
                lambda: [path for path in paths if way_is_free(folder, path)], "backup files"
            )
        except ValueError as error:
            raise Conflict("files", NAME, f"The files have no place to go to: {error}.") from error
        before = (new_id("snapshot"), before_name(id))
        return FileJob(saved.part, outermost(paths), before, there)

    def alone(self, caller: Account) -> AbstractContextManager[None]:
        """Have a user wait for their own restores; raises `Conflict`."""
        return self._restores.alone(caller)

    async def claim(self, session: AsyncSession, caller: Account, id: str, job: FileJob) -> None:
        """Claim the name of what is there before, within a transaction."""
        mark, name = job.before
        text = f"Files that were there before those of the backup {id!r} were restored"
        await self._book.claim(session, caller.id, name, mark, text)

    async def prepare(self, caller: Account, job: FileJob, progress: Progress) -> None:
        """Bring files back beside those that are there, and keep these.

        Raises
        ------
        Conflict
            There is no folder for them, or something in it would be lost.
        Unavailable
            They can't be read, or there is no room.
        """
        part = Kept.read(job.part)
        progress.enter(RestorePhase.BRINGING)
        await self._keeper.prepare(caller, part, job.mark, progress, job.paths)
        progress.enter(RestorePhase.KEEPING)
        await self._keep(caller, job.before[0], progress)

    async def put(self, owner: str, job: FileJob, plan: Any, progress: Progress) -> str | None:
        """Put what was prepared in its place; return the snapshot of what was there."""
        caller = await self._people.account(owner)
        if plan is None:
            # What came before took its time, in which files may have been saved.
            await self._keep(caller, job.before[0], progress)
            made = await self._keeper.plan(caller, job.mark, job.paths)
            await progress.keep({"phase": RestorePhase.FILES, "plan": made.words()})
            progress.enter(RestorePhase.FILES)
        else:
            made = swap.Plan.read(plan)
        await progress.update(message="Putting the files in their place")
        await self._keeper.switch(caller, job.mark, made)
        try:
            await self._keeper.clear(caller, job.mark)
        except PlatformError as error:
            _log.warning("What was there before is still hidden beside the files: %s", error)
        before = await self._book.get(job.before[0])
        if before is not None and before.parts:
            self._manager.tell("created", before)
            return before.name
        await self._book.release(job.before[0])
        return None

    async def undo(self, owner: str, job: FileJob) -> None:
        """Remove what was prepared, and what was kept for it."""
        caller = await self._people.account(owner)
        await self._keeper.clear(caller, job.mark)
        await self._keeper.discard(owner, job.before[0], ())
        await self._book.release(job.before[0])

    async def _keep(self, caller: Account, mark: str, progress: Progress) -> None:
        """Make what is there a snapshot, or have the one that was made be of now."""
        before = await self._book.get(mark)
        if before is not None and before.parts:
            await self._restores.keep_newer_files(caller, mark, progress)
            return
        kept = await self._keeper.copy(caller, mark, progress)
        if kept.there:
            await self._keeper.check(kept)
            await self._book.finish(mark, [kept])


def _named(folder: Folder, name: str, excluded: Sequence[str]) -> str:
    try:
        return found(folder, name, excluded)
    except ValueError as error:
        raise _wrong(f"{name!r} {error}") from error


def _wrong(problem: str) -> InvalidRequest:
    return InvalidRequest(fields={"files": problem})
