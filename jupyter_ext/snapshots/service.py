"""Everything about snapshots, put together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..postgres.directory import Publisher
from ..store.database import Store
from ..system.schemas import Problem
from .backup_files import BackupFiles
from .book import SnapshotBook
from .containers import ContainerKeeper
from .databases import DatabaseKeeper
from .files import FileKeeper
from .folders import Folders
from .manager import SnapshotManager
from .restic import PROGRAM
from .restores import SnapshotRestores
from .retention import Retention
from .settings import SnapshotSettings
from .vault import Vault

if TYPE_CHECKING:
    from ..containers.service import ContainerService
    from ..operations.manager import Operations
    from ..postgres.service import PostgresService


class SnapshotService:
    """Snapshots of users' workspaces.

    Parameters
    ----------
    notebook_root
        The folder that Jupyter serves; None where it serves none.
    home
        The folder of all state, which is in no snapshot.
    folder
        What `JupyterExt.cluster_dir` says.
    """

    def __init__(
        self,
        store: Store,
        bus: Publisher,
        operations: Operations,
        containers: ContainerService,
        postgres: PostgresService,
        settings: SnapshotSettings,
        *,
        notebook_root: Path | None,
        home: Path,
        folder: str,
    ) -> None:
        self._vault = vault = Vault(store, settings, home, folder)

        def own() -> Sequence[Path]:
            cluster = postgres.cluster
            made = [cluster.folder] if cluster is not None and cluster.made else []
            return [home, vault.folder, *made]

        book = SnapshotBook(store)
        databases = DatabaseKeeper(
            postgres.archiving,
            postgres.taker,
            postgres.restores,
            postgres.catalog,
            postgres.claims,
            postgres.backups,
            postgres.backup_book,
        )
        files = FileKeeper(vault, Folders(settings, notebook_root, own), settings)
        saved = ContainerKeeper(containers, book, store.secrets)
        people = containers.people
        self.manager = SnapshotManager(
            book, [databases, files, saved], settings, people, operations, bus
        )
        self._retention = Retention(book, self.manager, people, settings)
        self.restores = SnapshotRestores(
            book,
            self.manager,
            databases,
            files,
            saved,
            postgres.restores,
            people,
            operations,
            self._retention,
        )
        postgres.keep_files(BackupFiles(files, book, self.manager, self.restores, settings, people))

    def start(self) -> None:
        """Begin to look after what restores have kept."""
        self._retention.start()

    async def stop(self) -> None:
        """Look after it no more."""
        await self._retention.stop()

    async def forget(self, account: Account) -> None:
        """Remove the repository of somebody who goes, and has no snapshot any more."""
        await self._vault.remove(account.id)

    def probe(self) -> tuple[str, Problem | None]:
        """Return whether files can be kept."""
        return ("running" if shutil.which(PROGRAM) else "not_installed"), None
