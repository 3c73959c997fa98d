"""Numbers of snapshots."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from ..store.database import Store
from ..system.metrics import Metric
from .book import BEFORE, WHOLE
from .parts import Kept
from .records import SnapshotRecord


async def snapshot_metrics(store: Store) -> list[Metric]:
    """Return how many snapshots there are, and what they take up."""
    query = select(SnapshotRecord.state, SnapshotRecord.parts)
    async with store.read() as session:
        rows = (await session.execute(query.where(SnapshotRecord.state.in_(WHOLE)))).all()
    kinds = Counter("restore" if state == BEFORE else "user" for state, _ in rows)
    stored = sum(Kept.read(words).stored for _, parts in rows for words in parts)
    taken = [((kind,), float(kinds[kind])) for kind in ("user", "restore")]
    return [
        Metric("snapshots", "Snapshots, by who took them", ("taken_by",), taken),
        Metric.one("snapshots_stored_bytes", "Bytes that snapshots take up themselves", stored),
    ]
