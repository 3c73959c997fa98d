"""The routes of users and of API keys."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Page, Route
from .api_keys import ApiKeyManager
from .manager import AccountManager
from .schemas import (
    ApiKey,
    CreatedApiKey,
    Deleted,
    KeyQuery,
    NewApiKey,
    NewPassword,
    NewUser,
    Revoked,
    User,
    UserQuery,
)

ROUTES = [
    Route(
        "GET",
        "/api/v1/users",
        AccountManager.list,
        PIGLET,
        "user:read",
        query=UserQuery,
        result=Page[User],
        summary="List users",
    ),
    Route(
        "POST",
        "/api/v1/users",
        AccountManager.create,
        PIGLET,
        "user:create",
        body=NewUser,
        result=User,
        status=201,
        summary="Add a user",
    ),
    Route(
        "DELETE",
        "/api/v1/users/{username}",
        AccountManager.delete,
        PIGLET,
        "user:delete",
        result=Deleted,
        summary="Delete a user who owns nothing any more",
    ),
    Route(
        "PUT",
        "/api/v1/users/{username}/password",
        AccountManager.set_password,
        PIGLET,
        "user:password",
        body=NewPassword,
        result=User,
        summary="Set a password",
    ),
    Route(
        "GET",
        "/api/v1/api-keys",
        ApiKeyManager.list,
        PIGLET,
        "api-key:read",
        query=KeyQuery,
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
