from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_ext.api.dialects import CONTAINERS, MATRIX, METADATA, PIGLET, VOIDVM, Dialect
from jupyter_ext.api.dialects.problem import problem
from jupyter_ext.client.replies import decode, error_from, operation_error
from jupyter_ext.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PlatformError,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

ERRORS = [
    InvalidRequest(fields={"name": "is needed", "volumes.0.host_path": "is no folder"}),
    Unauthenticated(),
    Forbidden("Not yours."),
    NotFound("container", "web"),
    MethodNotAllowed("PUT", ["GET"]),
    Conflict("container", "web"),
    TooLarge(10),
    RateLimited(7),
    Unavailable("Docker does not answer.", "Is it running?"),
    PlatformError("Something broke."),
]


def sent(dialect: Dialect, error: PlatformError) -> tuple[int, Any]:
    outcome = dialect.outcome(error, {})
    return outcome.status, json.loads(json.dumps(dialect.error(error, outcome, "r1")))


@pytest.mark.parametrize("dialect", [CONTAINERS, PIGLET, VOIDVM, METADATA], ids=lambda d: d.name)
@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_every_dialects_error_is_the_one_that_was_raised(
    dialect: Dialect, error: PlatformError
) -> None:
    status, body = sent(dialect, error)
    headers = {"retry-after": "7"} if status == 429 else {}
    again = error_from(status, body, headers)
    assert type(again) is type(error)
    assert again.message.startswith(error.message)
    if isinstance(again, RateLimited):
        assert again.retry_after == 7


@pytest.mark.parametrize("dialect", [CONTAINERS, PIGLET], ids=lambda d: d.name)
def test_every_wrong_field_is_told(dialect: Dialect) -> None:
    status, body = sent(dialect, ERRORS[0])
    assert error_from(status, body).fields == ERRORS[0].fields


def test_piglet_keeps_what_was_not_found() -> None:
    again = error_from(*sent(PIGLET, NotFound("database", "nonexistent")))
    assert isinstance(again, NotFound)
    assert (again.kind, again.name) == ("database", "nonexistent")


def test_a_problem_detail_is_read() -> None:
    error = Conflict("container", "web")
    body = problem(error, PIGLET.outcome(error, {}), "r1")
    again = error_from(409, body)
    assert isinstance(again, Conflict)
    assert again.message == error.message


def test_matrix_and_jupyter_and_proxies_are_read() -> None:
    assert error_from(401, {"status": -1, "error": "no"}).message == "no"
    assert isinstance(error_from(*sent(MATRIX, Unauthenticated())), Unauthenticated)
    assert isinstance(error_from(403, {"message": "Forbidden", "reason": None}), Forbidden)
    bad_gateway = error_from(502, decode(b"<html>Bad Gateway</html>"))
    assert type(bad_gateway) is PlatformError
    assert bad_gateway.message == "The server answered 502."


def test_an_unavailable_keeps_the_cure() -> None:
    again = error_from(*sent(PIGLET, Unavailable("Docker does not answer.", "Start it.")))
    assert isinstance(again, Unavailable)
    assert (again.what, again.cure) == ("Docker does not answer.", "Start it.")


def test_a_failed_operation_is_its_error() -> None:
    error = operation_error(
        {
            "kind": "image.pull",
            "subject": "x",
            "state": "failed",
            "error": {"code": "NOT_FOUND", "message": "No image.", "details": {"image": "x"}},
        }
    )
    assert isinstance(error, NotFound)
    assert error.message == "No image."
    assert error.name == "x"


def test_a_cancelled_operation_says_so() -> None:
    error = operation_error({"kind": "image.pull", "subject": "x", "state": "cancelled"})
    assert error.code == "CANCELLED"
    assert "cancelled" in error.message
