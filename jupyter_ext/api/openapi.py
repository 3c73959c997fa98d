"""The OpenAPI 3.1 document, made from the same table that serves."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from http import HTTPStatus
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from .._version import __version__
from ..operations import Operation
from .dialects.problem import CONTENT_TYPE as PROBLEM_TYPE
from .route import Change, Document, Page, Route, Stream
from .shapes import PROBLEM, SHAPES, Schema

FAILURES = (400, 401, 403, 404, 405, 409, 413, 429, 500, 503)
JSON = "application/json"
ABOUT = """Containers and the rest of a compute desk, inside Jupyter.

Every tag is a dialect: how its replies, errors and lists look. On every route
`Accept: application/problem+json` asks for errors as RFC 9457 instead.

What changes is sent by `GET /api/v1/events`, and as frames over the WebSocket `/api/v1/ws`.
"""

SECURITY: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or the token of a login.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "user_token",
        "description": "What `POST /api/login` sets, beside `username`.",
    },
    "jupyter": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Jupyter's own token, as `token TOKEN`; its login cookie serves as well.",
    },
}

_WHOLE: Schema = {"schema": {"type": "integer"}}
HEADERS: Schema = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": "The request's name in the log."},
    "X-RateLimit-Limit": {**_WHOLE, "description": "Requests in a window."},
    "X-RateLimit-Remaining": {**_WHOLE, "description": "Requests that are left of it."},
    "X-RateLimit-Reset": {**_WHOLE, "description": "When there are more, in epoch seconds."},
    "Retry-After": {**_WHOLE, "description": "Seconds until the next request passes."},
    "Location": {
        "schema": {"type": "string", "format": "uri-reference"},
        "description": "The operation that does the work.",
    },
}
ALWAYS = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

IDEMPOTENCY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "The same key and body give the first answer again.",
}
PREFER: Schema = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`respond-async` answers 202 with the operation at once, `wait=N` after N "
    "seconds; otherwise the request waits for the result.",
}
LAST_EVENT: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string", "maxLength": 100},
    "description": "What was missed since this event comes first.",
}


TEMPLATE = "#/components/schemas/{model}"


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers(*more: str) -> Schema:
    return {name: _reference("headers", name) for name in (*ALWAYS, *more)}


class DocumentBuilder:
    """Collects the schemas of models while it describes routes."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {"problem": PROBLEM}
        self.responses: dict[str, Schema] = {}
        self._paths: dict[str, Schema] = {}
        self._tags: dict[str, Schema] = {}

    def add(self, route: Route) -> None:
        """Describe one more route, which takes some milliseconds."""
        name = route.dialect.name
        self._tags[name] = {"name": name, "description": SHAPES[name].about}
        methods = self._paths.setdefault(route.path, {})
        method, operation = route.method.lower(), self._operation(route)
        # Two documents may have a route; the credential decides which of them answers.
        methods[method] = (
            self._either(methods[method], operation) if method in methods else operation
        )

    def document(self, base_url: str) -> Schema:
        """Return the document of what was added, mounted at `base_url`."""
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "jupyter_ext",
                "version": __version__,
                "description": ABOUT,
                "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
            },
            "servers": [{"url": base_url.rstrip("/") or "/"}],
            "tags": list(self._tags.values()),
            "paths": self._paths,
            "components": {
                "schemas": self.schemas,
                "responses": self.responses,
                "headers": HEADERS,
                "securitySchemes": SECURITY,
            },
        }

    def _operation(self, route: Route) -> Schema:
        operation: Schema = {
            "operationId": operation_id(route),
            "summary": route.summary,
            "tags": [route.dialect.name],
            "parameters": [*self._path(route), *self._query(route), *_header_parameters(route)],
            "responses": self._responses(route),
            "security": [] if route.public else [{name: []} for name in SECURITY],
        }
        if route.permission:
            operation["description"] = f"Needs the permission `{route.permission}`."
        if route.upload is not None:
            content = {route.upload: {"schema": {"type": "string", "format": "binary"}}}
            operation["requestBody"] = {"required": True, "content": content}
        elif route.body is not None:
            schema = self._schema(route.body, "validation")
            required = bool(self.schemas[schema["$ref"].rpartition("/")[2]].get("required"))
            content = {JSON: {"schema": schema}}
            operation["requestBody"] = {"required": required, "content": content}
        return operation

    def _either(self, first: Schema, second: Schema) -> Schema:
        responses = {
            status: self._either_response(first["responses"][status], response)
            for status, response in second["responses"].items()
        }
        return {**first, "tags": [*first["tags"], *second["tags"]], "responses": responses}

    def _either_response(self, *responses: Schema) -> Schema:
        first, second = (
            self.responses[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
            for each in responses
        )
        content = {
            media: {
                "schema": {
                    "anyOf": [first["content"][media]["schema"], second["content"][media]["schema"]]
                }
            }
            for media in first["content"]
        }
        return {**first, "content": content}

    def _path(self, route: Route) -> list[Schema]:
        schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
        return [
            {"name": name, "in": "path", "required": True, "schema": schema}
            for name in route.path_names
        ]

    def _query(self, route: Route) -> list[Schema]:
        if route.query is None:
            return []
        schema = self._adopted(
            route.query.__name__, route.query.model_json_schema(ref_template=TEMPLATE)
        )
        required = schema.get("required", [])
        return [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": {key: value for key, value in part.items() if key != "title"},
                **({"description": part["description"]} if "description" in part else {}),
            }
            for name, part in schema.get("properties", {}).items()
        ]

    # -- replies -----------------------------------------------------------------------------------

    def _responses(self, route: Route) -> Schema:
        responses: Schema = {str(route.status): self._success(route)}
        if is_long(route):
            shape = SHAPES[route.dialect.name]
            schema = shape.success(202, self._schema(Operation, "serialization"))
            responses["202"] = {
                "description": "It goes on as an operation, since the request preferred not to "
                "wait for its end.",
                "headers": _headers("Location"),
                "content": {JSON: {"schema": schema}},
            }
        for status in FAILURES:
            responses[str(status)] = self._failure(route.dialect.name, status)
        return responses

    def _failure(self, dialect: str, status: int) -> Schema:
        name = f"{dialect}-{status}"
        self.schemas[f"{dialect}-error"] = SHAPES[dialect].error
        self.responses[name] = {
            "description": HTTPStatus(status).phrase,
            "headers": _headers("Retry-After")
            if status == HTTPStatus.TOO_MANY_REQUESTS
            else _headers(),
            "content": {
                JSON: {"schema": _reference("schemas", f"{dialect}-error")},
                PROBLEM_TYPE: {"schema": _reference("schemas", "problem")},
            },
        }
        return _reference("responses", name)

    def _success(self, route: Route) -> Schema:
        content: Schema = {}
        for kind in _alternatives(route.result):
            if get_origin(kind) is Annotated:
                kind, media = get_args(kind)[:2]
                content[media] = {"schema": {"type": "string", "format": "binary"}}
            elif kind is Stream:
                content["text/event-stream"] = {"schema": {"type": "string"}}
            elif kind is Document:
                content["*/*"] = {"schema": {}}
            else:
                content[JSON] = {"schema": self._wrapped(route, kind)}
        return {
            "description": HTTPStatus(route.status).phrase,
            "headers": _headers("Location") if is_long(route) else _headers(),
            "content": content,
        }

    def _wrapped(self, route: Route, kind: Any) -> Schema:
        shape = SHAPES[route.dialect.name]
        if get_origin(kind) is Page:
            item = self._shown(route, get_args(kind)[0])
            data = shape.page(route.path.rpartition("/")[2].replace("-", "_"), item)
        elif get_origin(kind) is Change:
            data = self._shown(route, get_args(kind)[0])
        else:
            data = self._shown(route, kind)
        error = _reference("schemas", f"{route.dialect.name}-error")
        return shape.replies(shape.success(route.status, data), error)

    def _shown(self, route: Route, kind: Any) -> Schema:
        """Return the schema of what the view makes of a result; anything where it does not say."""
        if route.view is not None:
            kind = get_type_hints(route.view).get("return")
        if kind is None or kind is Any:
            return {}
        return self._schema(kind, "serialization")

    def _schema(self, kind: Any, mode: Any) -> Schema:
        try:
            schema = TypeAdapter(kind).json_schema(ref_template=TEMPLATE, mode=mode)
        except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
            return {}
        schema = self._adopted(getattr(kind, "__name__", "Data"), schema)
        model = isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))
        if not (model or is_typeddict(kind)) or "$ref" in schema:
            return schema
        name = kind.__name__ if mode == "serialization" else f"{kind.__name__}-input"
        if self.schemas.get(name, schema) != schema:
            # Of another domain, which has its own idea of what this is.
            name = f"{kind.__module__.split('.')[-2:][0]}-{name}"
        self.schemas[name] = schema
        return _reference("schemas", name)

    def _adopted(self, owner: str, schema: Schema) -> Schema:
        """Take over what a schema defines, under other names where those mean something else."""
        defined = schema.pop("$defs", {})
        names = {
            name: name if self.schemas.get(name, part) == part else f"{owner}-{name}"
            for name, part in defined.items()
        }
        changed = {
            TEMPLATE.format(model=old): TEMPLATE.format(model=new)
            for old, new in names.items()
            if old != new
        }
        for name, part in defined.items():
            self.schemas[names[name]] = _renamed(part, changed)
        renamed: Schema = _renamed(schema, changed)
        return renamed


