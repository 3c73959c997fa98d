"""Numbers of long work."""

from __future__ import annotations

from sqlalchemy import func, select

from ..store.database import Store
from ..system.metrics import Metric
from .records import OperationRecord


async def operation_metrics(store: Store) -> list[Metric]:
    """Return how many operations of each kind are in which state."""
    kind, state = OperationRecord.kind, OperationRecord.state
    async with store.read() as session:
        rows = await session.execute(select(kind, state, func.count()).group_by(kind, state))
        samples = [((each[0], each[1]), float(each[2])) for each in rows]
    text = "Operations that are remembered, by kind and state"
    return [Metric("operations", text, ("kind", "state"), samples)]
