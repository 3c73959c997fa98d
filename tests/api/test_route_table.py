"""Walks the whole table: every route refuses a stranger, names wrong fields, and is documented."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from jupyter_ext.api.dialects import VOIDVM
from jupyter_ext.endpoints import ROUTES, SOCKETS

from .test_errors_over_http import dialect_of


def path_of(route, value="none-such"):
    path = route.path.lstrip("/")
    for name in route.path_names:
        path = path.replace("{" + name + "}", value)
    return path


def label(route):
    return f"{route.method} {route.path}"


def as_client_of(route):
    """The header by which a route is told from the one of another document at its path."""
    twin = route.dialect is VOIDVM and route.path.startswith("/api/v1/users")
    return {"Authorization": "Bearer eyJ.made.up"} if twin else {}


@pytest.mark.parametrize("route", ROUTES, ids=label)
def test_a_stranger_is_401_unless_it_is_public(anonymous, route):
    reply = anonymous.request(route.method, path_of(route, "docs.js"), headers=as_client_of(route))
    if route.anonymous:
        # It judges what the body or the cookies say, and there is nothing.
        assert reply.status_code in (400, 401)
    elif route.public:
        assert reply.status_code in (200, 503)
    else:
        assert reply.status_code == 401
        assert dialect_of(reply.json()) == route.dialect.name


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.body is not None and not as_client_of(route)],
    ids=label,
)
def test_a_body_that_is_no_object_is_400_with_the_field(admin, route):
    assert issubclass(route.body, BaseModel)
    reply = admin.request(route.method, "../../" + path_of(route), content=b"[1]")
    assert reply.status_code == 400
    assert dialect_of(reply.json()) == route.dialect.name
    assert "body" in reply.text


NUMBERED = [
    (route, name)
    for route in ROUTES
    for name, info in (route.query.model_fields.items() if route.query else ())
    if "int" in str(info.annotation)
]


@pytest.mark.parametrize(("route", "name"), NUMBERED, ids=lambda part: getattr(part, "path", part))
def test_a_bad_argument_is_400_with_its_name(admin, route, name):
    path = "../../" + path_of(route)
    reply = admin.request(route.method, path, params={name: "x y"}, content=b"{}")
    assert reply.status_code == 400
    assert name in reply.text


def test_every_route_is_in_the_document(anonymous):
    document = anonymous.get("api/v1/openapi.json").json()
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert documented == {(route.method, route.path) for route in ROUTES}
    identifiers = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(set(identifiers)) == len(identifiers)


def test_the_document_is_valid_openapi(anonymous):
    from openapi_spec_validator import validate

    validate(anonymous.get("api/v1/openapi.json").json())


def test_every_route_has_a_summary_and_says_who_may():
    for route in ROUTES:
        assert route.summary, label(route)
        assert route.public or route.permission or route.path in OPEN_TO_EVERY_ACCOUNT, label(route)
    for socket in SOCKETS:
        assert socket.summary
        assert socket.permission


OPEN_TO_EVERY_ACCOUNT = {
    "/api/v1/status",
    "/api/v1/system",
    "/api/v1/metrics/resources",
    "/api/v1/quota",
    "/api/v1/currentUser",
    "/api/verify",
    "/api/v1/users/{username}",
}


def test_no_two_routes_of_a_dialect_share_a_path_and_a_method():
    keys = [(route.method, route.path, route.dialect.name) for route in ROUTES]
    assert len(set(keys)) == len(keys)
