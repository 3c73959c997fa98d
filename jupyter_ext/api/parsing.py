"""From the bytes of a request to validated models, with an error that names every wrong field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)

# Arguments of Jupyter's and of the browser's, which no route declares.
_FOREIGN_ARGUMENTS = frozenset({"token", "_xsrf", "no_track_activity", "_"})


def parse_json(raw: bytes) -> Any:
    """Parse a body whatever its content type says; an empty one is ``{}``.

    Raises
    ------
    InvalidRequest
        It is not JSON text in UTF-8, or holds text that can't be stored.
    """
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequest(fields={"body": "is not UTF-8"}) from error
    except RecursionError as error:
        raise InvalidRequest(fields={"body": "is nested too deeply"}) from error
    except ValueError as error:
        raise InvalidRequest(fields={"body": f"is not JSON: {error}"}) from error
    if b"\\u" in raw:
        try:
            problems = {name: problem for name, problem in _bad_texts("", value)}
        except RecursionError as error:
            # Some Pythons read deeper than they can look.
            raise InvalidRequest(fields={"body": "is nested too deeply"}) from error
        if problems:
            raise InvalidRequest(fields=problems)
    return value


def parse_query(model: type[M], arguments: Mapping[str, list[bytes]]) -> tuple[M, list[str]]:
    """Validate the query's arguments.

    Returns
    -------
    tuple
        The model, and the names that it doesn't know.
    """
    known: dict[str, Any] = {}
    unknown: list[str] = []
    lists = {
        info.alias or name
        for name, info in model.model_fields.items()
        if get_origin(info.annotation) in (list, set, tuple)
    }
    names = {info.alias or name for name, info in model.model_fields.items()}
    for name, values in arguments.items():
        if name not in names:
            if name not in _FOREIGN_ARGUMENTS:
                unknown.append(name)
            continue
        try:
            texts = [value.decode("utf-8") for value in values]
        except UnicodeDecodeError as error:
            raise InvalidRequest(fields={name: "is not UTF-8"}) from error
        if any("\0" in text for text in texts):
            raise InvalidRequest(fields={name: "holds a NUL character"})
        known[name] = texts if name in lists else texts[-1]
    return validate(model, known), unknown


def parse_body(model: type[M], raw: bytes) -> tuple[M, list[str]]:
    """Validate a body.

    Returns
    -------
    tuple
        The model, and the names of the body's top level that it doesn't know.
    """
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise InvalidRequest(fields={"body": "must be a JSON object"})
    names = set(model.model_fields)
    names.update(info.alias for info in model.model_fields.values() if info.alias)
    for info in model.model_fields.values():
        choices = getattr(info.validation_alias, "choices", ())
        names.update(choice for choice in choices if isinstance(choice, str))
    return validate(model, value), [name for name in value if name not in names]


def validate(model: type[M], value: Mapping[str, Any]) -> M:
    """Validate, and turn pydantic's report into one problem per field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(part) for part in problem["loc"]) or "body"
            text = problem["msg"].removeprefix("Value error, ")
            fields.setdefault(name, text)
        raise InvalidRequest(fields=fields) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _bad_texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Find texts that no store takes: NUL characters and lone surrogates."""
    if isinstance(value, str):
        if "\0" in value:
            yield name or "body", "holds a NUL character"
        elif any("\ud800" <= char <= "\udfff" for char in value):
            yield name or "body", "holds half of a surrogate pair"
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{name}.{key}" if name else key
            if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in key):
                yield name or "body", "has a name with a character that can't be stored"
            else:
                yield from _bad_texts(inner, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _bad_texts(f"{name}.{index}" if name else str(index), item)
