"""Restores the whole cluster: what was proved beside it takes its place."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import Conflict, PlatformError, Unavailable
from ..operations.running import Progress
from ..store.types import utcnow
from ..system.schemas import Problem
from .archiving import Archiving
from .backup_settings import BackupSettings
from .backup_taking import BackupTaker
from .beside import Beside
from .connections import connected
from .marker import mark
from .owned_files import on_disk
from .pgbackrest import PgBackRest
from .phases import SWITCHES, Enter, RestorePhase
from .place import Place
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
            What is restored can't be trusted, or does not start: the cluster is as it was.
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
        await on_disk(partial(_drop_old, self._archiving.cluster.folder, self._archiving.settings))

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


def _drop_old(folder: Path, settings: BackupSettings) -> None:
    """Remove clusters that were replaced long ago."""
    days = timedelta(days=settings.keep_replaced_days)
    oldest = f"{KEPT}{utcnow() - days:%Y%m%d-%H%M%S}"
    for each in folder.glob(f"{KEPT}*"):
        if each.name < oldest:
            shutil.rmtree(each, ignore_errors=True)
