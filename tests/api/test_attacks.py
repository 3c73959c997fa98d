"""What a stranger tries at the door, as they would: by HTTP and WebSocket, on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import socket as sockets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jupyter_ext.accounts.tokens import Claims, Tokens
from jupyter_ext.store import Store

from ..engines import jupyter
from .conftest import ADMIN, ALICE, PASSWORD, UNLIMITED
from .test_logins import bearer
from .test_web_socket import ask, close_of, socket

T = TypeVar("T")

FRIEND = "http://friend.example"
EVIL = "http://evil.example"
CONTENT = "api/v1/users/alice"


@pytest.fixture(scope="module")
def server(open_house: jupyter.JupyterServer) -> jupyter.JupyterServer:
    """A server without the limits that these tests would meet."""
    return open_house


@pytest.fixture(scope="module")
def guarded() -> Iterator[jupyter.JupyterServer]:
    """A server with the documented limit of logins, whose replies pages of one origin may read."""
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {"rate_limits": UNLIMITED, "admin_password": PASSWORD},
        "ServerApp": {"allow_origin": FRIEND},
    }
    with jupyter.jupyter_server(config=config) as running:
        yield running


@pytest.fixture
def page(server: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    """Somebody without any credential, with a cookie jar."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def alice_key(server: jupyter.JupyterServer) -> str:
    """An API key of Alice's."""
    return server.user_key("alice")


@pytest.fixture
def token(page: httpx.Client) -> str:
    """A token of a new login of Alice's."""
    return str(page.post("api/v1/auth/login", json=ALICE).json()["token"])


def in_store(url: str, ask: Callable[[Tokens], T]) -> T:
    """Ask whoever signs the tokens of a store."""

    async def run() -> T:
        store = Store(url)
        await store.open()
        try:
            tokens = Tokens(store)
            await tokens.ready()
            return ask(tokens)
        finally:
            await store.close()

    return asyncio.run(run())


def store_of(server: jupyter.JupyterServer) -> str:
    return f"sqlite:///{server.home / 'store.db'}"


def forged(server: jupyter.JupyterServer, token: str, kind: Any, lifetime: float) -> str:
    """A token of the same login, signed with the right key, for another purpose or time."""

    def make(tokens: Tokens) -> str:
        said: Claims = tokens.read(token, "access")
        return tokens.make(kind, said.user, said.session, said.generation, lifetime)

    return in_store(store_of(server), make)


# -- where a credential does not belong ----------------------------------------------------------


@pytest.mark.parametrize("name", ["token", "api_key", "apikey", "access_token", "key", "X-API-Key"])
def test_a_credential_in_an_address_opens_nothing(page, alice_key, token, name):
    for value in (alice_key, token, f"Bearer {alice_key}"):
        reply = page.get(CONTENT, params={name: value})
        assert reply.status_code in (401, 403), reply.text
        assert "alice@" not in reply.text
        assert "set-cookie" not in reply.headers or "username" not in reply.headers["set-cookie"]


def test_a_key_in_an_address_opens_no_socket(server, alice_key):
    with socket(server, query=f"?token={alice_key}") as opened:
        assert ask(opened, "subscribe", {"topic": "operations"})["data"]["code"] == "UNAUTHORIZED"
    for query in (f"?token={alice_key}", f"?api_key={alice_key}"):
        with (
            pytest.raises(InvalidStatus) as refused,
            socket(server, None, "api/v1/containers/x/exec", query),
        ):
            pass
        assert refused.value.response.status_code == 401


# -- odd headers ---------------------------------------------------------------------------------


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


