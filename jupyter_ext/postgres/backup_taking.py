"""Takes backups, and removes what is old or half made: one thing at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ..accounts.schemas import Account
from ..errors import PlatformError
from ..operations.running import Progress
from ..operations.schemas import Operation, Recovered
from ..store.types import new_id
from ..system.schemas import Problem
from .archiving import Archiving
from .backup_book import BackupBook, Note
from .backup_info import BackupKind
from .backup_view import Known
from .beside import Beside
from .claims import Claims
from .directory import Publisher
from .pgbackrest import PgBackRest
from .phases import BackupPhase, unheard

NOT_TAKEN = (
    "The server stopped before the backup was complete. Nothing of it is left; take another."
)

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
        # Whoever removes what is half made must not meet who makes it.
        self._writing = asyncio.Lock()

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
    ) -> Known:
        """Take a backup; whoever calls holds `pause`."""
        enter = progress.enter if progress is not None else unheard
        if progress is not None:
            await progress.update(0.0, message="Taking the backup")
        try:
            made = await driver.backup(
                kind,
                annotations={"mark": mark},
                progress=progress.report if progress is not None else None,
                enter=enter,
            )
        except BaseException:
            # A server that takes over cleans up itself.
            if progress is None or not progress.interrupted:
                await asyncio.shield(_clean_up(driver, mark))
            raise
        enter(BackupPhase.NOTING)
        note = await self._book.add(made, _user(owner), asked, holders)
        await self._archiving.complain(None)
        enter(BackupPhase.EXPIRING)
        await self._expire(driver)
        self.tell("created", note)
        return Known(made, note)

    async def take_now(self, owner: str | None, progress: Progress | None = None) -> None:
        """Take a backup of everything, as the smallest there can be: after a restore, say."""
        driver = await self._archiving.driver()
        holders = {each.name: each.owner for each in (await self._claims.all()).values()}
        async with self.pause():
            await self.take(
                driver, BackupKind.INCREMENTAL, owner, [], holders, new_id("backup"), progress
            )

    async def remove(self, driver: PgBackRest, known: Known) -> None:
        """Delete a backup; raises as the driver does."""
        async with self._writing:
            await driver.delete(known.info.label)
        await self._book.forget([known.info.label])
        self.tell("deleted", known.note)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Remove what a crash left of a backup, or see that it was complete."""
        driver = await self._archiving.existing()
        if driver is None:
            return NOT_TAKEN
        mark = str(given["mark"])
        async with self._writing:
            await driver.clean_up(f"--annotation=mark={mark}")
            info = await driver.info()
        for backup in info.backups:
            if backup.annotations.get("mark") == mark:
                note = await self._book.add(
                    backup, _user(operation.owner), given["asked"], given["holders"]
                )
                return Recovered(f"The backup {note.id} is complete.", succeeded=True)
        return NOT_TAKEN

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
            gone = await driver.expire(self._archiving.settings.retention())
            if gone:
                await self._book.forget(gone)
        except PlatformError as error:
            _log.warning("Old backups could not be removed: %s", error)


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


async def _clean_up(driver: PgBackRest, mark: str) -> None:
    try:
        await driver.clean_up(f"--annotation=mark={mark}")
    except PlatformError as error:
        _log.warning("What is left of a backup goes away with the next one: %s", error)
