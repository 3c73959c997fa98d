"""The calls about snapshots, and their groups."""

from __future__ import annotations

from collections.abc import Sequence

from .call import Call, OnProgress, given, path, thing
from .groups import AsyncGroup, AsyncMethod, Group, Method
from .replies import bare
from .things import Page, Thing, page


def snapshot_list(
    *, owner: str | None = None, limit: int | None = None, offset: int | None = None
) -> Call[Page]:
    """List your snapshots, newest first.

    Parameters
    ----------
    owner
        Another user, for administrators.
    """
    query = {"owner": owner, "limit": limit, "offset": offset}
    return Call("GET", path("snapshots"), bare, page, query)


def snapshot_get(name: str, *, owner: str | None = None) -> Call[Thing]:
    """Tell of one snapshot."""
    return Call("GET", path("snapshots", name), bare, thing, {"owner": owner})


def snapshot_create(
    name: str,
    *,
    description: str | None = None,
    parts: Sequence[str] | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Keep your databases, notebook files and containers under one name.

    Parameters
    ----------
    parts
        Of ``databases``, ``files``, ``containers``; all by default.
    progress
        Called at each step.
    """
    wanted = None if parts is None else list(parts)
    body = given({"name": name}, {"description": description, "parts": wanted})
    where = path("snapshots")
    return Call("POST", where, bare, thing, body=body, long=True, once=True, progress=progress)


def snapshot_restore(
    name: str, *, parts: Sequence[str] | None = None, progress: OnProgress | None = None
) -> Call[Thing]:
    """Restore a snapshot; what was there becomes another, which `kept` names.

    Parameters
    ----------
    parts
        Names of its parts, or ``databases``, ``files``, ``containers`` for all of a kind; all by
        default.
    progress
        Called at each step.
    """
    body = given({}, {"parts": None if parts is None else list(parts)})
    where = path("snapshots", name, "restore")
    return Call("POST", where, bare, thing, body=body, long=True, once=True, progress=progress)


def snapshot_delete(
    name: str, *, owner: str | None = None, progress: OnProgress | None = None
) -> Call[Thing]:
    """Delete a snapshot; `freed_bytes` tells what that frees.

    Parameters
    ----------
    owner
        Another user, for administrators.
    """
    where = path("snapshots", name)
    return Call("DELETE", where, bare, thing, {"owner": owner}, long=True, progress=progress)


class Snapshots(Group):
    """Snapshots of your workspace."""

    list = Method(snapshot_list)
    get = Method(snapshot_get)
    create = Method(snapshot_create)
    restore = Method(snapshot_restore)
    delete = Method(snapshot_delete)


class AsyncSnapshots(AsyncGroup):
    """Snapshots of your workspace."""

    list = AsyncMethod(snapshot_list)
    get = AsyncMethod(snapshot_get)
    create = AsyncMethod(snapshot_create)
    restore = AsyncMethod(snapshot_restore)
    delete = AsyncMethod(snapshot_delete)
