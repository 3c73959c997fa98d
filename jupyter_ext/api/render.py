"""From what a manager returns to the bytes of a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json, to_jsonable_python

from ..errors import PlatformError
from .dialects import Dialect, problem
from .dialects.problem import CONTENT_TYPE as PROBLEM
from .route import Change, ErrorCodes, Json, Page, Route


def jsonable(value: Any) -> Json:
    """Return plain JSON types for models, data classes, times (RFC 3339) and what holds them."""
    return to_jsonable_python(value, inf_nan_mode="null")


def body_of(route: Route, result: Any) -> Json:
    """Return the success body of `result` in the route's dialect and through its view."""
    view = route.view or _as_is
    if isinstance(result, Page):
        data = route.dialect.page(result, [view(item) for item in result.items])
    elif isinstance(result, Change):
        data = view(result.value)
    else:
        data = view(result)
    body = route.dialect.success(route.status, data)
    return {**body, **{name: data[name] for name in route.beside}} if route.beside else body


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, ready to be sent."""

    status: int
    body: bytes
    content_type: str


def failure(
    error: PlatformError,
    dialect: Dialect,
    *,
    overrides: ErrorCodes,
    accept: str,
    language: str,
    request_id: str,
) -> Failure:
    """Render an error in a dialect, or as RFC 9457 where `accept` asks for it.

    Parameters
    ----------
    language
        ``Accept-Language``.
    """
    if error.english and language.strip().lower().startswith("en"):
        error = error.in_english()
    outcome = dialect.outcome(error, overrides)
    if PROBLEM in accept:
        body = problem(error, outcome, request_id)
        return Failure(body["status"], encode(body), PROBLEM)
    body = dialect.error(error, outcome, request_id)
    return Failure(outcome.status, encode(body), "application/json")


def encode(body: Json) -> bytes:
    """Return JSON text; numbers that JSON doesn't know become null."""
    return to_json(body, inf_nan_mode="null")


def _as_is(value: Any) -> Json:
    return value
