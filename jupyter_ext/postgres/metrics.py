"""Numbers of databases and backups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import func, select

from ..store.database import Store
from ..store.types import utcnow
from ..system.metrics import Metric
from .connections import Connections
from .records import BackupRecord, DatabaseRecord, SideRecord
from .sizes import Sizes

CLIENTS = (
    "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' GROUP BY 1"
)


async def database_metrics(
    sizes: Sizes, connections: Connections, running: Callable[[], bool]
) -> list[Metric]:
    """Return how many databases there are, how large they are, and who is connected."""
    if not running():
        return []
    known = sizes.known()
    async with connections.use() as connection:
        rows = await (await connection.execute(CLIENTS)).fetchall()
    clients = [((str(state),), float(number)) for state, number in rows]
    total = float(sum(each.size for each in known.values()))
    return [
        Metric.one("databases", "Databases, PostgreSQL's own included", len(known)),
        Metric.one("databases_size_bytes", "Size of all databases when last measured", total),
        Metric("postgres_connections", "Connections to PostgreSQL", ("state",), clients),
    ]


ARCHIVER = (
    "SELECT archived_count::float8, failed_count::float8, "
    "extract(epoch FROM now() - last_archived_time)::float8 FROM pg_stat_archiver"
)


async def backup_metrics(store: Store, connections: Connections, state: str) -> list[Metric]:
    """Return how old the newest backup is, whether WAL is archived, and what restores have kept.

    Parameters
    ----------
    state
        Of archiving: off before the first backup.
    """
    async with store.read() as session:
        labels = list(await session.scalars(select(BackupRecord.label)))
        sides = await session.scalar(select(func.count()).select_from(SideRecord)) or 0
        until = DatabaseRecord.kept_until.is_not(None)
        kept = await session.scalar(select(func.count()).select_from(DatabaseRecord).where(until))
    found = [
        Metric.one("backups", "Backups that are kept", len(labels)),
        Metric.one("restores_beside", "Restored clusters that were left beside", sides),
        Metric.one("databases_kept", "Databases that restores replaced, and kept", kept or 0),
    ]
    if labels:
        age = (utcnow() - max(map(_begun, labels))).total_seconds()
        text = "Seconds since the newest backup began"
        found.append(Metric.one("backup_age_seconds", text, max(0.0, age)))
    if state == "off":
        return found
    text = "Whether WAL is archived as it should be"
    found.append(Metric.one("wal_archiving_up", text, state == "running"))
    async with connections.use() as connection:
        row = await (await connection.execute(ARCHIVER)).fetchone()
    if row is not None:
        texts = ("WAL files that were archived", "WAL files that could not be archived")
        found.append(Metric.one("wal_archived_files", texts[0], row[0]))
        found.append(Metric.one("wal_archive_failures", texts[1], row[1]))
        if row[2] is not None:
            text = "Seconds since a WAL file was archived"
            found.append(Metric.one("wal_archived_age_seconds", text, max(0.0, row[2])))
    return found


def _begun(label: str) -> datetime:
    """Return when a backup began: the last part of its label, in UTC (pgBackRest's user guide)."""
    moment = label.rpartition("_")[2].rstrip("FDI")
    return datetime.strptime(moment, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
