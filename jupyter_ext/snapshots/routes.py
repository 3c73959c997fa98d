"""Routes of snapshots."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Page, Route
from .manager import SnapshotManager
from .restores import SnapshotRestores
from .schemas import (
    DeletedSnapshot,
    NewSnapshot,
    NewSnapshotRestore,
    OwnerQuery,
    RestoredSnapshot,
    Snapshot,
    SnapshotQuery,
)

ALL = "/api/v1/snapshots"
ONE = f"{ALL}/{{name}}"

ROUTES = [
    Route(
        "GET",
        ALL,
        SnapshotManager.list,
        PIGLET,
        "snapshot:read",
        query=SnapshotQuery,
        result=Page[Snapshot],
        summary="Your snapshots, and what can be restored of them",
    ),
    Route(
        "POST",
        ALL,
        SnapshotManager.create,
        PIGLET,
        "snapshot:create",
        begun=SnapshotManager.made,
        body=NewSnapshot,
        result=Snapshot,
        status=201,
        summary="Keep your databases, notebook files and containers under one name",
    ),
    Route(
        "GET",
        ONE,
        SnapshotManager.get,
        PIGLET,
        "snapshot:read",
        query=OwnerQuery,
        result=Snapshot,
        summary="One snapshot",
    ),
    Route(
        "POST",
        f"{ONE}/restore",
        SnapshotRestores.restore,
        PIGLET,
        "snapshot:restore",
        begun=SnapshotRestores.made,
        body=NewSnapshotRestore,
        result=RestoredSnapshot,
        summary="Restore a snapshot, whole or in parts; what was there is kept as another",
    ),
    Route(
        "DELETE",
        ONE,
        SnapshotManager.delete,
        PIGLET,
        "snapshot:delete",
        begun=SnapshotManager.deleted,
        query=OwnerQuery,
        result=DeletedSnapshot,
        summary="Delete a snapshot, and tell what that frees",
    ),
]
FEEDS = [Feed("snapshots", SnapshotManager.feed, permission="snapshot:read")]
