"""Two servers of one home: one is the desk, the other forwards to it and succeeds it."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from jupyter_ext.desk.carried import LOGINS
from jupyter_ext.endpoints import ROUTES

from ..api.conftest import UNLIMITED, browser, user_key
from ..api.test_event_stream import Stream
from ..engines import jupyter, scratch

PASSWORD = "correct horse"
CONFIG = {"JupyterExt": {"rate_limits": UNLIMITED, "admin_password": PASSWORD}}


class Pair:
    """A desk and a server that forwards to it."""

    def __init__(self, stack: ExitStack, home: Path, docker: str) -> None:
        self.desk = stack.enter_context(
            jupyter.jupyter_server(home=home, docker_host=docker, config=CONFIG)
        )
        self.other = stack.enter_context(
            jupyter.jupyter_server(
                home=home, docker_host=docker, base_url="/second/", token="another", config=CONFIG
            )
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory, docker_engine):
    with ExitStack() as stack:
        yield Pair(stack, tmp_path_factory.mktemp("home"), docker_engine.url)


def status_of(server, **options):
    return httpx.get(server.api + "/status", trust_env=False, **options)


def test_only_one_of_them_is_the_desk(pair):
    found = json.loads((pair.desk.home / "server.json").read_text())
    assert found["url"] == pair.desk.url
    assert found["pid"] == pair.desk.process.pid
    assert f"forwards to the desk at {pair.desk.url}" in pair.other.log


def test_both_answer_with_one_key(pair):
    headers = {"X-API-Key": pair.desk.key()}
    assert status_of(pair.desk, headers=headers).json()["services"]["docker"] == "running"
    assert status_of(pair.other, headers=headers).json()["services"]["docker"] == "running"


def test_each_servers_own_login_is_the_owner_and_means_nothing_to_the_other(pair):
    own = {"Authorization": f"token {pair.other.token}"}
    made = httpx.post(pair.other.api + "/api-keys", headers=own, json={"name": "through"})
    assert made.status_code == 201, made.text
    assert made.json()["owner"] == "admin"
    assert status_of(pair.desk, headers=own).status_code == 401
    theirs = {"Authorization": f"token {pair.desk.token}"}
    assert status_of(pair.other, headers=theirs).status_code == 401


def test_the_forwarders_cookie_needs_its_xsrf_token(pair):
    with browser(pair.other) as client:
        assert client.get("api/v1/status").status_code == 200
        assert client.post("api/v1/api-keys", json={"name": "x"}).status_code in (401, 403)
        headers = {"X-XSRFToken": client.cookies["_xsrf"]}
        made = client.post("api/v1/api-keys", json={"name": "x"}, headers=headers)
        assert made.status_code == 201


def test_a_foreign_origin_gets_nothing_through_the_forwarder(pair):
    with browser(pair.other) as client:
        headers = {"X-XSRFToken": client.cookies["_xsrf"], "Origin": "http://evil.example"}
        assert client.post("api/v1/api-keys", json={"name": "x"}, headers=headers).is_error
        assert client.get("api/v1/status", headers=headers).is_error


def test_users_stay_themselves_through_it(pair):
    headers = {"X-API-Key": user_key(pair.desk, "eve")}
    made = httpx.post(pair.other.api + "/users", headers=headers, json={"username": "x"})
    assert made.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "api/v1/status", 401),
        ("GET", "api/v1/containers/none", 401),
        ("POST", "api/v1/images/pull", 401),
        ("GET", "api/v1/openapi.json", 200),
    ],
)
def test_strangers_are_refused_by_the_desk_in_its_dialects(pair, method, path, status):
    there = httpx.request(method, pair.desk.url + path, trust_env=False)
    here = httpx.request(method, pair.other.url + path, trust_env=False)
    assert here.status_code == there.status_code == status
    if status != 200:
        assert here.json() == there.json()


@pytest.mark.parametrize("dots", ["..", "%2e%2e", "%2E."])
def test_no_path_leads_out_of_what_is_ours(pair, dots):
    """The desk's Jupyter, and whatever shares its address, is none of the forwarder's callers'."""
    base = pair.other.url.removeprefix(f"http://127.0.0.1:{pair.other.port}")
    request = (
        f"GET {base}api/v1/{dots}/{dots}/api HTTP/1.1\r\nHost: 127.0.0.1:{pair.other.port}\r\n"
        f"X-API-Key: {pair.desk.key()}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", pair.other.port), timeout=5) as connection:
        connection.sendall(request.encode())
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 404")
    assert b"version" not in reply


