"""Restores of backups: to a moment, of some databases or the whole cluster."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from .backup_schemas import NewRestore, Restore, Sizes
from .backup_taking import BackupTaker
from .backups import BackupManager
from .beside import ROOM, Beside
from .catalog import Catalog
from .cluster_restore import ClusterRestore
from .database_restore import DatabaseRestore, Loaded
from .directory import Publisher
from .owned_files import is_full, no_room, on_disk
from .pgbackrest import PgBackRest
from .phases import SWITCHES, RestorePhase
from .restore_plan import (
    Move,
    Target,
    find_target,
    kept_moves,
    moves_of,
    wanted_databases,
)
from .side_restore import SideRestore
from .steps import to_the_end

if TYPE_CHECKING:
    from ..operations.manager import Operations

RESTORE = "backup.restore"

RATE = 100 << 20
"""Bytes a second: a guess of what a disk restores and proves, for the estimate alone."""

START_SECONDS = 3.0
"""For the start and the proof of a restored cluster, for the estimate alone."""

UNDO_SECONDS = 30.0
"""For which a restore that failed waits until what it loaded is gone."""

UNDO_PAUSE = 1.0

UNDONE = "The server stopped before anything was switched: all is as it was. Restore again."
DONE = "What was restored is in its place."

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
        catalog: Catalog,
        databases: DatabaseRestore,
        sides: SideRestore,
        operations: Operations,
        bus: Publisher,
    ) -> None:
        self._sides = sides
        self._archiving = archiving
        self._beside = beside
        self._backups = backups
        self._catalog = catalog
        self._databases = databases
        self._cluster = ClusterRestore(archiving, beside, taker)
        self._operations = operations
        self._bus = bus
        self._undoing: set[asyncio.Future[bool]] = set()
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
        names = wanted_databases(caller, known, body)
        if not body.dry_run:
            driver = await self._archiving.driver()
        target = await find_target(driver, known, body)
        since = await self._databases.made_since(driver, target, names)
        mark = new_id("restore")
        moves = moves_of(names, mark, utcnow())
        if body.mode == "in_place":
            await self._databases.check(caller, moves)
        kept = self._cluster.kept_folder()
        shown = await self._expected(id, driver, body, target, moves, kept, whole=bool(since))
        if body.dry_run:
            return shown
        await self._beside.check_room(driver.place, shown.bytes.side)
        plan = self._beside.plan(driver.place)
        return await self._operations.start(
            caller,
            RESTORE,
            id,
            partial(self._restore, caller, driver, target, plan, moves, kept, mark, shown),
            input=_given(mark, plan, moves, kept, body.mode),
            present=_without_password,
        )

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
        moves = moves_of(names, mark, utcnow())
        kept = self._cluster.kept_folder()
        body = NewRestore(target_time=moment, timeline=timeline, databases=list(names))
        id = await self._backups.id_of(backup)
        since = await self._databases.made_since(driver, target, names)
        shown = await self._expected(id, driver, body, target, moves, kept, whole=bool(since))
        plan = self._beside.plan(driver.place)

        async def run(caller: Account, progress: Progress) -> Restore:
            return await self._restore(
                caller, driver, target, plan, moves, kept, mark, shown, progress
            )

        return Task(_given(mark, plan, moves, kept, body.mode), run)

    async def made(self, caller: Account, kept: Mapping[str, Any]) -> Restore:
        """Return a restore that was made for a request before."""
        return Restore.model_validate(kept)

    async def recover(
        self, operation: Operation, given: Mapping[str, Any]
    ) -> str | Recovered | Resumed[None]:
        """Finish or undo what a crash interrupted."""
        moves = kept_moves(given)
        phase = operation.details.get("phase")
        async with self._beside.turn:
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

    async def stop(self) -> None:
        """Wait for nothing any more."""
        for undoing in tuple(self._undoing):
            undoing.cancel()
        await asyncio.gather(*self._undoing, return_exceptions=True)

    # -- inside --------------------------------------------------------------------------------

    async def _finish(self, owner: str, progress: Progress) -> None:
        """Take the backup that a switch owes, however long it takes."""
        progress.enter(RestorePhase.BACKING_UP)
        await to_the_end(self._cluster.finish(owner))
        await progress.update(message=DONE)

    async def _restore(
        self,
        caller: Account,
        driver: PgBackRest,
        target: Target,
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
            if self._beside.turn.locked():
                await progress.update(message="Waiting for its turn")
            async with self._beside.turn:
                await progress.update(0.0, message="Restoring beside the cluster")
                await self._beside.check_room(driver.place, shown.bytes.side)
                if shown.mode == "side":
                    where: Mapping[str, str] = {}
                    names = tuple(each.name for each in moves)
                    left = await self._sides.restore(
                        driver, shown.backup, target, plan, names, progress
                    )
                elif moves:
                    await self._tell(caller, "restoring", shown)
                    where = await self._some(caller, driver, target, plan, moves, mark, progress)
                else:
                    await self._tell(caller, "restoring", shown)
                    await self._cluster.restore(driver, target, plan, kept, caller.id, progress)
                    where = {"cluster": str(kept)}
        seconds = round(time.monotonic() - begun, 3)
        made = shown.model_copy(update={"seconds": seconds, "kept": dict(where), "side": left})
        await self._tell(caller, "restored", made)
        return made

    async def _some(
        self,
        caller: Account,
        driver: PgBackRest,
        target: Target,
        plan: Mapping[str, Any],
        moves: Sequence[Move],
        mark: str,
        progress: Progress,
    ) -> Mapping[str, str]:
        side = self._beside.at(driver.place, plan)
        switching = False
        loaded: Sequence[Loaded] = ()
        await self._databases.check(caller, moves)
        try:
            names = [each.name for each in moves]
            await some_databases.recover(
                self._beside, side, driver, target, names, progress.report, progress.enter
            )
            progress.enter(RestorePhase.LOADING)
            loaded = await self._databases.load(caller, side.place, moves, mark, progress)
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
            if not progress.interrupted:
                await asyncio.shield(side.discard())

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

    async def _expected(
        self,
        id: str,
        driver: PgBackRest,
        body: NewRestore,
        target: Target,
        moves: Sequence[Move],
        kept: Path,
        *,
        whole: bool,
    ) -> Restore:
        sizes = await self._catalog.sizes()
        size, live = target.backup.database_size, sum(sizes.values())
        if moves and not whole:
            # Only theirs are restored beside; then they are copied.
            known = sum(sizes.get(each.name, 0) for each in moves)
            size = min(size, known + live // 10 + (64 << 20)) if known else size
        keeping = sum(sizes.get(each.name, 0) for each in moves) if moves else live
        stays = {"cluster": str(kept)}
        if moves:
            stays = {each.name: each.kept for each in moves if each.name in sizes}
        if body.mode == "side":
            keeping, stays = 0, {}
        return Restore(
            backup=id,
            dry_run=body.dry_run,
            mode=body.mode,
            databases=[each.name for each in moves],
            target_time=target.moment,
            timeline=target.named_timeline,
            seconds=round(START_SECONDS + size * ROOM * (2 if moves else 1) / RATE, 1),
            bytes=Sizes(
                live=live,
                side=size,
                kept=keeping,
                free=await self._beside.free(driver.place),
            ),
            kept=stays,
        )

    async def _tell(self, caller: Account, event: str, shown: Restore) -> None:
        """Tell everybody whose sessions are ended why, each of what is theirs, and the caller."""
        theirs = {} if shown.mode == "side" else await self._databases.owners(shown.databases)
        for owner, names in {**theirs, caller.id: shown.databases}.items():
            data = {
                "event": event,
                "id": shown.backup,
                "databases": list(names),
                "target_time": shown.target_time.isoformat(),
            }
            self._bus.publish("backups", data, owner=owner, key=shown.backup)


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
