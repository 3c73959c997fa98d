"""Databases in snapshots: a moment, to which they can be restored.

A marker is written into the WAL and its segment archived: that is all, however large the databases
are. The same moment is good for the whole cluster, which an administrator restores, and for single
databases, which their owners do. Where the disk can share blocks, the whole cluster is copied so
instead: that takes as little, and is good without any backup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..accounts.schemas import Account
from ..errors import Conflict, Forbidden, InvalidRequest, PlatformError, Unavailable
from ..operations.running import Progress
from ..operations.schemas import Operation
from ..postgres.cluster_copy import COPIES, ClusterCopy, is_whole, remove_copy
from ..postgres.connections import connected
from ..postgres.marker import mark as write_marker
from ..postgres.owned_files import on_disk
from ..postgres.phases import Enter, unheard
from ..postgres.restore_plan import CopyTarget
from ..store.types import utcnow
from .parts import Freed, Kept
from .phases import SnapshotPhase
from .schemas import Group

if TYPE_CHECKING:
    from ..postgres.archiving import Archiving
    from ..postgres.backup_book import BackupBook
    from ..postgres.backup_taking import BackupTaker
    from ..postgres.backups import BackupManager
    from ..postgres.catalog import Catalog
    from ..postgres.claims import Claims
    from ..postgres.pgbackrest import PgBackRest
    from ..postgres.restores import RestoreManager
    from ..postgres.restores import Task as RestoreTask

CLUSTER = "cluster"
PREFIX = "database:"

COPY = "copy"
"""Among the facts of a cluster's part: the name of its copy, where there is one."""

REMOVED = "The backups that led to it were removed (BackupSettings.keep_days)."

SECOND = timedelta(seconds=1)

BACKUP = "backup"
"""In an operation's details: it has a backup taken, by the mark of what it keeps."""

TRIES = 5
PAUSE = 1.0
"""Seconds until a moment is looked for again: the end of a backup is known to the second."""


