"""The routes of users, roles and API keys."""

from __future__ import annotations

from ..api.dialects import PIGLET, VOIDVM, Dialect
from ..api.route import Feed, Page, Route, View
from .api_keys import ApiKeyManager
from .departures import DepartureManager
from .role_schemas import DeletedRole, NewRole, PermissionList, Role, RoleChange, RoleList
from .roles import RoleManager
from .schemas import (
    ApiKey,
    ApiKeyQuery,
    CreatedApiKey,
    Deleted,
    NewApiKey,
    NewPassword,
    NewUser,
    Revoked,
    User,
    UserChange,
    UserDeletion,
    UserQuery,
)
from .users import UserManager
from .views import machine_user


def _users(dialect: Dialect, view: View | None) -> list[Route]:
    """Return the routes of users in one of the two documents that have them."""
    return [
        Route(
            "GET",
            "/api/v1/users",
            UserManager.list,
            dialect,
            "user:read",
            query=UserQuery,
            result=Page[User],
            view=view,
            summary="List users",
        ),
        Route(
            "POST",
            "/api/v1/users",
            UserManager.create,
            dialect,
            "user:create",
            body=NewUser,
            may=True,
            result=User,
            view=view,
            status=201,
            summary="Add a user",
        ),
        Route(
            "GET",
            "/api/v1/users/{username}",
            UserManager.get,
            dialect,
            may=True,
            result=User,
            view=view,
            summary="One user, by name or id",
        ),
        Route(
            "PUT",
            "/api/v1/users/{username}",
            UserManager.update,
            dialect,
            "user:password",
            body=UserChange,
            result=User,
            view=view,
            summary="Change a user",
        ),
        Route(
            "DELETE",
            "/api/v1/users/{username}",
            DepartureManager.delete,
            dialect,
            "user:delete",
            query=UserDeletion,
            result=Deleted,
            summary="Delete a user, and say what becomes of their things",
        ),
        Route(
            "PUT",
            "/api/v1/users/{username}/password",
            UserManager.set_password,
            dialect,
            "user:password",
            body=NewPassword,
            result=User,
            view=view,
            summary="Set a password, which ends the logins",
        ),
    ]


FEEDS = [Feed("users", UserManager.feed, permission="user:read")]

ROUTES = [
    # The credential decides which document answers: who comes with a token of a login is a client
    # of the second.
    *_users(PIGLET, None),
    *_users(VOIDVM, machine_user),
    Route(
        "GET",
        "/api/v1/permissions",
        RoleManager.permissions,
        VOIDVM,
        "user:read",
        result=PermissionList,
        summary="List permissions",
    ),
    Route(
        "GET",
        "/api/v1/roles",
        RoleManager.list,
        VOIDVM,
        "user:read",
        result=RoleList,
        summary="List roles",
    ),
    Route(
        "POST",
        "/api/v1/roles",
        RoleManager.create,
        PIGLET,
        "role:create",
        body=NewRole,
        result=Role,
        status=201,
        summary="Make a role",
    ),
    Route(
        "PUT",
        "/api/v1/roles/{role}",
        RoleManager.update,
        PIGLET,
        "role:update",
        body=RoleChange,
        result=Role,
        summary="Change a role",
    ),
    Route(
        "DELETE",
        "/api/v1/roles/{role}",
        RoleManager.delete,
        PIGLET,
        "role:delete",
        result=DeletedRole,
        summary="Delete a role that nobody has",
    ),
    Route(
        "GET",
        "/api/v1/api-keys",
        ApiKeyManager.list,
        PIGLET,
        "api-key:read",
        query=ApiKeyQuery,
        result=Page[ApiKey],
        summary="List API keys",
    ),
    Route(
        "POST",
        "/api/v1/api-keys",
        ApiKeyManager.create,
        PIGLET,
        "api-key:create",
        body=NewApiKey,
        result=CreatedApiKey,
        status=201,
        summary="Make an API key",
    ),
    Route(
        "DELETE",
        "/api/v1/api-keys/{key_id}",
        ApiKeyManager.revoke,
        PIGLET,
        "api-key:delete",
        result=Revoked,
        summary="Revoke an API key",
    ),
]
