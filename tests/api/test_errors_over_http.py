"""Errors of every kind, in the dialect of their route."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import user_key

SHAPES = {
    "api/v1/none": "piglet",
    "api/v1/containers/x/none": "containers",
    "api/v1/images/x/none": "containers",
    "api/v1/metrics/none": "containers",
    "api/v1/vms/none": "voidvm",
    "api/v1/auth/none": "voidvm",
    "api/v1/datasources/none": "metadata",
    "containers/none/none": "matrix",
    "devices/none/none": "matrix",
    "images/none/none": "matrix",
}


def dialect_of(body: dict[str, Any]) -> str:
    if body.get("success") is False:
        return "voidvm"
    if body.get("status") == -1:
        return "matrix"
    if isinstance(body.get("error"), dict):
        return "piglet"
    return "containers" if isinstance(body.get("errors"), list) else "metadata"


@pytest.mark.parametrize(("path", "dialect"), SHAPES.items())
def test_an_unknown_path_is_404_in_its_prefixs_dialect(admin, path, dialect):
    reply = admin.get(f"../../{path}")
    assert reply.status_code == 404, reply.text
    assert dialect_of(reply.json()) == dialect


@pytest.mark.parametrize(("path", "dialect"), SHAPES.items())
def test_without_a_credential_it_is_401_in_the_same_dialect(anonymous, path, dialect):
    reply = anonymous.get(path)
    assert reply.status_code == 401
    assert dialect_of(reply.json()) == dialect
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_another_method_is_405_and_says_which_there_are(admin):
    reply = admin.put("containers", json={})
    assert reply.status_code == 405
    assert reply.headers["Allow"] == "GET, HEAD, POST"
    assert dialect_of(reply.json()) == "containers"
    assert admin.post("status").status_code == 405


def test_a_method_that_http_does_not_know_is_405(admin):
    reply = admin.request("BREW", "containers")
    assert reply.status_code == 405
    assert dialect_of(reply.json()) == "containers"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"', b'{"name": "\\u0000"}'])
def test_a_bad_body_is_400_and_names_the_field(admin, body):
    reply = admin.post("containers", content=body)
    assert reply.status_code == 400
    assert dialect_of(reply.json()) == "containers"
    assert [error["field"] for error in reply.json()["errors"]]


def test_every_wrong_field_is_named(admin):
    reply = admin.post("api-keys", json={"expires_at": "yesterday"})
    assert reply.status_code == 400
    assert set(reply.json()["error"]["details"]) == {"name", "expires_at"}


def test_a_body_is_json_whatever_its_content_type_says(admin):
    headers = {"Content-Type": "text/plain"}
    reply = admin.post("api-keys", content=b'{"name": "plain"}', headers=headers)
    assert reply.status_code == 201


def test_unknown_fields_are_ignored_and_named(admin):
    reply = admin.post("api-keys", json={"name": "typo", "expire_at": "2099-01-01"})
    assert reply.status_code == 201
    assert "expire_at" in reply.headers["Warnings"]
    assert "lmit" in admin.get("operations", params={"lmit": 1}).headers["Warnings"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"any": "object"}'])
def test_what_takes_no_body_takes_none_or_any_object(admin, body):
    reply = admin.request("DELETE", "api-keys/key-none", content=body)
    assert reply.status_code == 404


def test_a_long_body_is_413_before_it_is_sent(edge, admin):
    """The length alone is enough: the server answers while the body is still to come."""
    request = (
        f"POST {httpx.URL(edge.api).raw_path.decode()}/api-keys HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{edge.port}\r\n"
        f"X-API-Key: {edge.key()}\r\nContent-Length: 400000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(request.encode())
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"PAYLOAD_TOO_LARGE" in reply
    assert b"Connection: close" in reply


def test_a_body_that_may_not_be_sent_is_not_waited_for(edge):
    """Nobody fills the disk who lacks the permission to use what they send."""
    key = user_key(edge, "looker", role="viewer")
    request = (
        f"PUT {httpx.URL(edge.api).raw_path.decode()}/containers/none/archive?path=/ HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{edge.port}\r\n"
        f"X-API-Key: {key}\r\nContent-Length: 400000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(request.encode())
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 403")
    assert b"container:write" in reply


def test_a_long_body_without_a_length_is_413(admin):
    def pieces():
        for _ in range(40):
            yield b" " * 65536

    try:
        reply = admin.post("api-keys", content=pieces())
    except httpx.TransportError:
        # The refusal may meet the rest of the body on its way; asking again must work.
        assert admin.get("status").status_code == 200
        return
    assert reply.status_code == 413


def test_a_refusal_does_not_break_the_connection(edge):
    """The next request on the same connection is answered."""
    with httpx.Client(base_url=edge.url, trust_env=False) as client:
        for _ in range(20):
            refused = client.post("api/v1/api-keys", headers={"X-API-Key": "x"}, json={"a": 1})
            assert refused.status_code == 401
            assert client.get("api/v1/openapi.json").status_code == 200


def test_rfc_9457_on_request_and_only_then(admin):
    reply = admin.get("none", headers={"Accept": "application/problem+json"})
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["status"] == 404
    assert reply.json()["request_id"] == reply.headers["X-Request-Id"]
    matrix = admin.get("../../containers/1/none", headers={"Accept": "application/problem+json"})
    assert (matrix.status_code, matrix.json()["status"]) == (404, 404)


def test_a_missing_engine_is_503_in_its_routes_dialect_with_the_cure(admin):
    reply = admin.get("containers")
    assert reply.status_code == 503
    assert dialect_of(reply.json()) == "containers"
    assert "systemctl start docker" in reply.json()["message"]
    assert admin.get("images").status_code == 503
    reply = admin.post("containers", json={"image": "busybox", "name": "x"})
    assert reply.status_code == 503


def test_status_says_what_is_missing_and_how_to_get_it(edge, admin):
    status = admin.get("status").json()
    assert status["status"] == "degraded"
    assert status["services"]["docker"] == "stopped"
    assert status["services"]["jupyter"] == "running"
    (problem,) = status["problems"]
    assert "no-engine.sock" in problem["what"]
    assert "systemctl start docker" in problem["cure"]
    assert problem["cure"] in edge.log


def test_system_has_true_values(admin):
    import os
    import platform

    system = admin.get("system").json()
    assert system["hostname"] == platform.node()
    assert system["cpu"] == os.cpu_count()
    assert system["os"].startswith(platform.freedesktop_os_release()["NAME"])
    assert system["memory"].endswith("GB")
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < system["memory_bytes"] <= total
    assert system["disk_bytes"] > 0


def test_resources_are_counted_while_no_engine_answers(admin):
    data = admin.get("metrics/resources").json()["data"]
    assert 0 <= data["cpu_usage"] <= 100
    assert 0 < data["memory_usage"] < data["memory_total"]
    assert 0 < data["disk_usage"] < 100
    assert data["network"]["rx_bytes"] >= 0


def test_an_idempotency_key_acts_once(admin):
    headers = {"Idempotency-Key": f"k-{time.time_ns()}"}
    first = admin.post("users", json={"username": "once", "password": "secret"}, headers=headers)
    again = admin.post("users", json={"username": "once", "password": "secret"}, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = admin.post("users", json={"username": "twice", "password": "secret"}, headers=headers)
    assert other.status_code == 409


def test_a_failed_request_frees_its_idempotency_key(admin):
    headers = {"Idempotency-Key": f"k-{time.time_ns()}"}
    assert admin.post("users", json={"username": "X"}, headers=headers).status_code == 400
    made = {"username": "afterwards", "password": "secret"}
    assert admin.post("users", json=made, headers=headers).status_code == 201


def test_a_new_key_is_not_kept_by_its_idempotency_key(edge, admin):
    """The reply holds a secret that the store must not have in clear."""
    headers = {"Idempotency-Key": f"k-{time.time_ns()}"}
    made = admin.post("api-keys", json={"name": "once"}, headers=headers).json()
    stored = b"".join(path.read_bytes() for path in edge.home.glob("store.db*"))
    assert made["key"][3:].encode() not in stored
    assert admin.post("api-keys", json={"name": "once"}, headers=headers).json() == made
