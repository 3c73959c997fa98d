"""Bodies that go to the disk: how long they may be, and how many at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from ..engines import jupyter
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .api_users import User

PATH = "/containers/none/archive?path=/"
LIMIT = 3 << 20
JoinAs = Callable[[JupyterServer, str], User]


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    """A server that takes three megabytes, and has no engine."""
    config: dict[str, dict[str, Any]] = {
        "ServerApp": {"max_body_size": LIMIT},
        "JupyterExt": {"rate_limits": {"containers": {"amount": 0}}},
    }
    with jupyter.jupyter_server(config=config) as running:
        yield running


@pytest.fixture
def alice(server: JupyterServer, join_as: JoinAs) -> User:
    return join_as(server, "alice")


@pytest.fixture
def bob(server: JupyterServer, join_as: JoinAs) -> User:
    return join_as(server, "bob")


def begin(user: User, length: int = LIMIT, more: str = "") -> socket.socket:
    """Send the head of an upload and a little of its body."""
    server = user.server
    head = (
        f"PUT {httpx.URL(server.api).raw_path.decode()}{PATH} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{server.port}\r\nX-API-Key: {user.key}\r\n"
        f"Content-Type: application/x-tar\r\nContent-Length: {length}\r\n{more}\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(head.encode() + b"x" * 1000)
    return connection


def begin_taken(user: User) -> socket.socket:
    """Send the same, and return once the server has taken the head and waits for the body."""
    connection = begin(user, more="Expect: 100-continue\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 100")
    return connection


def status(user: User) -> int:
    """Send a small upload; without an engine a good one is 503."""
    return user.http.put(PATH, content=b"small").status_code


@pytest.mark.parametrize("length", [LIMIT + 1, LIMIT + (1 << 20), 10 * LIMIT, 100 * LIMIT])
def test_a_body_that_jupyter_does_not_take_is_refused_in_the_dialect(
    alice: User, length: int
) -> None:
    with begin(alice, length) as connection:
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413"), reply
    assert f"the {LIMIT} bytes".encode() in reply
    assert b'"code":413' in reply.replace(b" ", b"")


def test_a_body_without_a_length_that_is_too_long(alice: User) -> None:
    pieces = (b"x" * 65536 for _ in range(LIMIT // 65536 + 2))
    try:
        reply = alice.http.put(PATH, content=pieces)
    except httpx.TransportError:
        # The refusal may meet the rest of the body on its way.
        reply = None
    assert reply is None or reply.status_code == 413
    assert status(alice) == 503


def test_as_long_as_it_may_be(alice: User) -> None:
    assert alice.http.put(PATH, content=b"x" * LIMIT).status_code == 503


def test_uploads_of_one_account_at_once(alice: User, bob: User) -> None:
    with ExitStack() as stack:
        first, _ = (stack.enter_context(begin_taken(alice)) for _ in range(2))
        reply = alice.http.put(PATH, content=b"small")
        assert reply.status_code == 429, reply.text
        assert "2 at once is the limit" in reply.json()["message"]
        assert reply.headers["Retry-After"] == "10"
        # Long ones are not waited for.
        with begin(alice) as third:
            assert third.recv(65536).startswith(b"HTTP/1.1 429")
        assert status(bob) == 503
        # Half an upload whose sender goes away counts no more.
        first.close()
        wait_until(lambda: status(alice) == 503, "a free place", 10)
    # One that ends counts no more, however often.
    for _ in range(5):
        wait_until(lambda: status(alice) == 503, "a free place", 10)
