"""Everything about PostgreSQL, put together: what the application starts and stops."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..accounts.quota_ledger import QuotaLedger
from ..errors import PlatformError, Unavailable
from ..store.base import Fact
from ..store.database import Store, insert_for
from ..system.metrics import Metric
from ..system.schemas import Problem
from .access import DatabaseAccess
from .archiving import Archiving
from .backup_book import BackupBook
from .backup_files import KeepsFiles
from .backup_schedule import BackupSchedule
from .backup_settings import BackupSettings
from .backup_taking import BackupTaker
from .backups import BackupManager
from .beside import Beside
from .catalog import Catalog
from .claims import Claims
from .cloning import Cloner
from .cluster import Cluster
from .connections import Connections
from .database_restore import DatabaseRestore
from .databases import DatabaseManager
from .directory import DatabaseDirectory, Publisher
from .left_sides import LeftSides
from .making import DatabaseMaker
from .metrics import backup_metrics, database_metrics
from .place import Place
from .reconciling import forget_gone, reconcile
from .restore_estimate import Estimate
from .restored import settle
from .restores import RestoreManager
from .roles import Roles
from .servers import ForeignServer, OwnServer, Server
from .settings import PostgresSettings
from .side_restore import SideRestore
from .size_quota import SizeQuota
from .sizes import Sizes
from .spare import Spare

if TYPE_CHECKING:
    from ..containers.people import People
    from ..operations.manager import Operations

FACT = "postgres"
"""Of the store: the system identifier of the cluster whose databases it knows."""

_log = logging.getLogger(__name__)


class PostgresService:
    """Users' databases on one server.

    Parameters
    ----------
    folder
        What `JupyterExt.cluster_dir` says.

    Attributes
    ----------
    cluster
        The product's own; None where another server is used.
    """

    def __init__(
        self,
        store: Store,
        bus: Publisher,
        operations: Operations,
        people: People,
        quotas: QuotaLedger,
        settings: PostgresSettings,
        backup_settings: BackupSettings,
        *,
        home: Path,
        folder: str,
    ) -> None:
        self._store = store
        connections = Connections()
        self.cluster: Cluster | None = None
        self._server: Server
        if settings.url:
            self._server = ForeignServer(settings, connections, self._claim)
        else:
            self.cluster = Cluster(settings, home, folder, self._claim)
            self._server = OwnServer(self.cluster, connections, settings)
            self.cluster.on_start(self._reconcile)
        self._connections = connections
        self._spare = Spare(connections)
        self.catalog = self._catalog = Catalog(connections, self._spare)
        self.claims = self._claims = Claims(store, quotas)
        self._roles = Roles(store, connections, settings.connections_per_user)
        quota = SizeQuota(
            store, quotas, self._claims, connections, read_only=settings.over_quota_read_only
        )
        self._sizes = Sizes(
            self._catalog,
            self._claims,
            quota,
            settings.size_interval,
            lambda: self.probe()[0] == "running",
            self._tidy,
        )
        directory = DatabaseDirectory(
            self._server, self._catalog, self._claims, self._roles, self._sizes, people, bus
        )
        cloner = Cloner(self._catalog, connections, self._server.tools)
        self.databases = DatabaseManager(
            directory, self._server, self._catalog, self._claims, self._roles, self._sizes
        )
        self.maker = DatabaseMaker(
            directory,
            self._server,
            self._catalog,
            self._claims,
            self._roles,
            self._sizes,
            cloner,
            people,
            operations,
        )
        self.access = DatabaseAccess(
            self._server, self._catalog, self._claims, self._roles, self._sizes
        )
        self.archiving = Archiving(store, self.cluster, backup_settings)
        beside = Beside()
        self._left = LeftSides(store, beside)
        self.backup_book = book = BackupBook(store)
        self.taker = BackupTaker(self.archiving, beside, book, self._claims, bus)
        self.backups = BackupManager(
            self.archiving,
            beside,
            book,
            self._catalog,
            self._claims,
            people,
            operations,
            self.taker,
        )
        self.schedule = BackupSchedule(store, self.archiving, self.backups)
        self.sides = SideRestore(store, self.archiving, beside, self._roles)
        self.restores = RestoreManager(
            self.archiving,
            beside,
            self.backups,
            self.taker,
            Estimate(self._catalog, self._claims, beside),
            DatabaseRestore(
                self._catalog,
                self._claims,
                self._roles,
                cloner,
                people,
                self._sizes,
                backup_settings.keep_replaced_days,
            ),
            self.sides,
            operations,
            bus,
            directory,
        )
        self._task: asyncio.Task[None] | None = None

    def probe(self) -> tuple[str, Problem | None]:
        """Return the server's state and its problem, from memory."""
        return self._server.probe()

    @property
    def port(self) -> int | None:
        """Where it listens; None before it was made."""
        return self._server.address[1] or None

    async def metrics(self) -> list[Metric]:
        """Return the numbers of all databases."""
        running = self.probe()[0] == "running"
        return await database_metrics(self._sizes, self._connections, lambda: running)

    async def backup_metrics(self) -> list[Metric]:
        """Return the numbers of all backups."""
        running = self.probe()[0] == "running"
        state = self.archiving.probe()[0] if running else "off"
        return await backup_metrics(self._store, self._connections, state)

    def keep_files(self, keeper: KeepsFiles) -> None:
        """Let backups have files."""
        self.taker.keep_files(keeper)

    def start(self) -> None:
        """Start the cluster where one was made, in the background."""
        if self.cluster is not None:
            self.cluster.begin()
        else:
            self._task = asyncio.get_running_loop().create_task(self._begin())
        self._sizes.start()
        self.archiving.start()
        self.schedule.start()

    async def stop(self) -> None:
        """Let go of the server, which goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sizes.stop()
        await self.schedule.stop()
        await self.restores.stop()
        await self.archiving.stop()
        await self._spare.stop()
        await self._connections.close()
        if self.cluster is not None:
            await self.cluster.end()

    async def _begin(self) -> None:
        try:
            await self._server.ready()
            await reconcile(self._catalog, self._claims, self._roles)
        except PlatformError as error:
            _log.warning("%s", error)

    async def _tidy(self) -> None:
        """Forget what users dropped, and remove what nobody needs any more, or failures left."""
        await forget_gone(self._catalog, self._claims)
        await self.databases.drop_overdue()
        await self._server.tidy()
        if self.cluster is not None:
            await self._left.sweep(await self.cluster.need())

    async def _reconcile(self, place: Place) -> None:
        self._roles.forget()
        restored = self.cluster is not None and await self.cluster.is_closed(place)
        try:
            if restored:
                await settle(self._catalog, self._claims, self._roles)
            await reconcile(self._catalog, self._claims, self._roles)
            await self.restores.remove_left()
        except PlatformError as error:
            if restored:
                # Nobody is let in before.
                raise
            _log.warning("Databases and store could not be compared: %s", error)
        self._spare.start()

    async def _claim(self, identifier: str) -> None:
        """Write down whose databases the store knows.

        Raises
        ------
        Unavailable
            They are another cluster's, or the store lies in this one.
        """
        insert = insert_for(self._store.is_sqlite)(Fact)
        async with self._store.write() as session:
            if self.cluster is not None and not self._store.is_sqlite:
                from sqlalchemy import text

                row = await session.execute(
                    text("SELECT system_identifier::text FROM pg_control_system()")
                )
                if row.scalar() == identifier:
                    raise Unavailable(
                        "The store lies in the cluster of users' databases, which can be restored "
                        "to a moment before.",
                        "Keep it in another one (JupyterExt.store_url).",
                    )
            await session.execute(
                insert.values(name=FACT, value=identifier).on_conflict_do_nothing()
            )
            known = await session.scalar(select(Fact.value).where(Fact.name == FACT))
        if known != identifier:
            raise Unavailable(
                "The databases of this store lie in another cluster, of another server or home "
                "folder.",
                "Have all servers of the store use one PostgreSQL (PostgresSettings.url).",
            )
