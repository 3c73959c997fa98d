"""What a container receives of its visitors, and they of it."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .conftest import Opened, Person, origin_of
from .visitor import Visitor

pytestmark = pytest.mark.docker

MEGABYTE = 1 << 20


def said(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    found["headers"] = {name.lower(): value for name, value in found["headers"]}
    return found


def test_the_container_gets_what_is_meant_for_it(visitor: Visitor, page: str, web: Opened) -> None:
    reply = visitor(f"{page}/a%20b/%2e%2e/c?x=1&y=%26", "PUT", content=b"body")
    found = said(reply)
    assert (found["method"], found["uri"]) == ("PUT", "/a%20b/%2e%2e/c?x=1&y=%26")
    assert found["body"] == "body"
    assert found["port"] == 8888
    headers = found["headers"]
    assert headers["host"] == "localhost:8888"
    assert headers["x-forwarded-host"] == urlsplit(page).netloc
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    # Its own password, which was in no address and no cookie.
    assert found["password"] == web.password
    assert headers["authorization"] == f"token {web.password}"
    assert web.password not in str(visitor.cookies)


def test_the_container_gets_nothing_of_jupyter_or_ours(visitor: Visitor, page: str) -> None:
    foreign = {
        "Authorization": "token secret-1",
        "X-XSRFToken": "secret-2",
        "X-API-Key": "jx_secret-3",
        "X-Forwarded-For": "secret-4",
        "X-Forwarded-User": "secret-5",
        "Forwarded": "for=secret-6",
        "X-Real-IP": "secret-7",
        "Proxy-Authorization": "secret-8",
        "X-Mine": "secret-9",
        "Connection": "keep-alive, X-Mine",
        "Referer": "http://localhost:8888/lab?token=secret-10",
    }
    jar = visitor.cookies[urlsplit(page).hostname or ""]
    session = jar["jupyter_ext_page"]
    jar |= {
        "user_token": "secret-11",
        "username": "secret-12",
        "username-localhost-8888": "secret-13",
        "jupyterhub-session-id": "secret-14",
        "jupyterhub-user-alice": "secret-15",
        "own": "mine",
    }
    reply = visitor(f"{page}/x?token=secret-16&a=1&%74oken=secret-17&tokens=2", headers=foreign)
    found = said(reply)
    assert "secret" not in json.dumps(found)
    assert session not in json.dumps(found)
    assert found["headers"]["cookie"] == "own=mine"
    assert found["uri"] == "/x?a=1&tokens=2"
    assert "referer" not in found["headers"]


def test_a_service_without_a_token_gets_none(alice: Person, web: Opened, visitor: Visitor) -> None:
    link = alice.link(web.cid, "tensorboard")
    visitor.follow(link)
    found = said(visitor(f"{origin_of(link)}/x"))
    assert found["port"] == 6006
    assert "authorization" not in found["headers"]


def test_the_containers_own_token_against_forgery_arrives(visitor: Visitor, page: str) -> None:
    visitor.cookies[urlsplit(page).hostname or ""]["_xsrf"] = "2|its-own"
    headers = {"X-XSRFToken": "2|its-own", "Origin": page, "Referer": f"{page}/lab?a=1"}
    found = said(visitor(f"{page}/x", "POST", headers=headers))["headers"]
    assert found["x-xsrftoken"] == "2|its-own"
    assert found["origin"] == "http://localhost:8888"
    assert found["referer"] == "http://localhost:8888/lab?a=1"


def answer(visitor: Visitor, page: str, *headers: str, status: int = 200) -> httpx.Response:
    query = "&".join(f"header={quote(each, safe='')}" for each in headers)
    return visitor(f"{page}/headers?status={status}&{query}")


def test_the_container_sets_no_cookie_but_its_own(visitor: Visitor, page: str) -> None:
    session = visitor.cookies[urlsplit(page).hostname or ""]["jupyter_ext_page"]
    visitor.set_cookies.clear()
    answer(
        visitor,
        page,
        "Set-Cookie:plain=1; Path=/x; HttpOnly",
        "Set-Cookie:wide=2; Domain=.localhost; Path=/",
        "Set-Cookie:jupyter_ext_page=forged; Path=/",
        "Set-Cookie:username-localhost-8888=its-own; Path=/",
        "Set-Cookie:user_token=its-own-too",
        "Set-Cookie:=jupyter_ext_page=forged",
    )
    assert visitor.set_cookies == [
        "plain=1; Path=/x; HttpOnly",
        "wide=2; Path=/",
        "jupyter_ext_of_page.jupyter_ext_page=forged; Path=/",
        "jupyter_ext_of_page.username-localhost-8888=its-own; Path=/",
        "jupyter_ext_of_page.user_token=its-own-too",
    ]
    # They come back to it under the names that it gave them, and the session is what it was.
    cookie = said(visitor(f"{page}/x"))["headers"]["cookie"]
    assert "username-localhost-8888=its-own" in cookie
    assert "user_token=its-own-too" in cookie
    assert session not in cookie


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/lab", "/lab"),
        ("lab", "lab"),
        ("http://localhost:8888/lab?a=1#b", "{page}/lab?a=1#b"),
        ("//localhost:8888//evil.example", "{page}/evil.example"),
        ("https://example.org/x", "https://example.org/x"),
    ],
)
def test_redirects_stay_at_the_origin(visitor: Visitor, page: str, sent: str, seen: str) -> None:
    reply = answer(visitor, page, f"Location:{sent}", status=302)
    assert reply.status_code == 302
    assert reply.headers["location"] == seen.format(page=page)


def test_answers_pass_as_they_are(visitor: Visitor, page: str) -> None:
    reply = answer(visitor, page, "Content-Type:text/plain", 'ETag:"x"', status=418)
    assert reply.status_code == 418
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["etag"] == '"x"'
    assert reply.headers.get_list("server") != ["TornadoServer", "TornadoServer"]
    assert "frame-ancestors 'self'" in reply.headers["content-security-policy"]
    assert reply.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    said_of_others = answer(visitor, page, 'Clear-Site-Data:"cookies"', "Alt-Svc:h3", "X-Own:1")
    assert said_of_others.headers["x-own"] == "1"
    assert not {"clear-site-data", "alt-svc"} & said_of_others.headers.keys()
    assert visitor(f"{page}/headers?status=204").status_code == 204
    assert visitor(f"{page}/headers?status=304").status_code == 304
    assert visitor(f"{page}/x", "OPTIONS").json()["method"] == "OPTIONS"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Origin": "http://jupyter-2-00000000.localhost"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_another_origins_page_makes_no_request_in_its_name(
    visitor: Visitor, page: str, headers: dict[str, str]
) -> None:
    assert visitor(f"{page}/x", headers=headers).status_code == 403
    sent = {**headers, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    if "Sec-Fetch-Site" in sent:
        assert visitor(f"{page}/upload", "POST", headers=sent, content=b"x").status_code == 403


def test_another_origins_page_opens_no_socket(visitor: Visitor, page: str) -> None:
    for origin in ("http://evil.example", "http://localhost:8888"):
        with pytest.raises(Exception, match="403"):
            visitor.socket(f"{page}/ws", origin)


def test_sockets_pass_frames_both_ways(visitor: Visitor, page: str, web: Opened) -> None:
    protocol: Any = "v1.kernel.websocket.jupyter.org"
    with visitor.socket(f"{page}/ws", subprotocols=["other", protocol], max_size=None) as socket:
        assert socket.subprotocol == protocol
        opened = json.loads(socket.recv())
        headers = {name.lower(): value for name, value in opened["headers"]}
        assert headers["host"] == "localhost:8888"
        assert headers["origin"] == "http://localhost:8888"
        assert headers["authorization"] == f"token {web.password}"
        assert "cookie" not in headers
        socket.send("text \u00e4")
        assert socket.recv() == "text \u00e4"
        large = bytes(5 * MEGABYTE)
        socket.send(large)
        assert socket.recv() == large
        socket.send("bye")
        with pytest.raises(Exception, match="4321"):
            socket.recv()


@pytest.mark.parametrize("upgrade", ["", "Upgrade: websocket\r\nConnection: Upgrade\r\n"])
def test_no_address_leads_to_another_host(visitor: Visitor, page: str, upgrade: str) -> None:
    parts = urlsplit(page)
    session = visitor.cookies[parts.hostname or ""]["jupyter_ext_page"]
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        elsewhere.settimeout(0.5)
        port = elsewhere.getsockname()[1]
        for target in (f"@127.0.0.1:{port}/", f"http://127.0.0.1:{port}/"):
            with socket.create_connection(("127.0.0.1", parts.port or 80)) as raw:
                lines = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {page}\r\n"
                lines += f"Cookie: jupyter_ext_page={session}\r\n{upgrade}\r\n"
                raw.sendall(lines.encode())
                assert b" 400 " in raw.recv(200)
            with pytest.raises(TimeoutError):
                elsewhere.accept()


def memory(server: JupyterServer) -> int:
    """Bytes that the server's process has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.mark.slow
