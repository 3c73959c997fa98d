"""Restores the whole cluster: what was proved beside it takes its place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import Conflict, PlatformError, Unavailable
from ..operations.running import Progress
from ..store.types import utcnow
from ..system.schemas import Problem
from .archiving import Archiving
from .backup_taking import BackupTaker
from .beside import SIDE, Beside
from .connections import connected
from .marker import mark
from .owned_files import bytes_below, on_disk, remove_folders
from .pgbackrest import PgBackRest, tablespaces
from .phases import SWITCHES, Enter, RestorePhase
from .place import Place
from .processes import ProgramFailed, SystemUser
from .proof import Proof
from .side_cluster import SideCluster
from .sources import Source
from .steps import to_the_end

KEPT = "before-"
"""What the folders of replaced clusters begin with."""

END_SECONDS = 10.0
"""That sessions which are ended have for it."""

_log = logging.getLogger(__name__)

PENDING = Problem(
    service="backups",
    what="The cluster was restored, and no backup was taken since: only moments before can be "
    "restored from the ones there are.",
    cure="One is being taken, and tried again where that failed. At once: `pig backup create`.",
)


class ClusterRestore:
    """Replaces the cluster by a restored one, and keeps what was there."""

    def __init__(self, archiving: Archiving, beside: Beside, backups: BackupTaker) -> None:
        self._archiving = archiving
        self._beside = beside
        self._backups = backups

    def kept_folder(self) -> Path:
        """Return where the cluster of now would be kept."""
        return self._archiving.cluster.folder / f"{KEPT}{utcnow():%Y%m%d-%H%M%S}"

    async def restore(
        self,
        driver: PgBackRest,
        source: Source,
        plan: Mapping[str, Any],
        kept: Path,
        owner: str,
        progress: Progress,
    ) -> Proof:
        """Restore beside, prove, switch, and take a backup of what is there now.

        Raises
        ------
        InvalidRequest
            The archive does not reach the moment.
        Unavailable
            What is restored can't be trusted, or does not start: the cluster is as it was, unless
            it is said that it is not.
        """
        side = self._beside.at(driver.place, plan)
        try:
            proof = await side.recover(
                source,
                keep_wal=True,
                progress=progress.report,
                enter=progress.enter,
            )
            # A restore that began before another one ended may have taken the same number.
            if proof.timeline in await driver.archive.timelines(await driver.info()):
                raise Unavailable(
                    f"There is a timeline {proof.timeline} already.", "Restore again."
                )
            await progress.update(message="Waiting for a backup that is being taken")
            # A backup would be broken off, and one that begins now would be of both clusters.
            async with self._backups.pause():
                if await on_disk(kept.exists):
                    raise Conflict("folder", kept, f"{kept} is there already. Try again.")
                progress.enter(RestorePhase.SWITCHING)
                await progress.keep({"phase": RestorePhase.SWITCHING})
                await progress.update(message="Switching to the restored cluster")
                await to_the_end(
                    self._archiving.cluster.replace(
                        side.place.data,
                        kept,
                        partial(self._make_ready, driver, side, progress.enter),
                        progress.enter,
                    )
                )
        finally:
            if not progress.interrupted:
                await asyncio.shield(side.discard())
        progress.enter(RestorePhase.SWITCHED)
        await progress.keep({"phase": RestorePhase.SWITCHED})
        await progress.update(message="Taking a backup of the restored cluster")
        progress.enter(RestorePhase.BACKING_UP)
        await to_the_end(self.finish(owner))
        return proof

    async def finish(self, owner: str | None) -> None:
        """Take the backup from which moments after a switch can be restored; drop old clusters.

        Where it can't be taken the status says so: the switch is done all the same.
        """
        await self._archiving.complain(PENDING)
        try:
            await mark(await self._archiving.driver())
            await self._backups.take_now(owner)
        except PlatformError as error:
            _log.warning("The restored cluster has no backup yet: %s", error)
        try:
            place = await self._archiving.cluster.need()
            days = self._archiving.settings.keep_replaced_days
            await drop_old(place.data.parent, place.user, days)
        except (PlatformError, ProgramFailed, TimeoutError) as error:
            _log.warning("Clusters that were replaced long ago stay: %s", error)

    async def recover(self, plan: Mapping[str, Any], kept: Path, phase: object) -> bool:
        """Finish or undo what a crash interrupted; return whether the switch is done."""
        cluster = self._archiving.cluster
        switched = phase in SWITCHES and await on_disk(
            partial(_finish_swap, cluster.folder, str(plan["name"]), kept)
        )
        await self._beside.discard(await cluster.need(), plan)
        return switched

    # -- inside --------------------------------------------------------------------------------

    async def _make_ready(
        self, driver: PgBackRest, side: SideCluster, enter: Enter, place: Place
    ) -> None:
        """End all sessions, archive the last of what they wrote, and stop the restored cluster."""
        enter(RestorePhase.ENDING)
        async with connected(place) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                [int(END_SECONDS * 1000)],
            )
        enter(RestorePhase.ARCHIVING)
        await mark(driver)
        enter(RestorePhase.HANDING_OVER)
        await side.hand_over()


def _finish_swap(folder: Path, side: str, kept: Path) -> bool:
    """End a swap that a crash broke off; return whether it was begun."""
    live, new = folder / "data", folder / side / "data"
    if not kept.exists():
        return False
    if not live.exists():
        new.rename(live)
    return True


async def drop_old(folder: Path, user: SystemUser, days: int) -> None:
    """Remove clusters that were replaced long ago, with the tablespaces that only they have."""
    oldest = f"{KEPT}{utcnow() - timedelta(days=days):%Y%m%d-%H%M%S}"

    def empty(sides: Collection[Path]) -> None:
        for side in sides:
            with suppress(OSError):
                side.rmdir()

    for each, spaces in await on_disk(partial(_replaced, folder)):
        if each.name >= oldest:
            break
        # They are found by it: it goes last.
        await remove_folders(user, *spaces, each)
        await on_disk(partial(empty, {space.parent for space in spaces}))


async def replaced_bytes(folder: Path) -> int:
    """Return the bytes of clusters that were replaced, and of what only they have."""

    def add_up() -> int:
        kept = _replaced(folder)
        return bytes_below(*(each for each, _ in kept), *{s for _, spaces in kept for s in spaces})

    return await on_disk(add_up)


def _replaced(folder: Path) -> list[tuple[Path, set[Path]]]:
    """Return replaced clusters, oldest first, with the tablespaces that the live one has not."""
    live = _spaces(folder, folder / "data")
    kept = sorted(each for each in folder.glob(f"{KEPT}*") if not each.is_symlink())
    return [(each, _spaces(folder, each) - live) for each in kept]


def _spaces(folder: Path, data: Path) -> set[Path]:
    """Return where the tablespaces of a cluster are that was restored beside and swapped in."""
    found = set()
    with suppress(FileNotFoundError):
        for link in (data / "pg_tblspc").iterdir():
            space = link.readlink().parent
            side = space.parent
            # An administrator's own are left to them.
            if space == tablespaces(side / "data") and side.parent == folder:
                found.add(space)
    return {space for space in found if space.parent.name.startswith(SIDE)}
