"""How successes, errors and lists look in each document."""

from __future__ import annotations

import pytest

from jupyter_ext.api.dialects import (
    CONTAINERS,
    DIALECTS,
    MATRIX,
    METADATA,
    PIGLET,
    VOIDVM,
    dialect_for,
    problem,
)
from jupyter_ext.api.route import Page
from jupyter_ext.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PlatformError,
    RateLimited,
    Unauthenticated,
)

MISSING = NotFound("database", "nonexistent", "数据库未找到")


def rendered(dialect, error):
    return dialect.error(error, dialect.outcome(error, {}), "r1")


def test_piglet_error_is_the_documents_own():
    assert rendered(PIGLET, MISSING) == {
        "error": {
            "code": "NOT_FOUND",
            "message": "数据库未找到",
            "details": {"database": "nonexistent"},
        }
    }


def test_containers_success_and_error_carry_the_status():
    assert CONTAINERS.success(200, {"id": "x"}) == {
        "code": 200,
        "message": "success",
        "data": {"id": "x"},
    }
    error = InvalidRequest(fields={"name": "is needed", "image": "is needed"})
    assert rendered(CONTAINERS, error) == {
        "code": 400,
        "message": "name: is needed; image: is needed",
        "errors": [
            {"field": "name", "message": "is needed"},
            {"field": "image", "message": "is needed"},
        ],
    }


def test_containers_errors_is_always_there():
    assert rendered(CONTAINERS, Unauthenticated())["errors"] == []


def test_voidvm_wraps_and_renames_codes():
    body = VOIDVM.success(201, {"id": "vm-1"})
    assert body["success"] is True
    assert body["data"] == {"id": "vm-1"}
    assert body["timestamp"].endswith("Z")
    error = rendered(VOIDVM, InvalidRequest(fields={"cpu": "is too large"}))
    assert error["success"] is False
    assert error["error"]["code"] == "INVALID_REQUEST_PARAMS"
    assert error["error"]["details"] == "cpu: is too large"


def test_metadata_error_is_flat_with_a_request_id():
    assert rendered(METADATA, NotFound("task", "task-1")) == {
        "code": "NOT_FOUND",
        "message": "No task goes by 'task-1'.",
        "details": "No task goes by 'task-1'.",
        "request_id": "r1",
    }


def test_metadata_details_begin_with_the_routes_reason():
    error = Conflict("task", "t", "It runs.")
    outcome = METADATA.outcome(error, {Conflict: (400, "INVALID_REQUEST", "TASK_CANNOT_START")})
    assert outcome.status == 400
    assert METADATA.error(error, outcome, "r")["details"] == "TASK_CANNOT_START: It runs."


def test_matrix_failures_of_an_operation_are_http_200():
    outcome = MATRIX.outcome(Conflict("container", "a"), {})
    assert outcome.status == 200
    assert MATRIX.error(Conflict("container", "a", "taken"), outcome, "r") == {
        "status": -1,
        "error": "taken",
    }


@pytest.mark.parametrize(
    "error", [Unauthenticated(), InvalidRequest(fields={"a": "b"}), RateLimited(1)]
)
def test_matrix_keeps_http_statuses_of_what_stands_outside_an_operation(error):
    assert MATRIX.outcome(error, {}).status == error.status


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            (PIGLET, "databases"),
            {"databases": [1], "total": 31, "limit": 10, "offset": 20},
        ),
        ((CONTAINERS, "items"), {"total": 31, "items": [1]}),
        (
            (VOIDVM, "users"),
            {"users": [1], "pagination": {"page": 3, "limit": 10, "total": 31, "pages": 4}},
        ),
        (
            (METADATA, "tasks"),
            {"tasks": [1], "data": [1], "total": 31, "page": 3, "page_size": 10},
        ),
        ((MATRIX, "cid"), {"cid": [1]}),
    ],
    ids=lambda value: getattr(value[0], "name", "") if isinstance(value, tuple) else "",
)
def test_lists_are_paged_as_each_document_says(page, expected):
    dialect, name = page
    assert dialect.page(Page([1], 31, limit=10, offset=20, name=name), [1]) == expected


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api/v1/nothing", PIGLET),
        ("/api/v1", PIGLET),
        ("/api/v1/containers/x/y/z", CONTAINERS),
        ("/api/v1/containersX", PIGLET),
        ("/api/v1/metrics/none", CONTAINERS),
        ("/api/v1/vms/1/none", VOIDVM),
        ("/api/v1/system/info/x", VOIDVM),
        ("/api/v1/datasources/none", METADATA),
        ("/containers/none/none", MATRIX),
        ("/devices/x", MATRIX),
    ],
)
def test_the_longest_documented_prefix_decides_for_unknown_paths(path, dialect):
    assert dialect_for(path) is dialect


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_inner_error_never_shows_its_cause(dialect):
    error = PlatformError("Something went wrong inside the server.")
    assert "Traceback" not in str(rendered(dialect, error))


def test_rfc_9457_on_request():
    error = NotFound("container", "x")
    body = problem(error, MATRIX.outcome(error, {}), "r1")
    assert body["status"] == 404
    assert body["title"] == "Not Found"
    assert body["detail"] == "No container goes by 'x'."
    assert body["request_id"] == "r1"