def test_errors_headers_and_locations_pass(pair, busybox_image):
    with pair.other.client() as client:
        headers = {"Prefer": "respond-async"}
        reply = client.post("images/pull", json={"name": "127.0.0.1:1/no"}, headers=headers)
        assert reply.status_code == 202
        assert reply.headers["Location"].startswith("/second/api/v1/operations/op-")
        assert client.put("containers").status_code == 405
        assert client.put("containers").headers["Allow"] == "GET, HEAD, POST"


def test_a_container_made_through_one_is_seen_by_both(pair, busybox_image):
    with pair.other.client() as other, pair.desk.client() as desk:
        body = {"name": "shared", "image": busybox_image, "command": ["sleep", "600"]}
        made = other.post("containers", json=body).json()
        assert made["code"] == 200, made
        assert desk.get("containers/shared").json()["data"]["id"] == made["data"]["id"]
        assert other.delete("containers/shared").status_code == 200


def test_a_made_up_key_fills_no_disk(pair):
    """A long body is read only after the desk has judged the key."""
    big = b" " * (3 << 20)
    headers = {"X-API-Key": "jx_made-up"}
    url = pair.other.api + "/containers/x/archive"
    try:
        refused = httpx.put(url, params={"path": "/"}, headers=headers, content=big)
    except httpx.TransportError:
        # The refusal may meet the rest of the body on its way.
        return
    assert refused.status_code == 401


def test_a_long_body_with_a_good_key_passes(pair):
    with pair.other.client() as client:
        reply = client.put(
            "containers/none/archive", params={"path": "/"}, content=b" " * (3 << 20)
        )
        assert reply.status_code == 404


def test_events_stream_through_it(pair):
    with (
        pair.other.client() as client,
        client.stream("GET", "events", params={"topics": "users"}) as reply,
    ):
        stream = Stream(reply)
        client.post("users", json={"username": "streamed", "password": "secret"})
        assert json.loads(stream.next()["data"])["user"]["username"] == "streamed"


@pytest.mark.parametrize("carrier", ["key", "login"])
def test_web_sockets_are_joined(pair, carrier):
    where = "ws" + pair.other.url.removeprefix("http") + "api/v1/ws"
    headers = {"X-API-Key": pair.desk.key()} if carrier == "key" else {}
    if carrier == "login":
        where += f"?token={pair.other.token}"
    with connect(where, additional_headers=headers, proxy=None) as opened:
        opened.send(json.dumps({"type": "auth", "id": 1}))
        assert json.loads(opened.recv(timeout=10))["data"]["user"]["username"] == "admin"


def test_a_socket_of_a_foreign_origin_is_refused(pair):
    with browser(pair.other) as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    where = "ws" + pair.other.url.removeprefix("http") + "api/v1/ws"
    with (
        pytest.raises(Exception, match="403"),
        connect(
            where,
            additional_headers={"Cookie": cookie},
            origin=Origin("http://evil.example"),
            proxy=None,
        ),
    ):
        pass


