"""Keeps the cluster's WAL going to the repository, once there are to be backups."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import delete, select

from ..errors import PlatformError, Unavailable
from ..store.base import Fact
from ..store.database import Store, insert_for
from ..system.schemas import Problem
from .backup_settings import BackupSettings
from .cluster import Cluster
from .owned_files import on_disk
from .pgbackrest import PgBackRest
from .place import Place

FACT = "backups.passphrase"
"""Of the store's facts: the encrypted passphrase of the repository."""

STANDING = "backups.problem"
"""Of the store's facts: what is to be told of backups until one is taken."""

FOLDER = "pgbackrest"
"""In the cluster's folder: pgBackRest's configuration, log and locks."""

NOT_YET = {"archive_mode": "on", "archive_command": "/bin/true", "wal_level": "replica"}
"""Before the first backup WAL is of no use. The mode can't be changed without a restart; how, see
"Setting Up WAL Archiving" in PostgreSQL's documentation."""

_log = logging.getLogger(__name__)


class Archiving:
    """The way from the cluster to its repository.

    Parameters
    ----------
    cluster
        None where somebody else runs the server.
    """

    def __init__(self, store: Store, cluster: Cluster | None, settings: BackupSettings) -> None:
        self._store = store
        self._cluster = cluster
        self.settings = settings
        self._preparing = asyncio.Lock()
        self._driver: PgBackRest | None = None
        self._prepared = False
        self._problem: Problem | None = None
        self._standing: Problem | None = None
        self._watching: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        if cluster is not None:
            cluster.ask_for_settings(self._settings_of)
            cluster.on_start(self._started)

    @property
    def cluster(self) -> Cluster:
        """What is backed up.

        Raises
        ------
        Unavailable
            It is somebody else's.
        """
        if self._cluster is None:
            raise Unavailable(
                "Backups need the disk of the databases' server, which PostgresSettings.url does "
                "not open.",
                "Back that server up where it runs, or have the product run a cluster of its own "
                "(no PostgresSettings.url).",
            )
        return self._cluster

    def probe(self) -> tuple[str, Problem | None]:
        """Return the state of archiving and its problem, from memory."""
        if (problem := self._problem or self._standing) is not None:
            return "failed", problem
        return ("running" if self._prepared else "off"), None

    @property
    def has_cluster(self) -> bool:
        """Whether there may be backups at all: the cluster is the product's own."""
        return self._cluster is not None

    @property
    def owes(self) -> bool:
        """Whether the last that was heard of backups is that one could not be taken, or is due."""
        return self._standing is not None

    async def complain(self, problem: Problem | None) -> None:
        """Show a problem in the status until a backup is taken, also after a restart."""
        if problem is None and self._standing is None:
            return
        self._standing = problem
        insert = insert_for(self._store.is_sqlite)(Fact)
        async with self._store.write() as session:
            await session.execute(delete(Fact).where(Fact.name == STANDING))
            if problem is not None:
                await session.execute(insert.values(name=STANDING, value=problem.model_dump_json()))

    async def remember(self) -> None:
        """Read what stands from the store."""
        async with self._store.read() as session:
            kept = await session.scalar(select(Fact.value).where(Fact.name == STANDING))
        if kept is not None and self._standing is None:
            self._standing = Problem.model_validate_json(kept)

    def start(self) -> None:
        """Begin to watch."""
        if self._watching is None and self._cluster is not None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Watch no more; the cluster archives all the same."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def existing(self) -> PgBackRest | None:
        """Return the driver where there were ever to be backups.

        Raises
        ------
        Unavailable
            There were, and pgBackRest or the cluster is away.
        """
        if not self.cluster.made:
            return None
        driver = await self._driver_of(await self.cluster.need())
        return driver if await on_disk(lambda: driver.prepared) else None

    async def driver(self) -> PgBackRest:
        """Return the driver, with archiving at work: the first call begins it.

        Raises
        ------
        Unavailable
            The server is somebody else's; pgBackRest is not there, or its version does not fit; the
            cluster is away; the repository can't be written.
        """
        place = await self.cluster.need()
        async with self._preparing:
            driver = await self._driver_of(place)
            if not self._prepared:
                await driver.check_versions()
                await self._prepare(driver)
                self._prepared = True
                self._look.set()
            return driver

    # -- inside --------------------------------------------------------------------------------

    async def _prepare(self, driver: PgBackRest) -> None:
        """Begin to archive; where that fails the first time, WAL is not kept for it."""
        first = not await on_disk(lambda: driver.prepared)
        try:
            await driver.create_stanza()
            await self.cluster.reload()
            await driver.check()
        except BaseException:
            if first:
                await on_disk(driver.unprepare)
                await asyncio.shield(self.cluster.reload())
            raise

    async def _driver_of(self, place: Place) -> PgBackRest:
        # The port may be another one after each start.
        if self._driver is None or self._driver.place != place:
            folder = place.data.parent
            repository = self.settings.place(folder, await self._passphrase())
            self._driver = PgBackRest(place, repository, folder / FOLDER)
            self._prepared = False
        return self._driver

    async def _passphrase(self) -> str:
        if not self.settings.encrypted:
            return ""
        fresh = self._store.secrets.encrypt(secrets.token_urlsafe(48))
        insert = insert_for(self._store.is_sqlite)(Fact)
        async with self._store.write() as session:
            await session.execute(insert.values(name=FACT, value=fresh).on_conflict_do_nothing())
            kept = await session.scalar(select(Fact.value).where(Fact.name == FACT))
        return self._store.secrets.decrypt(str(kept))

    async def _settings_of(self, place: Place) -> Mapping[str, str]:
        """Return what the cluster is to be configured with."""
        try:
            driver = await self._driver_of(place)
            if not await on_disk(lambda: driver.prepared):
                return NOT_YET
            await driver.configure()
            return driver.archive_settings()
        except PlatformError as error:
            # With an empty command WAL waits until it can be archived: no moment is lost.
            self._problem = _problem(error)
            return NOT_YET | {"archive_command": ""}

    async def _started(self, place: Place) -> None:
        self._prepared = False
        self._look.set()

    async def _watch(self) -> None:
        remembered = False
        while True:
            try:
                self._look.clear()
                if not remembered:
                    await self.remember()
                    remembered = True
                if self._cluster is not None and self._cluster.process is not None:
                    await self._examine()
            except PlatformError as error:
                self._problem = _problem(error)
            except Exception:
                _log.exception("The archive could not be looked after")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self.settings.watch_interval)

    async def _examine(self) -> None:
        driver = await self.existing()
        if driver is None:
            return
        if not self._prepared:
            await self.driver()
        status = await driver.archive_status()
        self._problem = None
        if status.failing:
            self._problem = Problem(
                service="backups",
                what=f"The databases' WAL does not reach the backups: {status.reason} "
                f"{status.waiting} segments wait.",
                cure="Mend it soon: what waits fills the disk, and can't be restored to.",
            )


def _problem(error: PlatformError) -> Problem:
    what = getattr(error, "what", error.message)
    return Problem(service="backups", what=what, cure=getattr(error, "cure", ""))
