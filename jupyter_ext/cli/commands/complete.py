"""Names for the tab key, in shells and notebooks; a server that is slow or gone gives none."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import click

from ..session import Session

KEPT_SECONDS = 3.0

PLAIN = re.compile(r"[\w.][\w.@%+,:/-]*")
"""Names that mean themselves to a shell."""

_kept: dict[str, tuple[float, list[str]]] = {}


def _names(context: click.Context, kind: str, ask: Callable[[Session], list[str]]) -> list[str]:
    session = context.find_object(Session)
    if session is None:
        return []
    now = time.monotonic()
    until, names = _kept.get(kind, (0.0, []))
    if until > now:
        return names
    try:
        names = ask(session)
    except Exception:  # whatever is wrong, a key press must not print it
        names = []
    _kept[kind] = (now + KEPT_SECONDS, names)
    return names


def container_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of containers that begin with what is typed."""
    found = _names(context, "containers", lambda s: [c["name"] for c in s.client.containers.list()])
    return [name for name in found if name.startswith(incomplete)]


def image_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the tags of images that begin with what is typed."""
    found = _names(
        context,
        "images",
        lambda s: [tag for image in s.client.images.list() for tag in image.get("tags") or []],
    )
    return [name for name in found if name.startswith(incomplete)]


def database_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of databases that begin with what is typed.

    Shells put a name into the line as it is, so those that would have to be quoted are left out.
    """
    found = _names(context, "databases", lambda s: [d["name"] for d in s.client.databases.list()])
    return [name for name in found if name.startswith(incomplete) and PLAIN.fullmatch(name)]


def backup_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of backups that begin with what is typed."""
    found = _names(context, "backups", lambda s: [b["id"] for b in s.client.backups.list()])
    return [name for name in found if name.startswith(incomplete)]


def snapshot_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of snapshots that begin with what is typed, and need no quoting."""
    found = _names(context, "snapshots", lambda s: [d["name"] for d in s.client.snapshots.list()])
    return [name for name in found if name.startswith(incomplete) and PLAIN.fullmatch(name)]


def user_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of users that begin with what is typed."""
    found = _names(context, "users", lambda s: [u["username"] for u in s.client.users.list()])
    return [name for name in found if name.startswith(incomplete)]


def role_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of roles that begin with what is typed."""
    found = _names(context, "roles", lambda s: [r["name"] for r in s.client.roles.list()])
    return [name for name in found if name.startswith(incomplete)]


def device_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of devices that begin with what is typed."""
    found = _names(context, "devices", lambda s: [d["name"] for d in s.client.devices.list()])
    return [name for name in found if name.startswith(incomplete)]


def service_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of services that begin with what is typed."""
    found = _names(context, "services", lambda s: [x["name"] for x in s.client.services.list()])
    return [name for name in found if name.startswith(incomplete)]
