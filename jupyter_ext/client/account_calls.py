"""The calls about people: their keys, what they may have, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from .call import Call, given, nothing, path, text_of, thing
from .replies import bare, data
from .things import Page, Thing, page


def who_am_i() -> Call[Thing]:
    """Tell whose credential this is: ``id``, ``username``, ``role``."""
    return Call("GET", path("currentUser"), bare, lambda found: thing(found["user"]))


# -- API keys -------------------------------------------------------------------------------------


def api_key_list(*, owner: str | None = None) -> Call[Page]:
    """List your API keys, which never show themselves again; an administrator's are everybody's.

    Parameters
    ----------
    owner
        Only the keys of this user.
    """
    return Call("GET", path("api-keys"), bare, page, {"limit": 1000, "owner": owner})


def api_key_create(
    name: str,
    *,
    expires_at: datetime | str | None = None,
    scopes: Sequence[str] | None = None,
    owner: str | None = None,
) -> Call[Thing]:
    """Make an API key; ``.key`` is shown this once. Administrators may name another `owner`."""
    expiry = text_of(expires_at) if expires_at is not None else None
    fields = {
        "name": name,
        "expires_at": expiry,
        "scopes": list(scopes) if scopes else None,
        "owner": owner,
    }
    return Call("POST", path("api-keys"), bare, thing, body=given(None, fields))


def api_key_revoke(ref: str) -> Call[None]:
    """End an API key."""
    return Call("DELETE", path("api-keys", ref), bare, nothing)


# -- users ----------------------------------------------------------------------------------------


def user_list(*, role: str | None = None, enabled: bool | None = None) -> Call[Page]:
    """List the accounts, newest first (the administrator's)."""
    status = None if enabled is None else "active" if enabled else "disabled"
    return Call("GET", path("users"), bare, page, {"limit": 1000, "role": role, "status": status})


def user_get(username: str) -> Call[Thing]:
    """Tell of one account: your own, or anybody's as an administrator."""
    return Call("GET", path("users", username), bare, thing)


def user_create(
    username: str,
    password: str,
    *,
    role: str | None = None,
    email: str | None = None,
    databases: Sequence[str] | None = None,
    **more: Any,
) -> Call[Thing]:
    """Make an account (the administrator's).

    Parameters
    ----------
    databases
        That are there, and that they may use.
    """
    fields = {"username": username, "password": password, "role": role, "email": email, **more}
    fields["databases"] = None if databases is None else list(databases)
    return Call("POST", path("users"), bare, thing, body=given(None, fields))


def user_update(
    username: str,
    *,
    role: str | None = None,
    enabled: bool | None = None,
    email: str | None = None,
    permissions: Sequence[str] | None = None,
) -> Call[Thing]:
    """Change an account; what is left out stays (only `email` without being an administrator)."""
    fields = {
        "role": role,
        "enabled": enabled,
        "email": email,
        "permissions": None if permissions is None else list(permissions),
    }
    return Call("PUT", path("users", username), bare, thing, body=given(None, fields))


def user_delete(
    username: str, *, transfer_to: str | None = None, purge: bool | None = None
) -> Call[None]:
    """Delete an account (the administrator's); one that owns something is refused without a word.

    Parameters
    ----------
    transfer_to
        Whom to give what it owns.
    purge
        Delete what it owns.
    """
    query = {"transfer_to": transfer_to, "purge": purge}
    return Call("DELETE", path("users", username), bare, nothing, query)


def user_set_password(username: str, password: str) -> Call[None]:
    """Give an account a new password, which ends its logins."""
    where = path("users", username, "password")
    return Call("PUT", where, bare, nothing, body={"password": password})


# -- roles ----------------------------------------------------------------------------------------


def role_list() -> Call[Page]:
    """List the roles, those that are always there first."""
    return Call("GET", path("roles"), data, page)


def role_permissions() -> Call[Page]:
    """List every permission that a role may have."""
    return Call("GET", path("permissions"), data, page)


def role_create(
    name: str, permissions: Sequence[str], *, description: str | None = None
) -> Call[Thing]:
    """Make a role of permissions such as ``container:read`` and ``image:*``."""
    fields = {"name": name, "permissions": list(permissions), "description": description}
    return Call("POST", path("roles"), bare, thing, body=given(None, fields))


def role_update(
    name: str, *, permissions: Sequence[str] | None = None, description: str | None = None
) -> Call[Thing]:
    """Change a role for everybody who has it; what is left out stays."""
    granted = None if permissions is None else list(permissions)
    body = given(None, {"permissions": granted, "description": description})
    return Call("PUT", path("roles", name), bare, thing, body=body)


def role_delete(name: str) -> Call[None]:
    """Delete a role that nobody has."""
    return Call("DELETE", path("roles", name), bare, nothing)


# -- invitations ----------------------------------------------------------------------------------


def invitation_list() -> Call[Page]:
    """List invitations, newest first; their codes are never shown again."""
    return Call("GET", path("invitations"), bare, page, {"limit": 1000})


def invitation_create(
    *, role: str | None = None, email: str | None = None, days: int | None = None
) -> Call[Thing]:
    """Invite one person to register; ``.code`` is shown this once."""
    body = given(None, {"role": role, "email": email, "days": days})
    return Call("POST", path("invitations"), bare, thing, body=body)


def invitation_delete(ref: str) -> Call[None]:
    """Take an invitation back."""
    return Call("DELETE", path("invitations", ref), bare, nothing)


# -- quotas and the audit --------------------------------------------------------------------------


def quota_get(name: str | None = None) -> Call[Thing]:
    """Tell what you may have and use; administrators may name a user or a role."""
    return Call("GET", path("quotas", name) if name else path("quota"), bare, thing)


def quota_set(name: str, /, **limits: float | str | None) -> Call[Thing]:
    """Limit a user or everybody in a role: ``set("alice", containers=5, memory="8GB")``.

    None lifts a limit, ``"default"`` gives it back to the role; what is left out stays.
    """
    return Call("PUT", path("quotas", name), bare, thing, body=limits)


def audit_list(
    *,
    user: str | None = None,
    action: str | None = None,
    target: str | None = None,
    outcome: str | None = None,
    since: datetime | timedelta | str | None = None,
    until: datetime | timedelta | str | None = None,
    address: str | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> Call[Page]:
    """List who did what, newest first (the administrator's).

    Parameters
    ----------
    action
        ``container:start``, or ``container:*`` for all that was done to containers.
    outcome
        ``succeeded``, ``refused`` or ``failed``.
    before
        The id of the last entry of the page before.
    """
    query = {
        "user": user,
        "action": action,
        "target": target,
        "outcome": outcome,
        "from": since,
        "to": until,
        "address": address,
        "before": before,
        "limit": limit,
    }
    return Call("GET", path("audit"), bare, page, query)
