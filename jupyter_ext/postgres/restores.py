"""Restores of backups: to a moment, of some databases or the whole cluster."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..errors import PlatformError
from ..operations.running import Progress, Resumed, Running
from ..operations.schemas import Operation, Recovered
from ..store.types import new_id, utcnow
from . import some_databases
from .archiving import Archiving
from .backup_files import FileJob, wanted_files
from .backup_schemas import NewRestore, Restore
from .backup_taking import BackupTaker
from .backups import BackupManager
from .beside import Beside
from .cluster_restore import ClusterRestore
from .database_restore import DatabaseRestore, Loaded
from .directory import DatabaseDirectory, Publisher
from .file_restore import DONE, FileRestore, Work, files_alone, with_files
from .owned_files import is_full, no_room, on_disk
from .pgbackrest import PgBackRest
from .phases import SWITCHES, RestorePhase
from .restore_estimate import Estimate, for_users
from .restore_news import RestoreNews
from .restore_plan import (
    MARK,
    CopyTarget,
    Goal,
    Move,
    Target,
    find_target,
    kept_moves,
    moves_of,
    wanted_databases,
)
from .schemas import MAINTENANCE
from .side_restore import SideRestore
from .steps import to_the_end

if TYPE_CHECKING:
    from ..operations.manager import Operations

RESTORE = "backup.restore"

UNDO_SECONDS = 30.0
"""For which a restore that failed waits until what it loaded is gone."""

UNDO_PAUSE = 1.0

UNDONE = "The server stopped before anything was switched: all is as it was. Restore again."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A restore that is planned, for whoever does it within an operation of their own.

    Parameters
    ----------
    given
        What `RestoreManager.recover` has to know of it after a crash.
    """

    given: Mapping[str, Any]
    run: Callable[[Account, Progress], Awaitable[Restore]]


