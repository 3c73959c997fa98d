"""The event WebSocket: who gets in, what is answered, what is sent."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ..engines import scratch
from .conftest import browser, user_key


def address(server, path="api/v1/ws", query=""):
    return "ws" + server.url.removeprefix("http") + path + query


@contextmanager
def socket(server, headers=None, path="api/v1/ws", query="", **options):
    options.setdefault("open_timeout", 10)
    where = address(server, path, query)
    with connect(where, additional_headers=headers or {}, proxy=None, **options) as opened:
        yield opened


def ask(opened, kind, data=None, ident="1"):
    opened.send(json.dumps({"type": kind, "data": data or {}, "id": ident}))
    return answer(opened, ident)


def answer(opened, ident="1"):
    while True:
        frame = json.loads(opened.recv(timeout=10))
        if frame.get("id") == ident:
            return frame


def close_of(closed):
    """Return the code and the reason with which the server closed a socket."""
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def key(server):
    return {"X-API-Key": server.key()}


@pytest.mark.parametrize("path", ["ws", "api/v1/ws"])
def test_a_header_key_opens_it(edge, path):
    with socket(edge, key(edge), path) as opened:
        reply = ask(opened, "auth")
        assert reply["type"] == "auth"
        assert reply["data"]["user"]["username"] == "admin"
        assert reply["timestamp"].endswith("Z")


def test_jupyters_token_opens_it(edge):
    with socket(edge, query=f"?token={edge.token}") as opened:
        assert ask(opened, "auth")["data"]["user"]["username"] == "admin"


def test_the_first_frame_opens_it(edge):
    with socket(edge) as opened:
        refused = ask(opened, "subscribe", {"topic": "operations"})
        assert refused["type"] == "error"
        assert refused["data"]["code"] == "UNAUTHORIZED"
        assert ask(opened, "auth", {"token": "jx_wrong"})["data"]["code"] == "UNAUTHORIZED"
        assert ask(opened, "auth", {"token": edge.key()})["type"] == "auth"
        assert ask(opened, "subscribe", {"topic": "operations"})["type"] == "subscribe"


def test_a_bad_header_key_is_401_before_it_opens(edge):
    with pytest.raises(InvalidStatus) as refused, socket(edge, {"X-API-Key": "x"}):
        pass
    assert refused.value.response.status_code == 401


def test_a_page_of_another_origin_can_not_use_the_cookie(edge):
    """Cross-site WebSocket hijacking."""
    with browser(edge) as client:
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    with socket(edge, cookie, origin=f"http://127.0.0.1:{edge.port}") as opened:
        assert ask(opened, "auth")["type"] == "auth"
    with (
        pytest.raises(InvalidStatus) as refused,
        socket(edge, cookie, origin="http://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_the_eleventh_socket_of_a_key_is_refused_with_a_reason(edge):
    headers = {"X-API-Key": user_key(edge, "many")}
    with ExitStack() as stack:
        opened = [stack.enter_context(socket(edge, headers)) for _ in range(10)]
        with pytest.raises(InvalidStatus) as refused, socket(edge, headers):
            pass
        assert refused.value.response.status_code == 429
        assert b"10 WebSockets" in refused.value.response.body
        with socket(edge) as late:
            late.send(json.dumps({"type": "auth", "data": {"token": headers["X-API-Key"]}}))
            with pytest.raises(ConnectionClosed) as closed:
                late.recv(timeout=10)
            assert close_of(closed)[0] == 4429
        opened[0].close()
        scratch.wait_until(lambda: opens(edge, headers), "the place of the closed one")


def opens(edge, headers):
    try:
        with socket(edge, headers) as opened:
            return ask(opened, "auth")["type"] == "auth"
    except InvalidStatus:
        return False


def test_of_two_keys_the_one_that_opened_ends_its_sockets(edge, admin):
    made = admin.post("api-keys", json={"name": "bearer"}).json()
    headers = {"X-API-Key": edge.key(), "Authorization": f"Bearer {made['key']}"}
    with socket(edge, headers) as opened:
        assert ask(opened, "auth")["type"] == "auth"
        admin.delete(f"api-keys/{made['id']}")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=10)
        assert close_of(closed)[0] == 4401


def test_a_proxys_own_authorization_ends_no_socket(edge, admin, anonymous):
    behind = {"username": "behind", "password": "a proxy that asks, too"}
    admin.post("users", json=behind).raise_for_status()
    token = anonymous.post("api/v1/auth/login", json=behind).json()["token"]
    headers = {"Authorization": "Basic cHJveHk6cHJveHk="}
    with socket(edge, headers, query=f"?token={token}") as opened:
        assert ask(opened, "auth")["type"] == "auth"
        with pytest.raises(TimeoutError):
            opened.recv(timeout=2.5)


def test_a_revoked_key_ends_its_sockets(edge, admin):
    made = admin.post("api-keys", json={"name": "socket"}).json()
    with socket(edge, {"X-API-Key": made["key"]}) as opened:
        assert ask(opened, "auth")["type"] == "auth"
        admin.delete(f"api-keys/{made['id']}")
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=10)
        code, reason = close_of(closed)
        assert code == 4401
        assert "revoked" in reason


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        "null",
        '{"type": 1}',
        '{"type": "none"}',
        '{"type": "subscribe", "data": 3}',
        "\0",
    ],
)
def test_what_is_not_understood_is_an_error_frame(edge, message):
    with socket(edge, key(edge)) as opened:
        opened.send(message)
        frame = json.loads(opened.recv(timeout=10))
        assert frame["type"] == "error"
        assert frame["data"]["code"]
        assert ask(opened, "auth")["type"] == "auth"


def test_an_unknown_topic_names_those_that_there_are(edge):
    with socket(edge, key(edge)) as opened:
        reply = ask(opened, "subscribe", {"topic": "none"})
        assert reply["type"] == "error"
        assert "container-logs" in reply["data"]["details"]["topic"]


def test_a_frame_that_is_too_long_closes_it(edge):
    with socket(edge, key(edge)) as opened, pytest.raises(ConnectionClosed):
        # It may be closed before all of it is sent.
        opened.send(json.dumps({"type": "x" * (2 << 20)}))
        while True:
            opened.recv(timeout=10)


def test_events_follow_a_subscription_until_it_ends(edge, admin):
    with socket(edge, key(edge)) as opened:
        assert ask(opened, "subscribe", {"topic": "events"})["data"]["topic"] == "events"
        admin.post("users", json={"username": "framed", "password": "secret"})
        frame = json.loads(opened.recv(timeout=10))
        assert frame["type"] == "events"
        assert frame["data"]["topic"] == "users"
        assert frame["eventId"]
        assert ask(opened, "unsubscribe", {"topic": "events"})["type"] == "unsubscribe"
        admin.post("users", json={"username": "unframed", "password": "secret"})
        with pytest.raises(TimeoutError):
            opened.recv(timeout=0.5)


def test_resume_brings_what_was_missed(edge, admin):
    with socket(edge, key(edge)) as opened:
        last = ask(opened, "subscribe", {"topic": "events"})["data"]["lastEventId"]
    admin.post("users", json={"username": "resumed", "password": "secret"})
    with socket(edge, key(edge)) as opened:
        ask(opened, "subscribe", {"topic": "events"}, "s")
        opened.send(json.dumps({"type": "resume", "data": {"lastEventId": last}, "id": "r"}))
        missed = json.loads(opened.recv(timeout=10))
        assert missed["data"]["data"]["user"]["username"] == "resumed"
        assert answer(opened, "r")["data"]["resumed"] is True
        assert ask(opened, "resume", {"lastEventId": "old-1"})["data"]["resumed"] is False


def test_the_engines_state_is_told(edge):
    with socket(edge, key(edge)) as opened:
        data = ask(opened, "subscribe", {"topic": "engine"})["data"]
        assert data["available"] is False
        assert "systemctl start docker" in data["cure"]


def test_an_exec_socket_needs_a_credential_before_it_opens(edge):
    for headers, status in (({}, 401), ({"X-API-Key": "x"}, 401)):
        with (
            pytest.raises(InvalidStatus) as refused,
            socket(edge, headers, "api/v1/containers/x/exec"),
        ):
            pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["code"] == 401


def test_a_plain_get_of_a_socket_is_refused_in_the_dialect(edge):
    reply = httpx.get(edge.api + "/ws", headers=key(edge), trust_env=False)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "INVALID_REQUEST"


def test_a_server_that_stops_says_good_bye(make_server):
    """Neither an open socket nor an open stream holds up its end."""
    server = make_server()
    with (
        server.client() as client,
        client.stream("GET", "events") as stream,
        socket(server, key(server)) as opened,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": welcome"
        ask(opened, "subscribe", {"topic": "operations"})
        server.stop()
        # It ended by itself: whoever does not is killed.
        assert server.process.returncode == 0, server.log
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                opened.recv(timeout=10)
        assert close_of(closed)[0] == 1001
        # It ends as a whole reply does; one that was broken off would raise.
        assert not [line for line in lines if line]
