"""What each role may do, and what a key with scopes opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .schemas import Account, Credential

_OWN = ("api-key:*", "user:password", "operation:*", "event:read", "system:read")

ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": ("*",),
    # Everything with what they own.
    "user": (*_OWN, "container:*", "image:*", "metrics:*"),
    # Makes, reads, changes and runs; deletes nothing.
    "operator": (
        *_OWN,
        "container:create",
        "container:read",
        "container:update",
        "container:start",
        "container:stop",
        "container:restart",
        "container:exec",
        "container:write",
        "image:read",
        "image:pull",
        "metrics:*",
    ),
    "viewer": (*_OWN, "container:read", "image:read", "metrics:read"),
}
"""Permissions by role, with ``*`` for all of a thing or all at all."""

NEVER_BY_SCOPE = frozenset({"api-key:create"})
"""A key that opens only a part could make itself one that opens the rest."""


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