DEEP = base64.urlsafe_b64encode(b"[" * 20_000).decode().rstrip("=")
ODD = {
    "a scheme alone": [b"Authorization: Bearer"],
    "nothing behind it": [b"Authorization: Bearer  \t "],
    "two words": [b"Authorization: Bearer jx_a jx_b"],
    "a list": [b"Authorization: Bearer {key}, Bearer jx_wrong"],
    "sent twice": [b"Authorization: Bearer {key}", b"Authorization: Bearer jx_wrong"],
    "a key sent twice": [b"X-API-Key: {key}", b"X-API-Key: jx_wrong"],
    "bytes that are no text": [b"Authorization: Bearer \x80\xff\xfe"],
    "a key of such bytes": [b"X-API-Key: jx_\xed\xa0\x80\xff" + b"A" * 40],
    "a NUL": [b"X-API-Key: {key}\0"],
    "60 kB": [b"Authorization: Bearer jx_" + b"A" * 60_000],
    "a token of 60 kB": [b"Authorization: Bearer ey" + b"A" * 59_000 + b".e30.AAAA"],
    "dots only": [b"Authorization: Bearer ey" + b"." * 30_000],
    "a deep header": [f"Authorization: Bearer ey.{DEEP}.x".encode()],
    "a deep payload": [f"Authorization: Bearer {part({'alg': 'HS256'})}.{DEEP}.x".encode()],
    "a list of names": [f"Authorization: Bearer {part({'alg': ['HS256']})}.e30.x".encode()],
    "unsigned": [f"Authorization: Bearer {part({'alg': 'none'})}.{part({'sub': 'u'})}.".encode()],
    "another scheme": [b"Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ=="],
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_header_is_refused_quickly_and_hurts_nobody(server, page, alice_key, what):
    lines = [line.replace(b"{key}", alice_key.encode()) for line in ODD[what]]
    began = time.monotonic()
    status, body = raw(server, "GET", CONTENT, lines)
    assert time.monotonic() - began < 5
    if what == "a NUL":
        # No HTTP at all: the web server answers for itself.
        assert status in (400, 401)
        return
    # Without any credential Jupyter's own words are 401 or, for another scheme, its 403.
    assert status == 401, body
    assert json.loads(body)["error"]["code"] in ("UNAUTHORIZED", "UNAUTHENTICATED")
    assert page.get(CONTENT, headers={"X-API-Key": alice_key}).is_success
    assert "Traceback" not in server.log


def test_a_header_beyond_all_bounds_ends_the_connection_alone(server, page, alice_key):
    try:
        status, _ = raw(server, "GET", CONTENT, [b"X-API-Key: jx_" + b"A" * 2_000_000])
    except ConnectionError:
        status = 0
    assert status in (0, 400, 413, 431)
    assert page.get(CONTENT, headers={"X-API-Key": alice_key}).is_success


def raw(
    server: jupyter.JupyterServer, method: str, path: str, lines: list[bytes]
) -> tuple[int, bytes]:
    """Send lines as they are and return status and body; 0 where there is no answer."""
    target = httpx.URL(server.url).raw_path + path.encode()
    head = [
        method.encode() + b" " + target + b" HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}".encode(),
        b"Connection: close",
        *lines,
    ]
    with sockets.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"\r\n".join([*head, b"", b""]))
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    before, _, body = reply.partition(b"\r\n\r\n")
    return int(before.split()[1]) if before else 0, body


# -- tokens of others ----------------------------------------------------------------------------


def test_a_token_of_another_store_opens_nothing(server, page, token, sqlite_template, tmp_path):
    other = tmp_path / "store.db"
    other.write_bytes(Path(sqlite_template).read_bytes())
    said = in_store(store_of(server), lambda tokens: tokens.read(token, "access"))

    def make(tokens: Tokens) -> str:
        return tokens.make("access", said.user, said.session, said.generation, 3600)

    foreign = in_store(f"sqlite:///{other}", make)
    assert page.get(CONTENT, headers=bearer(token)).is_success
    assert page.get(CONTENT, headers=bearer(foreign)).status_code == 401
    header, payload, _ = token.split(".")
    _, _, signature = foreign.split(".")
    assert page.get(CONTENT, headers=bearer(f"{header}.{payload}.{signature}")).status_code == 401
    assert page.post("api/v1/auth/refresh", headers=bearer(foreign)).status_code == 401
    assert page.get(CONTENT, headers=bearer(token)).is_success


def test_two_header_credentials_that_disagree_are_401(server, page, alice_key, token):
    for headers, status in (
        ({"X-API-Key": server.key(), **bearer(token)}, 401),
        ({"X-API-Key": alice_key, **bearer(token)}, 200),
        ({"X-API-Key": alice_key, **bearer(token[:-4] + "AAAA")}, 401),
        ({"X-API-Key": "jx_" + "A" * 49, **bearer(token)}, 401),
        ({"X-API-Key": token, **bearer(token)}, 401),
        ({"X-API-Key": alice_key, "Authorization": f"token {server.token}"}, 401),
    ):
        assert page.get(CONTENT, headers=headers).status_code == status, headers


# -- names that would be headers -----------------------------------------------------------------


NAMES = [
    "a\r\nSet-Cookie: user_token=x",
    "a\nX: y",
    "a; Domain=evil.example",
    "a,b",
    'a"b',
    "a\u2028b",
]


