"""The OpenAPI document: valid, whole, and what the server really answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import create_model
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from jupyter_ext.api.dialects import DIALECTS
from jupyter_ext.api.openapi import FAILURES, DocumentBuilder, is_long
from jupyter_ext.api.route import Page, Route
from jupyter_ext.api.shapes import SHAPES
from jupyter_ext.endpoints import ROUTES
from jupyter_ext.errors import InvalidRequest, NotFound
from jupyter_ext.operations import Operation, Running

from ..engines import jupyter


def built() -> dict[str, Any]:
    builder = DocumentBuilder()
    for route in ROUTES:
        builder.add(route)
    found: dict[str, Any] = json.loads(json.dumps(builder.document("/a%40b/")))
    return found


DOCUMENT = built()
REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:document", DRAFT202012.create_resource(DOCUMENT)
)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def absolute(node: Any) -> Any:
    """Return a schema whose references name the document."""
    if isinstance(node, dict):
        return {
            key: f"urn:document{value}" if key == "$ref" else absolute(value)
            for key, value in node.items()
        }
    return [absolute(value) for value in node] if isinstance(node, list) else node


def conforms(schema: Any, value: Any) -> None:
    OAS31Validator(absolute(schema), registry=REGISTRY).validate(value)


def resolved(node: Any) -> Any:
    while "$ref" in node:
        found: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        assert resolved({"$ref": reference})


def test_what_two_domains_call_by_one_name_stays_two() -> None:
    sized, colored = create_model("Part", size=(int, 1)), create_model("Part", color=(str, ""))
    models = (create_model("Whole", part=(sized, ...)), create_model("Box", part=(colored, ...)))

    async def call(self: object, caller: object) -> None:
        raise NotImplementedError

    builder = DocumentBuilder()
    for number, model in enumerate(models):
        builder.add(Route("GET", f"/{number}", call, DIALECTS[0], result=model, summary="x"))
    schemas = builder.document("/")["components"]["schemas"]
    assert set(schemas["Part"]["properties"]) == {"size"}
    assert set(schemas["Box-Part"]["properties"]) == {"color"}
    assert schemas["Box"]["properties"]["part"]["$ref"].endswith("/Box-Part")


def test_it_stands_where_the_server_is_mounted() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["servers"] == [{"url": "/a%40b"}]


def test_every_carrier_opens_what_is_not_public() -> None:
    carriers = set(DOCUMENT["components"]["securitySchemes"])
    assert carriers == {"bearer", "key", "cookie", "jupyter"}
    for route in ROUTES:
        security = DOCUMENT["paths"][route.path][route.method.lower()]["security"]
        assert {name for each in security for name in each} == (set() if route.public else carriers)


def test_every_failure_is_described_in_the_dialect_and_as_a_problem() -> None:
    for route in ROUTES:
        responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
        for status in FAILURES:
            content = resolved(responses[str(status)])["content"]
            schema = content["application/json"]["schema"]
            either = [each["$ref"] for each in schema.get("anyOf", [schema])]
            assert any(name.endswith(f"{route.dialect.name}-error") for name in either)
            assert content["application/problem+json"]
    assert "Retry-After" in resolved(responses["429"])["headers"]


def test_path_and_query_are_parameters() -> None:
    logs = DOCUMENT["paths"]["/api/v1/containers/{ref}/logs"]["get"]
    named = {(each["in"], each["name"]) for each in logs["parameters"]}
    assert named >= {("path", "ref"), ("query", "tail"), ("query", "follow")}
    assert set(logs["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}


def test_what_is_a_stream_is_described_as_one() -> None:
    events = DOCUMENT["paths"]["/api/v1/events"]["get"]
    assert set(events["responses"]["200"]["content"]) == {"text/event-stream"}
    assert ("header", "Last-Event-ID") in {(e["in"], e["name"]) for e in events["parameters"]}
    archive = DOCUMENT["paths"]["/api/v1/containers/{ref}/archive"]
    assert set(archive["get"]["responses"]["200"]["content"]) == {"application/x-tar"}
    assert set(archive["put"]["requestBody"]["content"]) == {"application/x-tar"}


def test_long_work_may_be_answered_with_an_operation() -> None:
    for path in ("/api/v1/images/pull", "/api/v1/containers"):
        pull = DOCUMENT["paths"][path]["post"]
        assert {"Prefer", "Idempotency-Key"} <= {each["name"] for each in pull["parameters"]}
        assert "Location" in pull["responses"]["202"]["headers"]
        schema = pull["responses"]["202"]["content"]["application/json"]["schema"]
        assert schema["properties"]["data"] == {"$ref": "#/components/schemas/Operation"}
    assert "202" not in DOCUMENT["paths"]["/api/v1/users"]["post"]["responses"]


def test_a_method_says_by_its_return_type_that_it_takes_long() -> None:
    async def quick(self: object, caller: object) -> Operation:
        raise NotImplementedError

    async def slow(self: object, caller: object) -> Operation | Running[Operation]:
        raise NotImplementedError

    assert not is_long(Route("POST", "/x", quick, DIALECTS[0]))
    assert is_long(Route("POST", "/x", slow, DIALECTS[0]))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_each_dialect_answers_as_its_shape_says(dialect: Any) -> None:
    shape = SHAPES[dialect.name]
    item = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    page = Page([{"id": 1}], 1, name="things")
    listed = dialect.success(200, dialect.page(page, page.items))
    schema = shape.replies(shape.success(200, shape.page("things", item)), shape.error)
    OAS31Validator(schema).validate(listed)
    assert not OAS31Validator(schema).is_valid({"things": "none"})
    for error in (NotFound("thing", "x"), InvalidRequest(fields={"a": "is wrong"})):
        outcome = dialect.outcome(error, {})
        body = dialect.error(error, outcome, "r1")
        OAS31Validator(shape.error).validate(body)
        if outcome.status == 200:
            OAS31Validator(schema).validate(body)


REQUESTS = [
    ("GET", "/api/v1/status", None),
    ("GET", "/api/v1/system", None),
    ("GET", "/api/v1/metrics/resources", None),
    ("GET", "/api/v1/users", None),
    ("POST", "/api/v1/users", {"username": "documented", "password": "secret pass"}),
    ("GET", "/api/v1/api-keys", None),
    ("POST", "/api/v1/api-keys", {"name": "documented"}),
    ("GET", "/api/v1/operations", None),
    ("POST", "/api/v1/users", {}),
    ("POST", "/api/v1/api-keys", {"name": ""}),
    ("GET", "/api/v1/containers", None),
    ("POST", "/api/v1/images/pull", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_the_server_answers_as_documented(
    edge: jupyter.JupyterServer, method: str, path: str, body: Any
) -> None:
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    with edge.client() as client:
        replies = [
            client.request(method, edge.url + path.lstrip("/"), json=body, headers=headers)
            for headers in ({}, {"Accept": "application/problem+json", "X-API-Key": "x"})
        ]
    for reply in replies:
        described = resolved(responses[str(reply.status_code)])["content"]
        media = reply.headers["Content-Type"].partition(";")[0]
        conforms(described[media]["schema"], reply.json())
    assert replies[1].headers["Content-Type"] == "application/problem+json"


def test_the_page_works_with_a_slash_and_without(edge: jupyter.JupyterServer) -> None:
    pages = [httpx.get(edge.api + path, trust_env=False) for path in ("/docs", "/docs/")]
    assert pages[0].text == pages[1].text
    assert "/a%40b/api/v1/docs/docs.js" in pages[0].text
    policy = pages[0].headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


def test_a_file_of_the_page_that_there_is_not_is_404(edge: jupyter.JupyterServer) -> None:
    for name in ("none.js", "..%2Fopenapi.py", "LICENSE"):
        assert httpx.get(f"{edge.api}/docs/{name}", trust_env=False).status_code == 404
    script = httpx.get(f"{edge.api}/docs/docs.js", trust_env=False)
    assert script.headers["Content-Type"].startswith("text/javascript")
