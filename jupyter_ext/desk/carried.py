"""What a request carries that the desk judges, and not this server's own login."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..api.authentication import KEY_PREFIX, is_jwt, login_cookie
from ..api.dialects import MATRIX, dialect_for

if TYPE_CHECKING:
    from tornado import web
    from tornado.httputil import HTTPServerRequest

LOGINS = frozenset(
    {
        "api/login",
        "api/register",
        "api/logout",
        "api/v1/auth/login",
        "api/v1/auth/refresh",
        "api/v1/auth/logout",
        "api/v1/login",
        "api/v1/refresh",
        "api/v1/logout",
    }
)
"""Routes that make or end a credential and look at none; the table would take long to import."""

COOKIES = ("username", "user_token")


def carries_own_credential(handler: web.RequestHandler) -> bool:
    """Whether a request has a credential in a header that the desk, not Jupyter, judges."""
    headers = handler.request.headers
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    bearer = scheme.lower() == "bearer" and (
        token.strip().startswith(KEY_PREFIX) or is_jwt(token.strip())
    )
    return "X-API-Key" in headers or bearer


def is_login(request: HTTPServerRequest, base_url: str) -> bool:
    """Whether a request asks for one of the routes that look at no credential."""
    return request.path.removeprefix(base_url).strip("/") in LOGINS


def comes_by_cookie(request: HTTPServerRequest, base_url: str) -> bool:
    """Whether the desk's cookies count before Jupyter's login, as on one document's routes."""
    path = "/" + request.path.removeprefix(base_url).lstrip("/")
    return login_cookie(request) is not None and dialect_for(path) is MATRIX


def cookie_header(request: HTTPServerRequest) -> Mapping[str, str]:
    """Return the desk's own cookies of a request; Jupyter's stay here."""
    found = [f"{name}={request.cookies[name].value}" for name in COOKIES if name in request.cookies]
    return {"Cookie": "; ".join(found)} if found else {}


def returned_cookie(header: str, base_url: str, *, secure: bool) -> str | None:
    """Return a Set-Cookie of the desk as this server sends it; None where it is not for a login."""
    if header.partition("=")[0] not in COOKIES:
        return None
    moved = re.sub(r"(?i)(;\s*path=)[^;]*", lambda found: found[1] + base_url, header)
    if secure and not re.search(r"(?i);\s*secure\b", moved):
        moved += "; Secure"
    return moved