def test_a_name_never_becomes_a_header(page):
    for name in NAMES:
        body = {"username": name, "password": "secret pass"}
        for path, status in (("api/register", 400), ("api/login", 401)):
            refused = page.post(path, json=body)
            assert refused.status_code == status
            assert "set-cookie" not in refused.headers
            assert "x" not in refused.headers
    assert not page.cookies.get("user_token")


def test_a_name_in_a_cookie_is_only_compared(server, page):
    page.post("api/login", json=ALICE)
    good = page.cookies["user_token"]
    for name in (
        b"admin",
        b"alice\tX: y",
        b'"alice\\015\\012Set-Cookie: a=b"',
        b"alice%0d%0aX:%20y",
        b"\xff\xfe",
        b"",
    ):
        line = b"Cookie: username=" + name + b"; user_token=" + good.encode()
        status, body = raw(server, "POST", "api/verify", [line, b"Content-Length: 0"])
        assert status == 401, name
        assert b"Set-Cookie" not in body
    line = b"Cookie: username=alice; user_token=" + good.encode()
    assert raw(server, "POST", "api/verify", [line, b"Content-Length: 0"])[0] == 200


# -- sockets -------------------------------------------------------------------------------------


def is_alice(opened: Any) -> bool:
    return bool(ask(opened, "auth")["data"]["user"]["username"] == "alice")


@pytest.mark.parametrize("path", ["ws", "api/v1/ws"])
def test_a_token_opens_a_socket_by_its_address(server, token, path):
    with socket(server, path=path, query=f"?token={token}") as opened:
        assert is_alice(opened)


def test_a_token_opens_a_socket_by_its_first_frame(server, token):
    with socket(server) as opened:
        assert ask(opened, "auth", {"token": token})["type"] == "auth"
        assert is_alice(opened)


def test_a_token_that_is_over_or_for_something_else_opens_no_socket(server, token):
    over = forged(server, token, "access", -60)
    others = [forged(server, token, kind, 3600) for kind in ("refresh", "cookie")]
    # What was forged with the right key and says the right things is no forgery.
    with socket(server, query=f"?token={forged(server, token, 'access', 3600)}") as opened:
        assert is_alice(opened)
    for bad in (over, *others, token[:-4] + "AAAA"):
        with pytest.raises(InvalidStatus) as refused, socket(server, query=f"?token={bad}"):
            pass
        assert refused.value.response.status_code == 401
        with socket(server) as opened:
            assert ask(opened, "auth", {"token": bad})["data"]["code"] == "UNAUTHORIZED"
            assert ask(opened, "subscribe", {"topic": "operations"})["type"] == "error"


@pytest.mark.parametrize("how", ["header", "address", "frame", "cookie"])
def test_a_socket_ends_with_its_login(server, page, token, how):
    headers, query = {}, ""
    if how == "header":
        headers = bearer(token)
    if how == "address":
        query = f"?token={token}"
    if how == "cookie":
        page.post("api/login", json=ALICE)
        headers = {"Cookie": cookies(page)}
    with socket(server, headers, query=query) as opened:
        if how == "frame":
            ask(opened, "auth", {"token": token})
        assert is_alice(opened)
        if how == "cookie":
            assert page.post("api/logout").is_success
        else:
            assert page.post("api/v1/auth/logout", headers=bearer(token)).is_success
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                opened.recv(timeout=10)
        assert time.monotonic() - began < 3
        assert close_of(closed)[0] == 4401


def test_a_socket_ends_when_its_token_does(server, token):
    # Two servers' clocks may differ by ten seconds, so that one that is over by nine still opens.
    brief = forged(server, token, "access", -8)
    with socket(server, query=f"?token={brief}") as opened, pytest.raises(ConnectionClosed):
        while True:
            opened.recv(timeout=15)


def cookies(page: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in page.cookies.items())


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_page_of_another_origin_opens_no_socket_with_cookies(server, page, headers):
    page.post("api/login", json=ALICE)
    sent = {"Cookie": cookies(page), **headers}
    for path in ("api/v1/ws", "ws", "api/v1/containers/x/exec"):
        with pytest.raises(InvalidStatus) as refused, socket(server, sent, path):
            pass
        assert refused.value.response.status_code == 403
    own = {"Cookie": cookies(page), "Origin": f"http://127.0.0.1:{server.port}"}
    with socket(server, own) as opened:
        assert is_alice(opened)


