"""JSON Schemas of what each dialect wraps around a result, and of its errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from .dialects import CONTAINERS, MATRIX, METADATA, PIGLET, VOIDVM

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def an_object(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object with these properties."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


class Shape(ABC):
    """What `Dialect` makes, in words of JSON Schema."""

    about: ClassVar[str]
    error: ClassVar[Schema]

    def success(self, status: int, data: Schema) -> Schema:
        """Return the schema of a success with `data` in it."""
        return data

    def replies(self, success: Schema, error: Schema) -> Schema:
        """Return the schema of everything that comes with the status of a success."""
        return success

    @abstractmethod
    def page(self, name: str, item: Schema) -> Schema:
        """Return the schema of a list, as `success` takes it."""


class PigletShape(Shape):
    """Bare objects."""

    about = "Bare objects; errors in `error`. Accounts, keys, long work, events, the system."
    error = an_object(
        {"error": an_object({"code": _TEXT, "message": _TEXT, "details": {"type": "object"}})}
    )

    def page(self, name: str, item: Schema) -> Schema:
        """Return the list under its name, and where in it this is."""
        items = {"type": "array", "items": item}
        return an_object({name: items, "total": _COUNT, "limit": _COUNT, "offset": _COUNT})


class ContainersShape(Shape):
    """An envelope with the status."""

    about = "Everything in an envelope with the status. Containers, images, measurements."
    error = an_object(
        {
            "code": {"type": "integer"},
            "message": _TEXT,
            "errors": {"type": "array", "items": an_object({"field": _TEXT, "message": _TEXT})},
        },
        {"request_id": _TEXT},
    )

    def success(self, status: int, data: Schema) -> Schema:
        """Return the envelope."""
        return an_object({"code": {"const": status}, "message": _TEXT, "data": data})

    def page(self, name: str, item: Schema) -> Schema:
        """Return `total` and `items`."""
        return an_object({"total": _COUNT, "items": {"type": "array", "items": item}})


class VoidVMShape(Shape):
    """``success`` and a time stamp around everything."""

    about = "`success`, `data` and a time stamp around everything. Virtual machines."
    error = an_object(
        {
            "success": {"const": False},
            "error": an_object({"code": _TEXT, "message": _TEXT, "details": _TEXT}),
            "timestamp": _TIME,
        }
    )

    def success(self, status: int, data: Schema) -> Schema:
        """Return the envelope."""
        return an_object(
            {"success": {"const": True}, "data": data, "message": _TEXT, "timestamp": _TIME}
        )

    def page(self, name: str, item: Schema) -> Schema:
        """Return the list under its name, and `pagination`."""
        counts = an_object({key: _COUNT for key in ("page", "limit", "total", "pages")})
        return an_object({name: {"type": "array", "items": item}, "pagination": counts})


class MetadataShape(Shape):
    """Bare objects, flat errors."""

    about = "Bare objects; flat errors with a request id. Data sources and their collection."
    error = an_object({"code": _TEXT, "message": _TEXT, "details": _TEXT, "request_id": _TEXT})

    def page(self, name: str, item: Schema) -> Schema:
        """Return the list under both of its names."""
        items = {"type": "array", "items": item}
        counts = {"total": _COUNT, "page": _COUNT, "page_size": _COUNT}
        return an_object({name: items, "data": items, **counts})


class MatrixShape(Shape):
    """``status`` says whether it went well."""

    about = "`status` 0 or -1, with HTTP 200 for both. Containers on devices with GPUs."
    error = an_object({"status": {"const": -1}, "error": _TEXT})

    def success(self, status: int, data: Schema) -> Schema:
        """Return the fields beside `status`."""
        return {"allOf": [an_object({"status": {"const": 0}}), data]}

    def replies(self, success: Schema, error: Schema) -> Schema:
        """Return both: failures of an operation come as HTTP 200."""
        return {"oneOf": [success, error]}

    def page(self, name: str, item: Schema) -> Schema:
        """Return the list under its name."""
        return an_object({name: {"type": "array", "items": item}})


SHAPES: dict[str, Shape] = {
    PIGLET.name: PigletShape(),
    CONTAINERS.name: ContainersShape(),
    VOIDVM.name: VoidVMShape(),
    METADATA.name: MetadataShape(),
    MATRIX.name: MatrixShape(),
}

PROBLEM: Schema = an_object(
    {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
    {
        "code": _TEXT,
        "errors": {"type": "array"},
        "details": {"type": "object"},
        "request_id": _TEXT,
    },
)
