"""Takes backups, and removes what is old or half made: one thing at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..accounts.schemas import Account
from ..errors import PlatformError, RateLimited
from ..operations.running import Progress
from ..operations.schemas import Operation, Recovered
from ..store.types import new_id, utcnow
from ..system.schemas import Problem
from .archiving import Archiving
from .backup_book import BackupBook, Note
from .backup_files import KeepsFiles, SavedFiles
from .backup_info import EXTRA, BackupInfo, BackupKind, RepositoryInfo
from .backup_view import Known
from .beside import Beside
from .claims import Claims
from .directory import Publisher
from .pgbackrest import PgBackRest
from .phases import BackupPhase, unheard
from .repository import Retention

NOT_TAKEN = (
    "The server stopped before the backup was complete. Nothing of it is left; take another."
)

DAY = timedelta(days=1)

SCHEDULER = Account("scheduler", "scheduler", "admin")
"""Owns the operations of scheduled backups, and is no user."""

_log = logging.getLogger(__name__)


class BackupTaker:
    """Writes into the repository."""

    def __init__(
        self,
        archiving: Archiving,
        beside: Beside,
        book: BackupBook,
        claims: Claims,
        bus: Publisher,
    ) -> None:
        self._archiving = archiving
        self._beside = beside
        self._book = book
        self._claims = claims
        self._bus = bus
        self._keeper: KeepsFiles | None = None
        # Whoever removes what is half made must not meet who makes it.
        self._writing = asyncio.Lock()

    def keep_files(self, keeper: KeepsFiles) -> None:
        """Let backups have files."""
        self._keeper = keeper

    @property
    def files(self) -> KeepsFiles:
        """Who keeps users' files."""
        assert self._keeper is not None  # noqa: S101 - the application said so before it started
        return self._keeper

    @property
    def busy(self) -> bool:
        """Whether a backup is being taken or removed."""
        return self._writing.locked()

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Take and remove no backup meanwhile; one that is being taken ends first."""
        async with self._writing:
            yield

    async def take(
        self,
        driver: PgBackRest,
        kind: BackupKind,
        owner: str | None,
        asked: Sequence[str],
        holders: Mapping[str, str | None],
        mark: str,
        progress: Progress | None,
        files: SavedFiles | None = None,
        *,
        extra: bool = False,
    ) -> Known:
        """Take a backup; whoever calls holds `pause`.

        Parameters
        ----------
        extra
            It is a user's, and of what is kept by number it takes no place.
        """
        enter = progress.enter if progress is not None else unheard
        if progress is not None:
            await progress.update(0.0, message="Taking the backup")
        try:
            made = await driver.backup(
                kind,
                annotations={"mark": mark, **(EXTRA if extra else {})},
                progress=progress.report if progress is not None else None,
                enter=enter,
            )
        except BaseException as error:
            if progress is not None and progress.interrupted:
                # A server that takes over cleans up itself.
                raise
            await asyncio.shield(_clean_up(driver, mark))
            found = await _complete(driver, mark) if isinstance(error, PlatformError) else None
            if found is None:
                raise
            made = found
        enter(BackupPhase.NOTING)
        note = await self._book.add(made, _user(owner), asked, holders, files)
        await self._archiving.complain(None)
        enter(BackupPhase.EXPIRING)
        await self._expire(driver)
        self.tell("created", note)
        return Known(made, note)

    async def take_now(self, owner: str | None, limited: Account | None = None) -> None:
        """Take a backup of everything, as the smallest there can be: after a restore, say.

        Parameters
        ----------
        limited
            Who has it taken by what they ask for, and may have so many a day; None: it must be.

        Raises
        ------
        RateLimited
            They had as many.
        """
        driver = await self._archiving.driver()
        holders = {each.name: each.owner for each in (await self._claims.all()).values()}
        extra = limited is not None and not limited.is_admin
        async with self.pause():
            if limited is not None:
                await self.check_rate(limited)
            await self.take(
                driver,
                BackupKind.INCREMENTAL,
                owner,
                [],
                holders,
                new_id("backup"),
                None,
                extra=extra,
            )

    async def check_rate(self, caller: Account) -> None:
        """See that nobody fills the repository alone.

        Raises
        ------
        RateLimited
            The caller has taken as many as may be taken in a day, whatever became of them.
        """
        if caller.is_admin:
            return
        since = utcnow() - DAY
        mine = [moment for moment in await self._book.taken_by(caller.id) if moment > since]
        if len(mine) >= self._archiving.settings.daily:
            wait = (sorted(mine)[-self._archiving.settings.daily] - since).total_seconds()
            raise RateLimited(
                wait,
                f"{len(mine)} backups were taken for you within a day. The next may be at "
                f"{utcnow() + timedelta(seconds=wait):%Y-%m-%d %H:%M} UTC. Any moment since the "
                "first can be restored without another one, but of a database that was made since "
                "the last; a snapshot needs none for `parts` without databases.",
            )

    async def remove(self, driver: PgBackRest, known: Known) -> None:
        """Delete a backup; raises as the driver does."""
        ids = {label: note.id for label, note in (await self._book.all()).items()}
        await self._book.leave([known.info.label])
        async with self._writing:
            await driver.delete(known.info.label, ids)
        await self._forget([known.info.label])
        await self._sweep(driver)
        self.tell("deleted", known.note)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Remove what a crash left of a backup, or see that it was complete."""
        driver = await self._archiving.existing()
        mark = str(given["mark"])
        words = operation.details.get("files")
        files = SavedFiles.read(words) if words else None
        if driver is None:
            await self.drop_files(operation.owner, mark, given)
            return NOT_TAKEN
        async with self._writing:
            await driver.clean_up(f"--annotation=mark={mark}")
            info = await driver.info()
        if (backup := _marked(info, mark)) is not None:
            note = await self._book.add(
                backup, _user(operation.owner), given["asked"], given["holders"], files
            )
            await self._sweep(driver)
            return Recovered(f"The backup {note.id} is complete.", succeeded=True)
        await self.drop_files(operation.owner, mark, given)
        return NOT_TAKEN

    async def drop_files(self, owner: str, mark: str, given: Mapping[str, Any]) -> None:
        """Remove files that were kept for a backup, unless there is one that has them."""
        if not given.get("files"):
            return
        notes = (await self._book.all()).values()
        if not any(note.files is not None and note.files.mark == mark for note in notes):
            await self.files.discard(owner, mark)

    def tell(self, event: str, note: Note) -> None:
        """Have it shown to who listens."""
        data = {"event": event, "id": note.id}
        self._bus.publish("backups", data, owner=note.owner or "dba", key=note.id)

    async def _expire(self, driver: PgBackRest) -> None:
        """Remove what is old; a backup that was taken is there even where that fails."""
        if self._beside.turn.taken:
            # It may be what is being restored; the next backup does it.
            return
        try:
            keep = await self._retention(driver)
            if any(note.files is not None for note in (await self._book.all()).values()):
                await self._book.leave(await driver.expire(keep, dry_run=True))
            gone = await driver.expire(keep)
            if gone:
                await self._forget(gone)
            await self._sweep(driver)
        except PlatformError as error:
            _log.warning("Old backups could not be removed: %s", error)

    async def _retention(self, driver: PgBackRest) -> Retention:
        keep = self._archiving.settings.retention()
        if keep.full is None:
            return keep
        return replace(keep, full=(await driver.info()).fulls_to_keep(keep.full))

    async def _forget(self, labels: Sequence[str]) -> None:
        """Remove the notes on backups that are gone; of those with files they go first."""
        notes = await self._book.all()
        await self._book.forget([x for x in labels if x in notes and notes[x].files is None])

    async def _sweep(self, driver: PgBackRest) -> None:
        """Remove the files of backups that were deleted; what fails is done the next time."""
        notes = [note for note in (await self._book.all()).values() if note.files is not None]
        leaving = [note for note in notes if note.files is not None and note.files.leaving]
        if not leaving:
            return
        there = {each.label for each in (await driver.info()).backups}
        for note in leaving:
            if note.label in there or note.owner is None or note.files is None:
                continue
            try:
                await self.files.discard(note.owner, note.files.mark)
            except PlatformError as error:
                _log.warning("The files of %s are removed the next time: %s", note.id, error)
                continue
            await self._book.forget([note.label])


def failed(error: PlatformError) -> Problem:
    """Return what is told of a backup that nobody waits for."""
    what = getattr(error, "what", error.message)
    return Problem(
        service="backups",
        what=f"A backup that was due could not be taken: {what}",
        cure=getattr(error, "cure", ""),
    )


def _user(owner: str | None) -> str | None:
    return owner if owner != SCHEDULER.id else None


async def _complete(driver: PgBackRest, mark: str) -> BackupInfo | None:
    """Return a backup that is there although pgBackRest failed: after its end, or listing it."""
    try:
        return _marked(await driver.info(), mark)
    except PlatformError:
        return None


def _marked(info: RepositoryInfo, mark: str) -> BackupInfo | None:
    return next((each for each in info.backups if each.annotations.get("mark") == mark), None)


async def _clean_up(driver: PgBackRest, mark: str) -> None:
    try:
        await driver.clean_up(f"--annotation=mark={mark}")
    except PlatformError as error:
        _log.warning("What is left of a backup goes away with the next one: %s", error)


async def quietly(cleaning: Awaitable[None]) -> None:
    """Clean up after a failure, of which the caller is told."""
    try:
        await cleaning
    except PlatformError as error:
        _log.warning("Files that were kept for it could not be removed: %s", error)