def test_logins_pass_through_the_forwarder(pair):
    login = {"username": "admin", "password": PASSWORD}
    with httpx.Client(base_url=pair.other.url, trust_env=False, timeout=30) as page:
        token = page.post("api/v1/auth/login", json=login).raise_for_status().json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert page.get("api/v1/users", headers=bearer).json()["data"]["users"]
        with connect(pair.other.url.replace("http", "ws") + f"ws?token={token}", proxy=None) as ws:
            ws.send(json.dumps({"type": "subscribe", "data": {"topic": "containers"}, "id": 1}))
            assert json.loads(ws.recv(timeout=10))["id"] == 1
        pair_ = page.post("api/v1/login", json=login).json()
        renewed = page.post("api/v1/refresh", json={"refresh_token": pair_["refresh_token"]})
        assert renewed.is_success
        reply = page.post("api/login", json=login)
        cookies = reply.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all("Path=/second/" in each and "HttpOnly" in each for each in cookies)
        assert page.post("api/verify").json()["username"] == "admin"
        assert page.get("api/v1/currentUser").json()["user"]["username"] == "admin"
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            assert page.post("api/login", json=login, headers=headers).status_code == 403
            assert (
                page.post("api/v1/api-keys", json={"name": "x"}, headers=headers).status_code == 403
            )
        assert page.post("api/logout").is_success
        assert page.post("api/verify").status_code == 401
        assert "user_token" not in page.cookies
        huge = page.post("api/login", content=b"x" * (2 << 20))
        assert huge.status_code == 413


def test_the_forwarders_own_login_comes_before_cookies(pair):
    with browser(pair.other) as owner:
        owner.cookies.update({"username": "admin", "user_token": "dead"})
        assert owner.get("api/v1/status").is_success
        xsrf = {"X-XSRFToken": owner.cookies["_xsrf"]}
        assert owner.post("api/verify", headers=xsrf).status_code == 401


def test_the_routes_of_logins_are_those_of_the_table():
    table = {route.path.strip("/") for route in ROUTES if route.anonymous}
    assert table == LOGINS


def test_jupyters_own_paths_are_each_servers_own(pair):
    here = httpx.get(pair.other.url + "api/status", params={"token": pair.other.token})
    assert here.json()["kernels"] == 0


def test_a_configured_desk_takes_the_callers_key(pair, make_server):
    """Without a hub such a server holds no secret: whoever has no key of the desk is told so."""
    away = make_server(config={"JupyterExt": {"desk_url": pair.desk.url}})
    headers = {"X-API-Key": pair.desk.key()}
    assert status_of(away, headers=headers).json()["services"]["docker"] == "running"
    refused = status_of(away, headers={"Authorization": f"token {away.token}"})
    assert refused.status_code == 401
    assert "JupyterExt.desk_key_file" in refused.json()["error"]["message"]
    assert not (away.home / "store.db").exists()


def test_a_file_names_the_owner_to_a_configured_desk(pair, make_server, tmp_path):
    """What the panel and notebooks of such a server need, where there is no hub."""
    key_file = tmp_path / "key"
    key_file.write_text(user_key(pair.desk, "nina") + "\n")
    key_file.chmod(0o600)
    traits = {"desk_url": pair.desk.url, "desk_key_file": str(key_file)}
    away = make_server(config={"JupyterExt": traits})
    with browser(away) as owner:
        assert owner.get("api/v1/currentUser").json()["user"]["username"] == "nina"
    with connect(
        away.url.replace("http", "ws") + "api/v1/ws",
        additional_headers={"Authorization": f"token {away.token}"},
        proxy=None,
    ) as ws:
        ws.send(json.dumps({"type": "subscribe", "data": {"topic": "containers"}, "id": 1}))
        assert json.loads(ws.recv(timeout=10))["id"] == 1
    stranger = status_of(away)
    assert stranger.status_code == 401


def test_the_forwarder_takes_the_place_of_a_desk_that_was_killed(tmp_path, docker_engine):
    with ExitStack() as stack:
        pair = Pair(stack, tmp_path / "home", docker_engine.url)
        headers = {"X-API-Key": pair.desk.key()}
        assert status_of(pair.other, headers=headers).status_code == 200
        os.kill(pair.desk.process.pid, signal.SIGKILL)
        pair.desk.process.wait(10)

        def succeeded():
            reply = status_of(pair.other, headers=headers, timeout=30)
            return reply.status_code == 200 and reply.json()["services"]["docker"] == "running"

        scratch.wait_until(succeeded, "the other server to be the desk")
        assert json.loads((pair.other.home / "server.json").read_text())["url"] == pair.other.url
        assert "takes its place" in pair.other.log
