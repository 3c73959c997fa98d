"""The calls about people: their keys, what they may have, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from .call import Call, given, nothing, path, text_of, thing
from .replies import bare
from .things import Page, Thing, page


def api_key_list() -> Call[Page]:
    """List your API keys; the keys themselves are never shown again."""
    return Call("GET", path("api-keys"), bare, page, {"limit": 1000})


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


def user_list() -> Call[Page]:
    """List the accounts that you may see."""
    return Call("GET", path("users"), bare, page, {"limit": 1000})


def user_create(
    username: str,
    password: str,
    *,
    role: str | None = None,
    email: str | None = None,
    **more: Any,
) -> Call[Thing]:
    """Make an account (the administrator's)."""
    fields = {"username": username, "password": password, "role": role, "email": email, **more}
    return Call("POST", path("users"), bare, thing, body=given(None, fields))


def user_delete(username: str) -> Call[None]:
    """Delete an account (the administrator's)."""
    return Call("DELETE", path("users", username), bare, nothing)


def user_set_password(username: str, password: str) -> Call[None]:
    """Give an account a new password."""
    where = path("users", username, "password")
    return Call("PUT", where, bare, nothing, body={"password": password})


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