def is_long(route: Route) -> bool:
    """Whether a route may answer with an operation, as its manager's method says."""
    return "Running[" in str(getattr(route.call, "__annotations__", {}).get("return", ""))


def operation_id(route: Route) -> str:
    """Return a name for generated clients: ``post_containers_by_ref_start``."""
    parts = [part for part in route.path.split("/") if part and part not in ("api", "v1")]
    words = [f"by_{part[1:-1]}" if part.startswith("{") else part for part in parts]
    prefix = [] if route.path.startswith("/api/v1/") else [route.dialect.name]
    return re.sub(r"\W", "_", "_".join([route.method.lower(), *prefix, *words]))


def _renamed(node: Any, changed: dict[str, str]) -> Any:
    """Return a schema with other references."""
    if not changed:
        return node
    if isinstance(node, dict):
        return {
            key: changed.get(value, value) if key == "$ref" else _renamed(value, changed)
            for key, value in node.items()
        }
    return [_renamed(each, changed) for each in node] if isinstance(node, list) else node


def _header_parameters(route: Route) -> list[Schema]:
    found = []
    if route.method == "POST":
        found.append(IDEMPOTENCY)
    if is_long(route):
        found.append(PREFER)
    if route.query is not None and "last_event_id" in route.query.model_fields:
        found.append(LAST_EVENT)
    return found


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return what a route may answer with, each for itself where one of them is a stream."""
    if get_origin(kind) not in (Union, UnionType):
        return (kind,)
    members = get_args(kind)
    streams = tuple(each for each in members if each is Stream)
    rest = tuple(each for each in members if each is not Stream)
    return (*rest, *streams) if streams and len(rest) == 1 else (kind,)
