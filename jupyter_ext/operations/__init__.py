"""Long work: written down before it begins, and brought to an end even after a crash."""

from __future__ import annotations

from .idempotency import IdempotencyKeys, StoredReply
from .manager import Operations
from .running import Progress, Running
from .schemas import Operation, OperationQuery, Recovered, jsonable

__all__ = [
    "IdempotencyKeys",
    "Operation",
    "OperationQuery",
    "Operations",
    "Progress",
    "Recovered",
    "Running",
    "StoredReply",
    "jsonable",
]
