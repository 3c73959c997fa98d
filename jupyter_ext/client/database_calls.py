"""The calls about databases."""

from __future__ import annotations

from collections.abc import Sequence

from .call import Call, OnProgress, given, path, thing
from .replies import bare
from .things import Page, Thing, page


def database_list(
    *, fresh: bool | None = None, limit: int | None = None, offset: int | None = None
) -> Call[Page]:
    """List the databases that you may use; an administrator's are all.

    Parameters
    ----------
    fresh
        Measure their sizes now.
    """
    query = {"fresh": fresh, "limit": limit, "offset": offset}
    return Call("GET", path("databases"), bare, page, query)


def database_get(name: str) -> Call[Thing]:
    """Tell of one database."""
    return Call("GET", path("databases", name), bare, thing)


def database_create(
    name: str,
    *,
    owner: str | None = None,
    template: str | None = None,
    extensions: Sequence[str] | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Make a database; `Databases.create` tells of its parameters."""
    wanted = None if extensions is None else list(extensions)
    fields = {"owner": owner, "template": template, "extensions": wanted}
    return Call(
        "POST",
        path("databases"),
        bare,
        thing,
        body=given({"name": name}, fields),
        long=True,
        once=True,
        progress=progress,
    )


def database_clone(
    name: str,
    new_name: str,
    *,
    schema_only: bool | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Make a database with the content of another, whose owner it gets.

    Parameters
    ----------
    schema_only
        Its tables without their rows.
    progress
        Called at each step.
    """
    body = given({"name": new_name}, {"schema_only": schema_only})
    where = path("databases", name, "clone")
    return Call("POST", where, bare, thing, body=body, long=True, once=True, progress=progress)


def database_delete(name: str, *, force: bool | None = None) -> Call[Thing]:
    """Delete a database with all that is in it.

    Parameters
    ----------
    force
        End the sessions that are in it; without, one with sessions stays.
    """
    return Call("DELETE", path("databases", name), bare, thing, {"force": force})


def database_connection(name: str) -> Call[Thing]:
    """Tell how you connect to a database: `url`, `host`, `port`, `database`, `user`, `password`."""
    return Call("GET", path("databases", name, "connection"), bare, thing)