class RestoreManager:
    """The rules of restores."""

    def __init__(
        self,
        archiving: Archiving,
        beside: Beside,
        backups: BackupManager,
        taker: BackupTaker,
        estimate: Estimate,
        databases: DatabaseRestore,
        sides: SideRestore,
        operations: Operations,
        bus: Publisher,
        directory: DatabaseDirectory,
    ) -> None:
        self._news = RestoreNews(databases, directory, bus)
        self._files = FileRestore(taker, self._news)
        self._sides = sides
        self._taker = taker
        self._archiving = archiving
        self._beside = beside
        self._estimate = estimate
        self._backups = backups
        self._databases = databases
        self._cluster = ClusterRestore(archiving, beside, taker)
        self._operations = operations
        self._undoing: set[asyncio.Future[bool]] = set()
        self._loading: set[str] = set()
        operations.on_recovery(RESTORE, self.recover)

    async def restore(
        self, caller: Account, id: str, body: NewRestore
    ) -> Running[Restore] | Restore:
        """Restore databases, or the whole cluster, to a moment; what was there is kept.

        Raises
        ------
        InvalidRequest
            The moment can't be restored; the text names the windows that can.
        NotFound
            The caller sees no such backup, or had no such database then.
        Forbidden
            It is more than the caller's own.
        Unavailable
            There is no room, or the repository is away.
        """
        driver, known = await self._backups.find(caller, id)
        paths = wanted_files(caller, known.note, body)
        names = await wanted_databases(driver, caller, known, body, paths)
        job = await self._files.planned(caller, known, paths)
        if names is None:
            shown = with_files(files_alone(id, body, known), known, job)
            return shown if body.dry_run else await self._begin(caller, shown, job)
        if not body.dry_run:
            driver = await self._archiving.driver()
        target = await find_target(driver, known, body)
        since = await self._databases.made_since(driver, target, names)
        mark = new_id(MARK)
        moves = moves_of(names, mark, utcnow())
        if body.mode == "in_place":
            await self._databases.check(caller, moves)
        kept = self._cluster.kept_folder()
        shown = await self._estimate.expected(
            id, driver, body, target, moves, kept, whole=bool(since)
        )
        if not caller.is_admin:
            shown = for_users(shown)
        shown = with_files(shown, known, job)
        if body.dry_run:
            return await self._estimate.with_earlier(caller, driver.place, shown)
        await self._beside.check_room(driver.place, shown.bytes.side)
        plan = self._beside.plan(driver.place)
        work = partial(self._restore, caller, driver, target, plan, moves, kept, mark, shown)
        given = _given(mark, plan, moves, kept, body.mode)
        return await self._begin(caller, shown, job, work, given)

    async def to_moment(
        self, moment: datetime, timeline: int, names: Sequence[str], mark: str
    ) -> Task:
        """Plan a restore to a moment from whichever backup leads there, in place.

        Parameters
        ----------
        names
            Databases that the backups since they were made have; none: the whole cluster. Whose
            they were at the moment is seen when they are loaded.

        Raises
        ------
        InvalidRequest
            No backup leads there.
        Unavailable
            The repository is away.
        """
        driver = await self._archiving.driver()
        backup, window = await driver.source(moment, timeline)
        target = Target(backup, moment, window.timeline)
        since = await self._databases.made_since(driver, target, names)
        id = await self._backups.id_of(backup)
        return await self._task(driver, target, id, names, mark, whole=bool(since))

    async def to_copy(self, copy: CopyTarget, mark: str) -> Task:
        """Plan a restore of a copy of the whole cluster, in place.

        Raises
        ------
        Unavailable
            The repository is away, to which the restored cluster archives.
        """
        return await self._task(await self._archiving.driver(), copy, copy.name, (), mark)

    async def made(self, caller: Account, kept: Mapping[str, Any]) -> Restore:
        """Return a restore that was made for a request before."""
        return Restore.model_validate(kept)

    async def recover(
        self, operation: Operation, given: Mapping[str, Any]
    ) -> str | Recovered | Resumed[None]:
        """Finish or undo what a crash interrupted."""
        outcome = await self._recover_databases(operation, given) if "mark" in given else UNDONE
        words = given.get("files")
        if words is None:
            return outcome
        return await self._files.recover(operation, FileJob.read(words), outcome)

    async def _recover_databases(
        self, operation: Operation, given: Mapping[str, Any]
    ) -> str | Recovered | Resumed[None]:
        moves = kept_moves(given)
        phase = operation.details.get("phase")
        async with self._beside.turn.of("what a server that was killed left of a restore"):
            if given["mode"] == "side":
                there = await self._sides.recover(given["side"])
                return Recovered(DONE, succeeded=True) if there else UNDONE
            if moves:
                place = await self._archiving.cluster.need()
                await self._beside.discard(place, given["side"])
                done = await self._databases.undo(
                    moves, str(given["mark"]), switching=phase in SWITCHES
                )
                return Recovered(DONE, succeeded=True) if done else UNDONE
            if not await self._cluster.recover(given["side"], Path(str(given["kept"])), phase):
                return UNDONE
            return Resumed(partial(self._finish, operation.owner), lambda _: None)

    async def remove_left(self) -> None:
        """Drop what restores left that are at work no more, once PostgreSQL runs again."""
        await self._databases.remove_left(self._loading)

    async def stop(self) -> None:
        """Wait for nothing any more."""
        for undoing in tuple(self._undoing):
            undoing.cancel()
        await asyncio.gather(*self._undoing, return_exceptions=True)

    # -- inside --------------------------------------------------------------------------------

    async def _begin(
        self,
        caller: Account,
        shown: Restore,
        job: FileJob | None,
        databases: Work | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> Running[Restore]:
        """Begin a restore of databases, of files, or of both."""
        work, also = databases, None
        if job is not None:
            work = partial(self._files.restore, caller, job, databases, shown)
            also = self._files.claim(caller, shown.backup, job)
        assert work is not None  # noqa: S101 - without databases there are files
        return await self._operations.start(
            caller,
            RESTORE,
            shown.backup,
            work,
            input={**(given or {}), "files": job.words() if job is not None else None},
            present=_without_password,
            also=also,
        )

    async def _task(
        self,
        driver: PgBackRest,
        target: Goal,
        id: str,
        names: Sequence[str],
        mark: str,
        *,
        whole: bool = False,
    ) -> Task:
        moves = moves_of(names, mark, utcnow())
        kept = self._cluster.kept_folder()
        body = NewRestore(databases=list(names))
        shown = await self._estimate.expected(id, driver, body, target, moves, kept, whole=whole)
        plan = self._beside.plan(driver.place)

        async def run(caller: Account, progress: Progress) -> Restore:
            return await self._restore(
                caller, driver, target, plan, moves, kept, mark, shown, progress
            )

        return Task(_given(mark, plan, moves, kept, body.mode), run)

    async def _finish(self, owner: str, progress: Progress) -> None:
        """Take the backup that a switch owes, however long it takes."""
        progress.enter(RestorePhase.BACKING_UP)
        await to_the_end(self._cluster.finish(owner))
        await progress.update(message=DONE)

    async def _restore(
        self,
        caller: Account,
        driver: PgBackRest,
        target: Goal,
        plan: Mapping[str, Any],
        moves: Sequence[Move],
        kept: Path,
        mark: str,
        shown: Restore,
        progress: Progress,
    ) -> Restore:
        begun = time.monotonic()
        left = None
        with self._beside.one_each(caller):
            progress.enter(RestorePhase.WAITING)
            async with self._beside.turn.of("another restore", progress):
                await progress.update(0.0, message="Restoring beside the cluster")
                await self._beside.check_room(driver.place, shown.bytes.side)
                if shown.mode == "side":
                    where: Mapping[str, str] = {}
                    names = tuple(each.name for each in moves)
                    left = await self._sides.restore(
                        driver, shown.backup, target, plan, names, progress
                    )
                elif moves:
                    await self._news.tell(caller, "restoring", shown)
                    where = await self._some(caller, driver, target, plan, moves, mark, progress)
                else:
                    source = target.source(driver)
                    before = await self._news.there()
                    await self._news.tell(caller, "restoring", shown)
                    await self._cluster.restore(driver, source, plan, kept, caller.id, progress)
                    where = {"cluster": str(kept)}
                    await self._news.tell_of_gone(before)
        seconds = round(time.monotonic() - begun, 3)
        made = shown.model_copy(update={"seconds": seconds, "kept": dict(where), "side": left})
        await self._news.tell(caller, "restored", made)
        return made

    async def _some(
        self,
        caller: Account,
        driver: PgBackRest,
        target: Goal,
        plan: Mapping[str, Any],
        moves: Sequence[Move],
        mark: str,
        progress: Progress,
    ) -> Mapping[str, str]:
        side = self._beside.at(driver.place, plan)
        switching = False
        loaded: Sequence[Loaded] = ()
        await self._databases.check(caller, moves)
        self._loading.add(mark)
        try:
            names = [each.name for each in moves]
            await some_databases.recover(
                self._beside, side, driver, target, names, progress.report, progress.enter
            )
            progress.enter(RestorePhase.LOADING)
            # Their own code runs then: in indexes, say.
            loaded = await self._beside.turn.while_alone(
                self._databases.load(caller, side.place, moves, mark, progress),
                self._archiving.settings.loading_seconds,
            )
            async with self._undisturbed(moves, progress):
                progress.enter(RestorePhase.SWITCHING)
                await progress.keep({"phase": RestorePhase.SWITCHING})
                switching = True
                return await to_the_end(self._databases.switch(loaded, mark, progress.enter))
        except BaseException as error:
            if progress.interrupted:
                raise
            folder = driver.place.data.parent
            full = isinstance(error, PlatformError) and await on_disk(partial(is_full, folder))
            if not await asyncio.shield(self._undo(moves, mark, switching)):
                if full:
                    # PostgreSQL may have told no more than that it is gone.
                    raise no_room(folder) from error
                raise
            # It was done when the answer was lost.
            return {each.move.name: each.move.kept for each in loaded if each.there}
        finally:
            self._loading.discard(mark)
            if not progress.interrupted:
                await asyncio.shield(side.discard())

    @asynccontextmanager
    async def _undisturbed(self, moves: Sequence[Move], progress: Progress) -> AsyncIterator[None]:
        """Keep pgBackRest, which is in there for a backup, out of what is renamed."""
        async with AsyncExitStack() as stack:
            if any(move.name == MAINTENANCE for move in moves):
                await progress.update(message="Waiting for a backup that is being taken")
                await stack.enter_async_context(self._taker.pause())
            yield

    async def _undo(self, moves: Sequence[Move], mark: str, switching: bool) -> bool:
        """Remove what was loaded, unless it is in its place already: whether it is."""
        undoing = asyncio.ensure_future(self._undone(moves, mark, switching))
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undoing.discard)
        done, _ = await asyncio.wait([undoing], timeout=UNDO_SECONDS)
        # PostgreSQL may be long in coming: what is left goes away when it does.
        return bool(done) and undoing.result()

    async def _undone(self, moves: Sequence[Move], mark: str, switching: bool) -> bool:
        while True:
            try:
                await self._archiving.cluster.need()
                return await self._databases.undo(moves, mark, switching=switching)
            except PlatformError as error:
                _log.warning("What a restore had loaded is not removed yet: %s", error)
            await asyncio.sleep(UNDO_PAUSE)


def _given(
    mark: str, plan: Mapping[str, Any], moves: Sequence[Move], kept: Path, mode: str
) -> dict[str, Any]:
    """Return what has to be known of a restore after a crash."""
    return {
        "mark": mark,
        "side": plan,
        "moves": [asdict(each) for each in moves],
        "kept": str(kept),
        "mode": mode,
    }


def _without_password(made: Restore) -> Any:
    """Return what is kept of a restore, and shown again."""
    shown = made.model_dump(mode="json")
    if shown["side"] is not None:
        shown["side"]["connection_url"] = None
    return shown
