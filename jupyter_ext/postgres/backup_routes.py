"""Routes of backups."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Page, Route
from .backup_schemas import (
    Backup,
    BackupQuery,
    DeletedBackup,
    DeletedSide,
    NewBackup,
    NewRestore,
    Restore,
    SideCluster,
    SideQuery,
)
from .backups import BackupManager
from .restores import RestoreManager
from .side_restore import SideRestore

ALL = "/api/v1/backups"
ONE = f"{ALL}/{{id}}"

ROUTES = [
    Route(
        "GET",
        ALL,
        BackupManager.list,
        PIGLET,
        "backup:read",
        query=BackupQuery,
        result=Page[Backup],
        summary="Backups, and the moments to which they can be restored",
    ),
    Route(
        "POST",
        ALL,
        BackupManager.create,
        PIGLET,
        "backup:create",
        begun=BackupManager.made,
        body=NewBackup,
        result=Backup,
        status=201,
        summary="Take a backup",
    ),
    Route(
        "GET",
        ONE,
        BackupManager.get,
        PIGLET,
        "backup:read",
        result=Backup,
        summary="One backup",
    ),
    Route(
        "POST",
        f"{ONE}/verify",
        BackupManager.verify,
        PIGLET,
        "backup:create",
        begun=BackupManager.made,
        result=Backup,
        summary="Check a backup's files, and restore it beside the cluster as a test",
    ),
    Route(
        "POST",
        f"{ONE}/restore",
        RestoreManager.restore,
        PIGLET,
        "backup:restore",
        begun=RestoreManager.made,
        body=NewRestore,
        result=Restore,
        summary="Restore databases, or the whole cluster, to a moment; what was there is kept",
    ),
    Route(
        "DELETE",
        ONE,
        BackupManager.delete,
        PIGLET,
        "backup:delete",
        result=DeletedBackup,
        summary="Delete a backup on which no other depends",
    ),
    Route(
        "GET",
        "/api/v1/restores",
        SideRestore.list,
        PIGLET,
        "backup:restore",
        query=SideQuery,
        result=Page[SideCluster],
        summary="Restored clusters that were left beside the live one",
    ),
    Route(
        "DELETE",
        "/api/v1/restores/{id}",
        SideRestore.delete,
        PIGLET,
        "backup:restore",
        result=DeletedSide,
        summary="Stop and remove a restored cluster that was left beside",
    ),
]
FEEDS = [Feed("backups", BackupManager.feed, permission="backup:read")]