class DatabaseKeeper:
    """Keeps moments of databases."""

    group: ClassVar[Group] = "databases"

    def __init__(
        self,
        archiving: Archiving,
        taker: BackupTaker,
        restores: RestoreManager,
        catalog: Catalog,
        claims: Claims,
        backups: BackupManager,
        notes: BackupBook,
    ) -> None:
        self._archiving = archiving
        self._taker = taker
        self._restores = restores
        self._catalog = catalog
        self._claims = claims
        self._backups = backups
        self._notes = notes

    async def take(
        self,
        caller: Account,
        mark: str,
        progress: Progress,
        names: Sequence[str] | None = None,
        enter: Enter = unheard,
    ) -> Sequence[Kept]:
        """Keep this moment; where it can't be restored from any backup yet, one is taken first."""
        whole = caller.is_admin
        if names is not None:
            whole = CLUSTER in names
        wanted = {} if whole else await self._own(caller, names)
        if not (whole or wanted) or (names == []):
            return []
        try:
            cluster = self._archiving.cluster
        except Unavailable as error:
            return [Kept(CLUSTER, "cluster", reason=error.what)] if whole else _left(wanted, error)
        if not cluster.made:
            return [Kept(CLUSTER, "cluster", reason="No database was made yet.")] if whole else []
        if whole:
            enter(SnapshotPhase.COPYING)
            await progress.update(message="Copying the cluster, where its disk can share blocks")
            if (copied := await ClusterCopy(await cluster.need(), mark).take()) is not None:
                enter(SnapshotPhase.MEASURING)
                facts = {"moment": copied.moment.isoformat(), "timeline": copied.timeline}
                size = sum((await self._catalog.sizes()).values())
                return [Kept(CLUSTER, "cluster", size, facts={**facts, COPY: mark})]
        enter(SnapshotPhase.PREPARING)
        driver = await self._archiving.driver()
        for _ in range(TRIES):
            made = max(wanted.values(), default=None)
            await self._backed_up(driver, caller, made, mark, progress, enter)
            await progress.update(message="Keeping this moment of the databases")
            moment, timeline, labels = await self._moment(driver, made, enter)
            before, wanted = wanted, {} if whole else await self._own(caller, names)
            if wanted == before:
                break
            # One that came meanwhile may need a backup of its own, and one that went is not there.
        else:
            raise Unavailable(
                "This moment can't be kept: databases come and go all the time.", "Try again."
            )
        facts = {"moment": moment.isoformat(), "timeline": timeline, "backups": labels}
        enter(SnapshotPhase.MEASURING)
        sizes = await self._catalog.sizes()
        if whole:
            return [Kept(CLUSTER, "cluster", sum(sizes.values()), facts=facts)]
        return [
            Kept(f"{PREFIX}{name}", "database", sizes.get(name, 0), facts={**facts, "name": name})
            for name in wanted
        ]

    async def discard(
        self, owner: str, mark: str, parts: Sequence[Kept], operation: Operation | None = None
    ) -> Freed:
        """Remove a copy of the cluster; WAL is the backups', and goes away with them.

        A backup that was taken first stays: it is as good for others. Half a one does not.
        """
        if operation is not None and operation.details.get(BACKUP) == mark:
            await self._taker.tidy(mark)
        # Of a snapshot that is not whole nothing is known.
        copies = [str(part.facts[COPY]) for part in parts if COPY in part.facts]
        names = copies or ([] if parts else [mark])
        if not (names and self._archiving.has_cluster and self._archiving.cluster.made):
            return Freed()
        folder = self._archiving.cluster.folder
        return Freed(sum([await remove_copy(folder, name) for name in names]))

    async def gone(self, owner: str, parts: Sequence[Kept]) -> Sequence[str]:
        """Tell which copies are not there, and, by what is noted, what no backup leads to."""
        noted = {*await self._notes.all()} if parts else set[str]()
        found = []
        for part in parts:
            if COPY in part.facts:
                folder = self._archiving.cluster.folder
                there = await on_disk(partial(is_whole, folder, str(part.facts[COPY])))
                found.append("" if there else f"{folder / COPIES} has it no more.")
            else:
                # Later backups lead to no earlier moment: one of those that did has to be there.
                found.append("" if noted & {*part.facts["backups"]} else REMOVED)
        return found

    async def plan(self, caller: Account, parts: Sequence[Kept], mark: str) -> RestoreTask | None:
        """Return the restore of parts, to be written down before it begins.

        Raises
        ------
        Forbidden
            The cluster is to be restored by somebody who is no administrator.
        Conflict
            The moment can't be reached any more.
        Unavailable
            There is no room for it, or the repository is away.
        """
        if not parts:
            return None
        if any(part.kind == "cluster" for part in parts) and not caller.is_admin:
            raise Forbidden("Only an administrator restores the whole cluster.")
        names = [str(part.facts["name"]) for part in parts if part.kind == "database"]
        first = parts[0]
        moment, timeline = _moment(first), int(first.facts["timeline"])
        if COPY in first.facts:
            copy = CopyTarget(str(first.facts[COPY]), moment, timeline)
            return await self._restores.to_copy(copy, mark)
        try:
            return await self._restores.to_moment(moment, timeline, names, mark)
        except InvalidRequest as error:
            raise Conflict(
                "snapshot",
                first.name,
                f"{first.name} can't be restored any more: {error.message} Name the other parts.",
            ) from error

    # -- inside --------------------------------------------------------------------------------

    async def _own(self, caller: Account, names: Sequence[str] | None) -> Mapping[str, datetime]:
        """Return when the caller's databases were made, those of some parts or all."""
        return {
            each.name: each.created_at
            for each in (await self._claims.all()).values()
            if each.owner == caller.id
            and each.making is None
            and (names is None or f"{PREFIX}{each.name}" in names)
        }

    async def _backed_up(
        self,
        driver: PgBackRest,
        caller: Account,
        made: datetime | None,
        mark: str,
        progress: Progress,
        enter: Enter,
    ) -> None:
        """Take a backup where the newest one has not all of the databases.

        A single database can be restored from a backup that has it, not from one before it.

        Parameters
        ----------
        made
            When the last of them was.

        Raises
        ------
        RateLimited
            The caller had as many backups as may be within a day.
        """
        enter(SnapshotPhase.LOOKING)
        info = await driver.info()
        timeline = await _timeline(driver)
        usable = [each for each in info.backups if each.timeline == timeline]
        newest = max((each.start for each in usable), default=None)
        if newest is None or (made is not None and made > newest):
            await progress.update(message="Taking a backup first, which has all databases")
            if made is not None:
                # Of its begin only the second is known, which must not be that of the database.
                await asyncio.sleep((made + SECOND - utcnow()).total_seconds())
            enter(SnapshotPhase.BACKING_UP)
            # Its own phases are not to be taken for those of a restore.
            await progress.keep({**progress.operation.details, BACKUP: mark})
            await self._taker.take_now(caller.id, limited=caller, mark=mark)

    async def _moment(
        self, driver: PgBackRest, made: datetime | None, enter: Enter
    ) -> tuple[datetime, int, Sequence[str]]:
        """Return a moment of now that can be restored from a backup since `made`.

        With it come its timeline and the labels of the backups that lead there.
        """
        problem: PlatformError | None = None
        for _ in range(TRIES):
            enter(SnapshotPhase.MARKING)
            moment = await write_marker(driver)
            enter(SnapshotPhase.REACHING)
            timeline = await _timeline(driver)
            try:
                source, window = await driver.source(moment, timeline)
            except InvalidRequest as error:
                problem = error
            else:
                if made is None or source.start >= made:
                    # Those that were taken by hand are known from then on, too.
                    await self._backups.noted(driver)
                    return moment, timeline, window.backups
            await asyncio.sleep(PAUSE)
        why = problem or "no backup that has all databases leads to it yet."
        raise Unavailable(f"This moment can't be kept: {why}", "Try again.")


def _left(wanted: Mapping[str, Any], error: Unavailable) -> list[Kept]:
    return [Kept(f"{PREFIX}{name}", "database", reason=error.what) for name in wanted]


def _moment(part: Kept) -> datetime:
    return datetime.fromisoformat(part.facts["moment"])


async def _timeline(driver: PgBackRest) -> int:
    """Return the timeline that the cluster writes now."""
    async with connected(driver.place) as connection:
        cursor = await connection.execute(
            "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
        )
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - one row always
    return int(row[0])