def test_large_downloads_and_uploads_take_no_memory(
    server: JupyterServer, visitor: Visitor, page: str
) -> None:
    visitor(f"{page}/x")
    before = peak = memory(server)
    size = 0
    with visitor.stream(f"{page}/big?size={600 * MEGABYTE}&length=1") as reply:
        assert reply.headers["content-length"] == str(600 * MEGABYTE)
        for piece in reply.iter_raw():
            size += len(piece)
            peak = max(peak, memory(server))
    assert size == 600 * MEGABYTE
    assert peak - before < 40 * MEGABYTE

    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        nonlocal peak
        for number in range(300):
            piece = number.to_bytes(2, "big") * (MEGABYTE // 2)
            digest.update(piece)
            peak = max(peak, memory(server))
            yield piece

    taken = visitor(f"{page}/upload", "POST", content=pieces()).json()
    assert taken == {"size": 300 * MEGABYTE, "sha256": digest.hexdigest()}
    assert peak - before < 60 * MEGABYTE


@pytest.mark.slow
def test_who_reads_slowly_is_waited_for(server: JupyterServer, visitor: Visitor, page: str) -> None:
    visitor(f"{page}/x")
    before = memory(server)
    with visitor.stream(f"{page}/big?size={400 * MEGABYTE}") as reply:
        next(reply.iter_raw())
        time.sleep(2)
        assert memory(server) - before < 40 * MEGABYTE
    with visitor.socket(f"{page}/ws", max_size=None, max_queue=1) as socket:
        socket.recv()
        socket.send(f"send {200 * 16}")
        time.sleep(2)
        assert memory(server) - before < 40 * MEGABYTE


@pytest.mark.slow
def test_an_upload_waits_for_a_slow_container(
    server: JupyterServer, visitor: Visitor, page: str
) -> None:
    before = memory(server)
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += MEGABYTE
            yield bytes(MEGABYTE)

    def upload() -> None:
        try:
            visitor(f"{page}/upload", "POST", {"X-Pause": "0.5"}, content=pieces())
        except httpx.HTTPError:
            return

    thread = threading.Thread(target=upload)
    thread.start()
    time.sleep(3)
    assert sent < 40 * MEGABYTE
    assert memory(server) - before < 40 * MEGABYTE
    visitor.http.close()
    thread.join(30)
    assert not thread.is_alive()


def test_half_an_upload_is_not_taken_for_all_of_it(
    visitors: Callable[[], Visitor], visitor: Visitor, page: str
) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(3 * MEGABYTE)
        raise RuntimeError("the browser is gone")

    def uploads() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = visitor(f"{page}/uploads").json()["uploads"]
        return found

    before = len(uploads())
    other = visitors()
    other.cookies = visitor.cookies
    with pytest.raises(RuntimeError, match="gone"):
        other(f"{page}/upload", "POST", content=broken())
    # The browser may be gone before the container has heard of it.
    wait_until(lambda: any(each["size"] for each in uploads()[before:]), "the first piece")
    time.sleep(0.5)
    (half,) = uploads()[before:]
    assert half["whole"] is False


def test_half_an_answer_does_not_look_whole(visitor: Visitor, page: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError), visitor.stream(f"{page}/broken") as reply:
        assert reply.read() is None


def test_too_long_a_body_is_refused(
    engine: Any, make_server: Callable[..., JupyterServer], visitor: Visitor
) -> None:
    server = make_server(docker_host=engine.url, config={"JupyterExt": {"upload_limit": MEGABYTE}})
    owner = Person("admin", server.client())
    body = {"name": "small", "image": "foreign:latest", "ports": {"8888/tcp": None}}
    owner.http.post("containers", json=body).raise_for_status()
    link = owner.link("small")
    visitor.follow(link)
    origin = origin_of(link)
    wait_until(lambda: visitor(f"{origin}/x").status_code == 200, "the page")
    declared = visitor(f"{origin}/upload", "POST", content=bytes(MEGABYTE + 1))
    assert declared.status_code == 413
    chunked = visitor(f"{origin}/upload", "POST", content=iter([bytes(MEGABYTE), b"x"]))
    assert chunked.status_code == 413
    assert visitor(f"{origin}/upload", "POST", content=bytes(MEGABYTE)).status_code == 200
    owner.http.close()


def test_a_port_where_nothing_listens_is_said(alice: Person, visitor: Visitor) -> None:
    body = {
        "name": "silent",
        "image": "busybox:latest",
        "command": ["sleep", "1000"],
        "ports": {"8888/tcp": None},
    }
    alice.http.post("containers", json=body).raise_for_status()
    link = alice.link("silent")
    visitor.follow(link)
    reply = visitor.follow(f"{origin_of(link)}/")
    assert reply.status_code == 502
    assert "pig container logs silent" in reply.text
    assert reply.headers["refresh"] == "3"
    with pytest.raises(Exception, match="502"):
        visitor.socket(f"{origin_of(link)}/ws")
