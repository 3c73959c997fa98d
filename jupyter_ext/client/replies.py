"""What a server's reply means: data, or an error of the tree in `jupyter_ext.errors`.

Errors are told apart by their shape, so that one of another dialect, of Jupyter itself or of a
proxy in between still reads as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import (
    Conflict,
    MethodNotAllowed,
    NotFound,
    PlatformError,
    RateLimited,
    Unavailable,
    error_for_status,
)
from .things import wrap

Unwrap = Callable[[Any], Any]


class OperationCancelled(PlatformError):
    """Somebody cancelled the operation that was waited for."""

    status = 409
    code = "CANCELLED"


def bare(body: Any) -> Any:
    """Return the data of a success in a dialect without an envelope."""
    return body


def data(body: Any) -> Any:
    """Return the data of a success in a dialect that wraps it."""
    return body.get("data") if isinstance(body, Mapping) else body


def decode(content: bytes | bytearray | str) -> Any:
    """Return the JSON of a body, or its text."""
    try:
        return json.loads(content)
    except ValueError:
        return content if isinstance(content, str) else content.decode(errors="replace")


def error_from(
    status: int, content: Any, headers: Mapping[str, str] | None = None
) -> PlatformError:
    """Return the error that a reply of any dialect tells of."""
    body = content if isinstance(content, Mapping) else {}
    inner = body.get("error")
    said = inner if isinstance(inner, Mapping) else body
    message = next(
        (
            text
            for text in (said.get("message"), body.get("detail"), inner, body.get("title"))
            if isinstance(text, str) and text
        ),
        "",
    )
    details = said.get("details")
    fields = {
        str(item.get("field")): str(item.get("message"))
        for item in body.get("errors") or []
        if isinstance(item, Mapping)
    }
    kind = kind_of(said.get("code"), status)
    facts = dict(details) if isinstance(details, Mapping) else {}
    if isinstance(details, str) and details not in message:
        message = ": ".join(filter(None, (message, details)))
    if kind.status == 400 and not fields:
        fields = {name: text for name, text in facts.items() if isinstance(text, str)}
    wait = (headers or {}).get("retry-after") or facts.get("retry_after")
    return rebuild(
        kind, message or f"The server answered {status}.", fields=fields, facts=facts, wait=wait
    )


def placed(error: PlatformError, path: str) -> PlatformError:
    """Say what was not found where a dialect's error doesn't, but the request's path does."""
    group, _, rest = path.removeprefix("/api/v1/").removeprefix("metrics/").partition("/")
    name = unquote(rest.partition("/")[0])
    if isinstance(error, NotFound) and not error.kind and name and repr(name) in error.message:
        error.kind, error.name = group.removesuffix("s"), name
    return error


def operation_error(operation: Mapping[str, Any]) -> PlatformError:
    """Return why an operation did not succeed."""
    error = operation.get("error") or {}
    subject = f"{operation.get('kind')} of {operation.get('subject')}"
    if operation.get("state") == "cancelled":
        return rebuild(OperationCancelled, f"The {subject} was cancelled.")
    details = error.get("details")
    facts = dict(details) if isinstance(details, Mapping) else {}
    kind = kind_of(error.get("code"), 500)
    fields = {name: str(text) for name, text in facts.items()} if kind.status == 400 else {}
    fields = facts.get("fields") or fields
    return rebuild(
        kind, str(error.get("message") or f"The {subject} failed."), fields=fields, facts=facts
    )


def rebuild(
    kind: type[PlatformError],
    message: str,
    *,
    fields: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
    wait: object = None,
) -> PlatformError:
    """Return an error as the server raised it.

    Constructors ask for what a reply no longer has, so they are passed by.
    """
    error = kind.__new__(kind)
    PlatformError.__init__(error, message, fields=fields, details=wrap(dict(facts or {})))
    if isinstance(error, NotFound | Conflict):
        named, name = next(iter(error.details.items()), ("", ""))
        error.kind, error.name = str(named), str(name)
    elif isinstance(error, RateLimited):
        error.retry_after = float(str(wait)) if str(wait or "").isdigit() else 1.0
    elif isinstance(error, MethodNotAllowed):
        error.allowed = list(error.details.get("allowed") or ())
    elif isinstance(error, Unavailable):
        error.what = str(error.details.get("what") or message)
        error.cure = str(error.details.get("cure") or "")
    return error


def _tree(kind: type[PlatformError]) -> Iterator[type[PlatformError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def kind_of(code: object, status: int) -> type[PlatformError]:
    """Return the class for a code, or else for an HTTP status."""
    if isinstance(code, str):
        for kind in _tree(PlatformError):
            if kind.code == code:
                return kind
    return error_for_status(status)
