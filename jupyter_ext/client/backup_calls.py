"""The calls about backups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .call import Call, OnProgress, given, path, text_of, thing
from .replies import bare
from .things import Page, Thing, page


def backup_list(*, limit: int | None = None, offset: int | None = None) -> Call[Page]:
    """List backups, newest first, each with the moments to which it can be restored."""
    return Call("GET", path("backups"), bare, page, {"limit": limit, "offset": offset})


def backup_get(id: str) -> Call[Thing]:
    """Tell of one backup."""
    return Call("GET", path("backups", id), bare, thing)


def backup_create(
    *,
    type: str | None = None,
    databases: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Take a backup.

    Parameters
    ----------
    type
        ``full``, ``incremental`` or ``differential``; the first one is full whatever is said.
    databases
        Those that it is for, which a restore brings back without being told more: yours, and for
        an administrator all.
    files
        Files and folders of your own notebook folder to be kept with it, as paths from there on;
        with these and no database (``databases=[]``) it is for them alone.
    progress
        Called at each step.
    """
    wanted = None if databases is None else list(databases)
    paths = None if files is None else list(files)
    body = given({}, {"type": type, "databases": wanted, "files": paths})
    return Call(
        "POST", path("backups"), bare, thing, body=body, long=True, once=True, progress=progress
    )


def backup_verify(id: str, *, progress: OnProgress | None = None) -> Call[Thing]:
    """Check a backup's files, and restore it beside the cluster as a test."""
    where = path("backups", id, "verify")
    return Call("POST", where, bare, thing, body={}, long=True, once=True, progress=progress)


def backup_restore(
    id: str,
    *,
    to: datetime | str | None = None,
    timeline: int | None = None,
    databases: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    side: bool = False,
    dry_run: bool = False,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Restore; `Backups.restore` tells of its parameters."""
    fields = {
        "target_time": None if to is None else text_of(to),
        "timeline": timeline,
        "databases": None if databases is None else list(databases),
        "files": None if files is None else list(files),
        "mode": "side" if side else None,
        "dry_run": dry_run or None,
    }
    return Call(
        "POST",
        path("backups", id, "restore"),
        bare,
        thing,
        body=given({}, fields),
        long=not dry_run,
        once=not dry_run,
        progress=progress,
    )


def backup_delete(id: str) -> Call[Thing]:
    """Delete a backup on which no other depends."""
    return Call("DELETE", path("backups", id), bare, thing)


def side_list(*, limit: int | None = None, offset: int | None = None) -> Call[Page]:
    """List restored clusters that were left beside the live one."""
    return Call("GET", path("restores"), bare, page, {"limit": limit, "offset": offset})


def side_delete(id: str) -> Call[Thing]:
    """Stop and remove a restored cluster that was left beside."""
    return Call("DELETE", path("restores", id), bare, thing)
