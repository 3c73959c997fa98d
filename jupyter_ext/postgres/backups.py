"""Backups as users see them: listed, taken, tested, deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    PlatformError,
    Unavailable,
)
from ..operations.running import Progress, Running
from ..operations.schemas import Operation
from ..store.types import new_id, utcnow
from .archiving import Archiving
from .backup_book import BackupBook, Note
from .backup_files import SavedFiles
from .backup_info import BackupInfo, BackupKind
from .backup_schemas import Backup, BackupQuery, DeletedBackup, NewBackup
from .backup_taking import SCHEDULER, BackupTaker, failed, quietly
from .backup_view import Known, view, visible
from .beside import Beside
from .catalog import Catalog, no_database
from .claims import Claims
from .pgbackrest import PgBackRest
from .phases import BackupPhase
from .sources import BackupSource

if TYPE_CHECKING:
    from ..containers.people import People
    from ..operations.manager import Also, Operations

CREATE, VERIFY = "backup.create", "backup.verify"

NOT_VERIFIED = "The server stopped before the backup was tested. Test it again."

_log = logging.getLogger(__name__)


class BackupManager:
    """The rules of backups."""

    def __init__(
        self,
        archiving: Archiving,
        beside: Beside,
        book: BackupBook,
        catalog: Catalog,
        claims: Claims,
        people: People,
        operations: Operations,
        taker: BackupTaker,
    ) -> None:
        self._archiving = archiving
        self._beside = beside
        self._book = book
        self._catalog = catalog
        self._claims = claims
        self._people = people
        self._operations = operations
        self._taker = taker
        operations.on_recovery(CREATE, taker.recover)
        operations.on_recovery(VERIFY, self.recover_test)

    # -- looking -------------------------------------------------------------------------------

    async def list(self, caller: Account, query: BackupQuery) -> Page[Backup]:
        """List backups, newest first: an administrator's are all, others' are of their databases.

        Raises
        ------
        Unavailable
            pgBackRest, the repository or the cluster is away.
        """
        driver = await self._archiving.existing()
        if driver is None:
            return Page([], 0, query.limit, query.offset, "backups")
        everything = reversed(await self._all(driver))
        seen = [each for each in everything if visible(caller, each.note)]
        windows = await driver.recovery_windows() if seen else []
        ids = {each.info.label: each.note.id for each in seen}
        shown = seen[query.offset : query.offset + query.limit]
        items = [view(caller, each, windows, ids, self._people) for each in shown]
        return Page(items, len(seen), query.limit, query.offset, "backups")

    async def get(self, caller: Account, id: str) -> Backup:
        """Return one backup.

        Raises
        ------
        NotFound
            The caller sees none of this id.
        """
        driver, known = await self.find(caller, id)
        return await self._shown(caller, driver, known)

    async def find(self, caller: Account, id: str) -> tuple[PgBackRest, Known]:
        """Return a backup that the caller may see; raises `NotFound`."""
        driver = await self._archiving.existing()
        for each in await self._all(driver) if driver is not None else []:
            if driver is not None and each.note.id == id and visible(caller, each.note):
                return driver, each
        raise NotFound("backup", id)

    async def id_of(self, backup: BackupInfo) -> str:
        """Return the id of a backup, whoever may see it."""
        notes = await self._book.all()
        return notes[backup.label].id if backup.label in notes else backup.label

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all that they see."""
        page = await self.list(caller, BackupQuery(limit=10_000))
        return {"items": [item.model_dump(mode="json") for item in page.items]}

    # -- making --------------------------------------------------------------------------------

    async def create(self, caller: Account, body: NewBackup) -> Running[Backup]:
        """Take a backup of the whole cluster, for some of its databases.

        Raises
        ------
        InvalidRequest
            A file is not the caller's, or it is for no database and no file.
        NotFound
            A database is not there, or not the caller's.
        RateLimited
            The caller has taken as many as may be taken in a day.
        Unavailable
            pgBackRest is not installed or does not fit, or the repository can't be written.
        """
        files = await self._taker.files.check(caller, body.files) if body.files else ()
        asked, holders = await self._asked(caller, body.databases, files)
        driver = await self._archiving.driver()
        await self._taker.check_rate(caller)
        mark = new_id("backup")
        return await self._operations.start(
            caller,
            CREATE,
            f"{body.type} backup",
            partial(self._take, caller, driver, body, asked, holders, mark, files),
            input={"mark": mark, "asked": asked, "holders": holders, "files": files},
        )

    async def take_scheduled(self, kind: BackupKind, also: Also) -> Running[Backup]:
        """Take a backup of everything that nobody asked for; `also` as in `Operations.start`.

        Raises
        ------
        Unavailable
            It can't be begun.
        """
        _, holders = await self._asked(SCHEDULER, None)
        driver = await self._archiving.driver()
        mark = new_id("backup")
        body = NewBackup.model_validate({"type": kind})
        return await self._operations.start(
            SCHEDULER,
            CREATE,
            f"{kind} backup",
            partial(self._take_due, driver, body, holders, mark),
            input={"mark": mark, "asked": [], "holders": holders},
            also=also,
        )

    async def made(self, caller: Account, kept: Mapping[str, Any]) -> Backup:
        """Return a backup that was taken for a request before."""
        return Backup.model_validate(kept)

    async def take_now(self, owner: str | None) -> None:
        """Take a backup of everything, as the smallest there can be: after a restore, say."""
        await self._taker.take_now(owner)

    async def delete(self, caller: Account, id: str) -> DeletedBackup:
        """Delete a backup, and the WAL that no other needs.

        Raises
        ------
        NotFound
            The caller sees none of this id.
        Forbidden
            The caller is no administrator.
        Conflict
            Others depend on it, it is the only full one, or one is being restored.
        """
        driver, known = await self.find(caller, id)
        if not caller.is_admin:
            raise Forbidden("Only an administrator deletes backups: others may depend on them.")
        if self._beside.turn.taken:
            raise Conflict(
                "backup", id, "A backup is being restored or tested. Delete this one afterwards."
            )
        await asyncio.shield(self._taker.remove(driver, known))
        return DeletedBackup(id=id)

    async def verify(self, caller: Account, id: str) -> Running[Backup]:
        """Check every file of the repository, and restore the backup beside the cluster as a test.

        Raises
        ------
        NotFound
            The caller sees none of this id.
        Forbidden
            It is neither the caller's nor the caller an administrator.
        Unavailable
            It is damaged, or there is no room for the test.
        """
        driver, known = await self.find(caller, id)
        if not caller.is_admin and known.note.owner != caller.id:
            raise Forbidden("A backup is tested by who took it, or an administrator.")
        where = self._beside.plan(driver.place)
        return await self._operations.start(
            caller,
            VERIFY,
            id,
            partial(self._test, caller, driver, known, where),
            input={"side": where},
        )

    # -- recovery ------------------------------------------------------------------------------

    async def recover_test(self, operation: Operation, given: Mapping[str, Any]) -> str:
        """Remove what a crash left of a test."""
        await self._beside.discard(await self._archiving.cluster.need(), given["side"])
        return NOT_VERIFIED

    # -- inside --------------------------------------------------------------------------------

    async def _asked(
        self, caller: Account, names: Sequence[str] | None, files: Sequence[str] = ()
    ) -> tuple[Sequence[str], Mapping[str, str | None]]:
        """Return which databases a backup is for, and whose all are.

        Parameters
        ----------
        files
            That are kept with it: without databases it is for these alone.
        """
        owned = await self._claims.all()
        holders = {name: each.owner for name, each in owned.items() if each.making is None}
        mine = sorted(name for name, owner in holders.items() if owner == caller.id)
        if _for_files_alone(names, files) or (files and not mine and not caller.is_admin):
            mine = []
        elif caller.is_admin:
            if names:
                await self._archiving.cluster.need()
                there = {each.name for each in await self._catalog.list()}
                mine = sorted(there - {"template0"})
        elif not mine and not names:
            raise InvalidRequest(
                "You have no database that a backup could be for.",
                fields={"databases": "names none, and you have none"},
            )
        for name in names or ():
            if name not in mine:
                raise no_database(name)
        asked = [] if caller.is_admin else mine
        return (sorted({*names}) if names else asked), holders

    async def _take(
        self,
        caller: Account,
        driver: PgBackRest,
        body: NewBackup,
        asked: Sequence[str],
        holders: Mapping[str, str | None],
        mark: str,
        paths: Sequence[str],
        progress: Progress,
    ) -> Backup:
        try:
            files = await self._save(caller, paths, body, asked, mark, progress)
            progress.enter(BackupPhase.WAITING)
            if self._taker.busy:
                await progress.update(message="Waiting for its turn")
            async with self._taker.pause():
                # Others of theirs may have been waiting, too.
                await self._taker.check_rate(caller)
                known = await self._taker.take(
                    driver,
                    body.type,
                    caller.id,
                    asked,
                    holders,
                    mark,
                    progress,
                    files,
                    extra=not caller.is_admin,
                )
        except BaseException:
            # A server that takes over cleans up itself.
            if not progress.interrupted:
                dropping = self._taker.drop_files(caller.id, mark, {"files": paths})
                await asyncio.shield(quietly(dropping))
            raise
        # Its window begins a second after its end: there is none to be looked for yet.
        ids = {label: note.id for label, note in (await self._book.all()).items()}
        return view(caller, known, [], ids, self._people)

    async def _save(
        self,
        caller: Account,
        paths: Sequence[str],
        body: NewBackup,
        asked: Sequence[str],
        mark: str,
        progress: Progress,
    ) -> SavedFiles | None:
        """Keep files first: they take as long as they take, and others' backups go on."""
        if not paths:
            return None
        progress.enter(BackupPhase.SAVING)
        saved = await self._taker.files.save(caller, paths, mark, progress)
        alone = not asked and (not caller.is_admin or _for_files_alone(body.databases, paths))
        saved = replace(saved, alone=alone)
        await progress.keep({"phase": BackupPhase.SAVING, "files": saved.words()})
        return saved

    async def _take_due(
        self,
        driver: PgBackRest,
        body: NewBackup,
        holders: Mapping[str, str | None],
        mark: str,
        progress: Progress,
    ) -> Backup:
        try:
            return await self._take(SCHEDULER, driver, body, [], holders, mark, (), progress)
        except PlatformError as error:
            # Nobody waits for it.
            await self._archiving.complain(failed(error))
            raise

    async def _test(
        self,
        caller: Account,
        driver: PgBackRest,
        known: Known,
        where: Mapping[str, Any],
        progress: Progress,
    ) -> Backup:
        with self._beside.one_each(caller):
            async with self._beside.turn.of("the test of a backup", progress):
                note = await self._proved(driver, known, where, progress)
        self._taker.tell("verified", note)
        return await self._shown(caller, driver, Known(known.info, note))

    async def _proved(
        self, driver: PgBackRest, known: Known, where: Mapping[str, Any], progress: Progress
    ) -> Note:
        await progress.update(message="Checking every file of the repository")
        found = await driver.verify()
        if not found.good:
            what = "; ".join(found.damaged) or "a backup is not complete"
            raise Unavailable(
                f"The repository is damaged: {what}.",
                "Take a full backup, and look after the disk that the repository is on.",
            )
        note = known.note
        if note.files is not None and note.owner is not None:
            await progress.update(message="Reading its files")
            await self._taker.files.verify(note.owner, note.files)
        await progress.update(message="Restoring it beside the cluster")
        await self._beside.check_room(driver.place, known.info.database_size)
        side = self._beside.at(driver.place, where)
        try:
            await side.recover(BackupSource(driver, known.info.label), progress=progress.report)
        finally:
            if not progress.interrupted:
                await asyncio.shield(side.discard())
        return await self._book.verified(known.note, utcnow())

    async def noted(self, driver: PgBackRest) -> None:
        """See that all that is in the repository is noted, also what was taken by hand."""
        await self._all(driver)

    async def _all(self, driver: PgBackRest) -> Sequence[Known]:
        """Return what is in the repository, oldest first; what the store does not know is noted."""
        info, notes = await driver.info(), await self._book.all()
        found = []
        for backup in info.backups:
            note = notes.get(backup.label)
            if note is None:
                note = await self._adopt(driver, backup)
            found.append(Known(backup, note))
        return found

    async def _adopt(self, driver: PgBackRest, backup: BackupInfo) -> Note:
        """Note a backup that was taken by hand, or before the store."""
        owned = await self._claims.all()
        names = await driver.databases(backup.label)
        holders = {
            name: owned[name].owner
            if name in owned and owned[name].created_at <= backup.start
            else None
            for name in names
        }
        return await self._book.adopt(backup, holders)

    async def _shown(self, caller: Account, driver: PgBackRest, known: Known) -> Backup:
        ids = {label: note.id for label, note in (await self._book.all()).items()}
        return view(caller, known, await driver.recovery_windows(), ids, self._people)


def _for_files_alone(names: Sequence[str] | None, files: Sequence[str]) -> bool:
    """Whether a request says that it is for no database."""
    return bool(files) and names is not None and not names
