"""A call: one request, and what its reply becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ..errors import InvalidRequest
from .replies import Unwrap
from .things import Thing

T = TypeVar("T")

OnProgress = Callable[[Thing], None]
"""Called with the operation at each step: ``progress``, ``message``, ``details.layers``."""

V1 = "/api/v1/"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and what its reply becomes.

    Parameters
    ----------
    unwrap
        Takes the data out of the dialect's envelope.
    result
        Makes what the caller gets of the data.
    long
        The server answers with an operation, which is followed to its end.
    once
        Sent with an ``Idempotency-Key``: a request whose reply got lost is sent again without doing
        it twice.
    """

    method: str
    path: str
    unwrap: Unwrap
    result: Callable[[Any], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = field(default=None, repr=False)
    long: bool = False
    once: bool = False
    progress: OnProgress | None = None

    def parameters(self) -> dict[str, str]:
        """Return the query as text, without what was not given."""
        return {name: text_of(value) for name, value in self.query.items() if value is not None}


def path(*parts: object) -> str:
    """Join the parts of a path below ``/api/v1``, each quoted.

    Raises
    ------
    InvalidRequest
        One is empty: the path would be that of something else.
    """
    return V1 + "/".join(map(_segment, parts))


def _segment(part: object) -> str:
    text = quote(str(part), safe=":@")
    if not text:
        raise InvalidRequest(fields={"name": "is needed"})
    # As they are, these two would be taken for steps through folders.
    return text.replace(".", "%2E") if text in (".", "..") else text


def nothing(_: Any) -> None:
    """Return nothing of a reply."""


def thing(value: Any) -> Thing:
    """Return the one object of a reply."""
    return Thing(value if isinstance(value, Mapping) else {"value": value})


def text_of(value: Any) -> str:
    """Return a parameter as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        value = datetime.now(UTC) - value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def given(body: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the fields that were given."""
    return {**(body or {}), **{name: item for name, item in fields.items() if item is not None}}
