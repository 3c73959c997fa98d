"""How accounts and logins look in the documents that have field names of their own."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from .login_schemas import LoggedIn
from .schemas import User


class MachineUser(TypedDict):
    """A user as the document of machines shows one."""

    id: str
    username: str
    email: str | None
    role: str
    status: Literal["active", "disabled"]
    permissions: list[str]
    lastLogin: str | None
    createdAt: str


class MachineLogin(TypedDict):
    """A login as the document of machines shows one."""

    token: str
    user: MachineUser


class TokenPair(TypedDict):
    """A login as the document of data sources shows one."""

    access_token: str
    refresh_token: str | None
    token_type: Literal["Bearer"]
    expires_in: int


def machine_user(user: User) -> MachineUser:
    """Show a user."""
    shown = user.model_dump(mode="json")
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role,
        "status": "active" if user.enabled else "disabled",
        "permissions": user.permissions,
        "lastLogin": shown["last_login"],
        "createdAt": shown["created_at"],
    }


def machine_login(login: LoggedIn) -> MachineLogin:
    """Show a login."""
    return {"token": login.access, "user": machine_user(login.user)}


def token_pair(login: LoggedIn) -> TokenPair:
    """Show a login."""
    return {
        "access_token": login.access,
        "refresh_token": login.refresh,
        "token_type": "Bearer",
        "expires_in": login.expires_in,
    }
