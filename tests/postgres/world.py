"""A cluster with backups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyter_ext.postgres.pgbackrest import PgBackRest
from jupyter_ext.postgres.repository import Repository
from jupyter_ext.postgres.side_cluster import SideCluster
from jupyter_ext.postgres.sources import BackupSource
from tests.engines.desk_cluster import DeskCluster


@dataclass
class World:
    """A running cluster that archives into a repository."""

    cluster: DeskCluster
    backups: PgBackRest

    @property
    def repository(self) -> Path:
        """The repository's folder."""
        return self.backups.repository.path

    def sql(self, statement: str, database: str = "postgres") -> Any:
        """Run a statement on the cluster."""
        return self.cluster.sql(statement, database)

    def now(self) -> datetime:
        """Return the cluster's clock."""
        moment: datetime = self.sql("SELECT clock_timestamp()")[0]
        return moment

    def write(self, value: int) -> datetime:
        """Write a row, and return a moment after it was committed."""
        self.sql(f"INSERT INTO log VALUES ({value})")
        return self.now()

    def side(self, name: str = "side") -> SideCluster:
        """Return a place for a restored cluster."""
        folder = self.cluster.folder / name
        return SideCluster(self.cluster.place, folder, folder / "run", 5433)

    def rows(self, side: SideCluster) -> list[int]:
        """Return what a restored cluster's log holds."""
        rows: list[int] = self.cluster.sql("SELECT n FROM log ORDER BY n", place=side.place)
        return rows

    def start(self) -> None:
        """Start the cluster, archiving."""
        self.cluster.start(self.backups.archive_settings())

    async def restored(
        self, to: datetime | None, timeline: int | None = None, name: str = "side", **how: Any
    ) -> SideCluster:
        """Restore a moment beside, from the backup that fits."""
        side = self.side(name)
        if to is None:
            label = (await self.backups.info()).backups[-1].label
        else:
            source, window = await self.backups.source(to, timeline)
            label, timeline = source.label, window.timeline
        proof = await side.recover(BackupSource(self.backups, label, to, timeline), **how)
        assert "postgres" in proof.databases
        return side


async def world_in(cluster: DeskCluster, repository: Repository | None = None) -> World:
    """Start a cluster that archives, and prepare its repository."""
    where = repository or Repository(cluster.folder / "repository")
    backups = PgBackRest(cluster.place, where, cluster.folder / "pgbackrest")
    world = World(cluster, backups)
    world.start()
    world.sql("CREATE TABLE log (n int PRIMARY KEY)")
    await backups.create_stanza()
    return world
