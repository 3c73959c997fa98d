"""What each role may do, and what a key with scopes opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .schemas import Account, Credential

PERMISSIONS: Mapping[str, Mapping[str, str]] = {
    "container": {
        "create": "Make containers",
        "read": "See containers, their logs and files",
        "start": "Start containers",
        "stop": "Stop containers",
        "restart": "Restart containers",
        "update": "Change the limits of containers",
        "exec": "Run commands in containers",
        "write": "Put files into containers",
        "delete": "Delete containers",
    },
    "image": {
        "read": "See images",
        "pull": "Pull images",
        "create": "Save containers as images",
        "build": "Build the notebook image, everybody's",
        "share": "Share images with others",
        "delete": "Delete images",
    },
    "metrics": {"read": "See what things use"},
    "gpu": {"read": "See GPUs and who holds them"},
    "device": {
        "create": "Add devices",
        "read": "See devices",
        "update": "Change and drain devices",
        "delete": "Remove devices",
    },
    "vm": {
        "create": "Make virtual machines",
        "read": "See virtual machines",
        "start": "Start virtual machines",
        "stop": "Stop virtual machines",
        "update": "Change virtual machines",
        "console": "Open consoles of virtual machines",
        "snapshot": "Make and restore snapshots of virtual machines",
        "bridge": "Put virtual machines on the host's network",
        "delete": "Delete virtual machines",
    },
    "database": {
        "create": "Make databases",
        "read": "See databases",
        "connect": "Connect to databases, with one's own password",
        "delete": "Delete databases",
    },
    "backup": {
        "create": "Make backups",
        "read": "See backups",
        "restore": "Restore backups",
        "delete": "Delete backups",
    },
    "snapshot": {
        "create": "Make snapshots",
        "read": "See snapshots",
        "restore": "Restore snapshots",
        "delete": "Delete snapshots",
    },
    "service": {
        "read": "See services",
        "logs": "Read services' logs, in which others' doings are",
        "control": "Start, stop and restart services",
        "open": "Open the editor, which runs commands as this server",
    },
    "datasource": {
        "create": "Add data sources",
        "read": "See data sources and their metadata",
        "update": "Change and test data sources",
        "delete": "Delete data sources",
    },
    "task": {
        "create": "Make collection tasks",
        "read": "See tasks and their runs",
        "update": "Change tasks",
        "run": "Start, stop and run tasks",
        "delete": "Delete tasks",
    },
    "template": {
        "create": "Make templates",
        "read": "See templates",
        "update": "Change templates",
        "delete": "Delete templates",
    },
    "webhook": {
        "create": "Add webhooks",
        "read": "See webhooks and their deliveries",
        "delete": "Delete webhooks",
    },
    "user": {
        "create": "Add and invite users",
        "read": "See users, roles and permissions",
        "update": "Change users",
        "password": "Change one's own password",
        "delete": "Delete users",
    },
    "role": {
        "create": "Make roles",
        "update": "Change roles",
        "delete": "Delete roles",
    },
    "api-key": {
        "create": "Make API keys",
        "read": "See one's API keys",
        "delete": "Revoke one's API keys",
    },
    "quota": {"read": "See quotas", "update": "Set quotas"},
    "audit": {"read": "Read who did what"},
    "operation": {"read": "See long work", "cancel": "Cancel long work"},
    "event": {"read": "Follow events"},
    "system": {"read": "See the state of the system", "admin": "Change the system's settings"},
}
"""Every permission, by what it is about; the route table names no other."""

_OWN = (
    "api-key:*",
    "user:password",
    "operation:*",
    "event:read",
    "system:read",
    "gpu:read",
    "device:read",
)
_THINGS = (
    "container",
    "image",
    "vm",
    "database",
    "backup",
    "snapshot",
    "datasource",
    "task",
    "template",
)
_GUARDED = ("vm:bridge", "image:build")
"""What an administrator grants by name."""


def _acts(*never: str) -> tuple[str, ...]:
    """Return what can be done with the things that people make, but for some acts."""
    return tuple(
        f"{thing}:{act}"
        for thing in _THINGS
        for act in PERMISSIONS[thing]
        if act not in never and f"{thing}:{act}" not in _GUARDED
    )


ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": ("*",),
    # Everything with what they own.
    "user": (*_OWN, *_acts(), "metrics:*", "webhook:*", "service:read"),
    # Makes, reads, changes and runs; deletes nothing.
    "operator": (*_OWN, *_acts("delete"), "metrics:*", "webhook:read", "service:read"),
    "viewer": (
        *_OWN,
        *(f"{thing}:read" for thing in _THINGS),
        "metrics:read",
        "webhook:read",
        "service:read",
    ),
}
"""Permissions of the roles that are always there, with ``*`` for all of a thing or all at all."""

DESCRIPTIONS: Mapping[str, str] = {
    "admin": "Does everything, with everybody's things",
    "operator": "Makes, changes and runs; deletes nothing",
    "user": "Does everything with their own things",
    "viewer": "Looks at their own things",
}

NEVER_BY_SCOPE = frozenset({"api-key:create", "user:password"})
"""A key that opens only a part could make itself a credential that opens the rest."""


ADMINISTRATORS_ONLY = frozenset(
    {
        "user:create",
        "user:update",
        "user:delete",
        "role:create",
        "role:update",
        "role:delete",
        "quota:update",
        "system:admin",
        # Containers of everybody run on what is added, with the secrets in them.
        "device:create",
        "device:update",
        "device:delete",
        # An editor with a terminal, as the user who owns the store and its key.
        "service:open",
    }
)
"""Whoever could do these could make themselves an administrator, so they come with that role."""


def grant_problem(permission: str) -> str | None:
    """Say why a permission, or ``thing:*``, can't be granted; None where it can."""
    thing, _, act = permission.partition(":")
    if thing not in PERMISSIONS or (act != "*" and act not in PERMISSIONS[thing]):
        return f"{permission!r} does not exist; see GET /api/v1/permissions"
    acts = PERMISSIONS[thing] if act == "*" else (act,)
    guarded = [f"{thing}:{each}" for each in acts if f"{thing}:{each}" in ADMINISTRATORS_ONLY]
    return f"{guarded[0]!r} comes with the role admin only" if guarded else None


def allowed(credential: Credential, permission: str | None) -> bool:
    """Whether a credential opens a permission; None is what every account may do."""
    account = credential.account
    if account is None or not account.enabled:
        return False
    if permission is None:
        return True
    if credential.scopes is not None and (
        permission in NEVER_BY_SCOPE or not _opens(credential.scopes, permission)
    ):
        return False
    return may(account, permission)


def may(account: Account, permission: str) -> bool:
    """Whether an account's role, or what it was granted beside it, opens a permission."""
    return _opens(ROLES.get(account.role, ()), permission) or _opens(
        account.permissions, permission
    )


def _opens(granted: Iterable[str], permission: str) -> bool:
    thing = permission.partition(":")[0]
    return any(name in ("*", permission, f"{thing}:*") for name in granted)