# -- pages of other origins ----------------------------------------------------------------------

ALLOW = "access-control-allow-origin"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


def test_no_page_of_another_origin_reads_anything(server, page, alice_key, token):
    page.post("api/login", json=ALICE)
    for headers in ({}, {"X-API-Key": alice_key}, bearer(token)):
        for path in (CONTENT, "api/v1/none", "api/v1/openapi.json", "api/v1/status"):
            reply = page.get(path, headers={"Origin": EVIL, **headers})
            assert ALLOW not in reply.headers
    for path in (CONTENT, "api/v1/auth/login"):
        asked = page.options(path, headers={"Origin": EVIL, **PREFLIGHT})
        assert not [name for name in asked.headers if name.startswith("access-control")]
    assert ALLOW not in page.post("api/v1/login", json=ALICE, headers={"Origin": EVIL}).headers


def test_pages_of_the_administrators_origin_log_in_and_read(guarded):
    with httpx.Client(base_url=guarded.url, trust_env=False, timeout=30) as there:
        friend = {"Origin": FRIEND}
        for path in ("api/v1/auth/login", "api/v1/users", "api/v1/none"):
            # As a browser asks: without any credential.
            asked = there.options(path, headers={**friend, **PREFLIGHT})
            assert asked.status_code == 204, asked.text
            assert asked.headers[ALLOW] == FRIEND
            sendable = asked.headers["access-control-allow-headers"].lower()
            assert {"authorization", "content-type"} <= set(sendable.split(", "))
        asked = there.options("api/v1/users", headers={**friend, **PREFLIGHT})
        assert "POST" in asked.headers["access-control-allow-methods"]

        reply = there.post("api/v1/auth/login", json=ADMIN, headers=friend)
        assert reply.headers[ALLOW] == FRIEND
        mine = {**friend, **bearer(reply.json()["token"])}
        read = there.get("api/v1/users", headers=mine)
        assert (read.status_code, read.headers[ALLOW]) == (200, FRIEND)
        assert "X-Request-Id" in read.headers["access-control-expose-headers"]
        # Also why it is refused.
        refused = there.get("api/v1/users", headers={**friend, **bearer("eyJh.eyJz.x")})
        assert (refused.status_code, refused.headers[ALLOW]) == (401, FRIEND)
        for origin in (EVIL, f"{FRIEND}.evil.example", "null", "https://friend.example"):
            other = there.options("api/v1/users", headers={"Origin": origin, **PREFLIGHT})
            # A browser compares it with the page's own.
            assert other.headers.get(ALLOW) in (None, FRIEND)
            assert other.headers.get("access-control-allow-credentials") is None
            with pytest.raises(InvalidStatus) as unwanted, socket(guarded, origin=origin):
                pass
            assert unwanted.value.response.status_code == 403
        with socket(guarded, origin=FRIEND) as opened:
            assert ask(opened, "auth", {"token": mine["Authorization"][7:]})["type"] == "auth"
        unasked = there.options("api/v1/users", headers=friend)
        assert unasked.status_code == 401


# -- many at once --------------------------------------------------------------------------------


def test_fifty_at_once_from_one_address_get_ten_tries(guarded):
    """Whatever names they try, and whatever address they say that they come from."""
    login = f"{guarded.api}/auth/login"
    seen: Counter[int] = Counter()
    # Fifty connections are open at once, each of them the client's own.
    fifty = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    with httpx.Client(trust_env=False, timeout=60, limits=fifty) as client:

        def wrong(number: int) -> int:
            body = {"username": f"name-{number}", "password": "wrong one"}
            headers = {"X-Forwarded-For": f"10.0.0.{number}", "X-Real-Ip": f"10.0.1.{number}"}
            return client.post(login, json=body, headers=headers).status_code

        with ThreadPoolExecutor(50) as threads:
            for _ in range(3):
                seen.update(threads.map(wrong, range(50)))
        assert set(seen) == {401, 429}
        assert seen[401] <= 10
        held = client.post(login, json=ADMIN)
        assert held.status_code == 429
        assert 1 <= int(held.headers["Retry-After"]) <= 60
        # Nobody is locked out: a key and Jupyter's own login go on.
        for sent in ({"X-API-Key": guarded.key()}, {"Authorization": f"token {guarded.token}"}):
            assert client.get(f"{guarded.api}/users", headers=sent).is_success
