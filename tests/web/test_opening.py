"""Who opens a page, with what, and when that ends."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .conftest import Opened, Person, origin_of, person
from .visitor import Visitor

pytestmark = pytest.mark.docker


def shown(visitor: Visitor, origin: str) -> int:
    return visitor(f"{origin}/said").status_code


def test_a_link_opens_the_page_and_leaves_the_address(
    alice: Person, web: Opened, visitor: Visitor
) -> None:
    reply = alice.open(web.cid).json()["data"]
    seconds = (datetime.fromisoformat(reply["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 50 < seconds <= 60
    origin = origin_of(reply["url"])
    assert re.fullmatch(rf"http://jupyter-{web.cid}-[0-9a-f]{{8}}\.localhost:\d+", origin)
    # 256 bits, as base64 has them.
    assert len(parse_qs(urlsplit(reply["url"]).query)["ticket"][0]) == 43

    entered = visitor.follow(reply["url"])
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert entered.headers["cache-control"] == "no-store"
    assert entered.headers["referrer-policy"] == "no-referrer"
    [cookie] = visitor.set_cookies
    name, *attributes = [part.strip() for part in cookie.split(";")]
    assert name.startswith("jupyter_ext_page=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
    assert not any(each.startswith("Domain") for each in attributes)
    assert "inside" in visitor.follow(f"{origin}/").text


def test_a_link_works_once(alice: Person, web: Opened, visitors: Callable[[], Visitor]) -> None:
    link = alice.link(web.cid)
    first, second = visitors(), visitors()
    assert first.follow(link).status_code == 303
    again = second.follow(link)
    assert again.status_code == 401
    assert "used before" in again.text
    assert "pig container open" in again.text
    assert not second.set_cookies
    assert shown(first, origin_of(link)) == 200
    assert shown(second, origin_of(link)) == 401


def test_a_link_is_for_a_minute(
    server: JupyterServer, alice: Person, web: Opened, visitor: Visitor
) -> None:
    link = alice.link(web.cid)
    with sqlite3.connect(server.home / "store.db", timeout=10) as store:
        changed = store.execute(
            "UPDATE page_visits SET expires_at = datetime(expires_at, '-61 seconds') "
            "WHERE NOT opened"
        )
        assert changed.rowcount >= 1
    assert visitor.follow(link).status_code == 401


def test_only_a_digest_of_it_is_kept(
    server: JupyterServer, alice: Person, web: Opened, visitor: Visitor
) -> None:
    link = alice.link(web.cid)
    ticket = parse_qs(urlsplit(link).query)["ticket"][0]
    visitor.follow(link)
    session = visitor.set_cookies[0].partition("=")[2].partition(";")[0]
    kept = b"".join(file.read_bytes() for file in server.home.glob("store.db*"))
    assert b"page_visits" in kept
    assert ticket.encode() not in kept
    assert session.encode() not in kept
    assert ticket not in server.log
    assert session not in server.log


def test_a_ticket_is_for_its_own_container_and_service(
    alice: Person,
    bob: Person,
    web: Opened,
    make_container: Callable[..., Opened],
    visitors: Callable[[], Visitor],
) -> None:
    other = make_container(bob)
    elsewhere = [bob.link(other.cid), alice.link(web.cid, "tensorboard")]
    for place in elsewhere:
        link = alice.link(web.cid)
        visitor = visitors()
        query = urlsplit(link).query
        moved = urlsplit(place)._replace(query=query).geturl()
        assert visitor.follow(moved).status_code == 401
        assert not visitor.set_cookies
        # It was not spent by that.
        assert visitor.follow(link).status_code == 303
        # Nor does the session open the other place.
        session = visitor.cookies[urlsplit(link).hostname or ""]
        visitor.cookies[urlsplit(place).hostname or ""] = session
        assert shown(visitor, origin_of(place)) == 401
        assert shown(visitor, origin_of(link)) == 200


def test_only_the_owner_opens_it(
    server: JupyterServer, alice: Person, bob: Person, web: Opened
) -> None:
    assert bob.open(web.cid).status_code == 404
    nobody = httpx.post(
        f"{server.api}/containers/{web.cid}/open", json={"service": "jupyter"}, trust_env=False
    )
    assert nobody.status_code == 401
    with server.client() as admin:
        # An administrator could, and would run the owner's page in their own browser.
        refused = admin.post(f"containers/{web.cid}/open", json={"service": "jupyter"})
    assert refused.status_code == 403
    assert "Only alice" in refused.json()["message"]
    for scopes, status in ((["container:read"], 403), (["container:exec"], 200)):
        narrow = person(server, "alice", scopes=scopes)
        assert narrow.open(web.cid).status_code == status
        narrow.http.close()


def test_what_can_not_be_opened_is_said(
    alice: Person, web: Opened, make_container: Callable[..., Opened]
) -> None:
    wrong = alice.open(web.cid, "ssh")
    assert wrong.status_code == 400
    assert wrong.json()["errors"][0]["field"] == "service"
    stopped = make_container(alice)
    alice.http.post(f"containers/{stopped.cid}/stop", json={"timeout": 0}).raise_for_status()
    refused = alice.open(stopped.cid)
    assert refused.status_code == 409
    assert f"pig container start {stopped.name}" in refused.json()["message"]
    body = {"name": "no-ports", "image": "foreign:latest"}
    alice.http.post("containers", json=body).raise_for_status()
    assert "does not publish port 8888" in alice.open("no-ports").json()["message"]


def test_a_browser_elsewhere_is_told_what_to_do(alice: Person, web: Opened) -> None:
    refused = alice.open(web.cid, host="gpu.lan")
    assert refused.status_code == 503
    assert "JupyterExt.web_url" in refused.json()["message"]
    for here in ("localhost", "127.0.0.1", "[::1]"):
        assert alice.open(web.cid, host=here).status_code == 200


def test_without_a_session_nothing_is_shown(page: str, visitors: Callable[[], Visitor]) -> None:
    stranger = visitors()
    for path in ("/", "/said", "/upload"):
        reply = stranger(f"{page}{path}", "POST" if path == "/upload" else "GET")
        assert reply.status_code == 401
        assert "inside" not in reply.text
    stranger.cookies[urlsplit(page).hostname or ""] = {"jupyter_ext_page": "a" * 43}
    assert shown(stranger, page) == 401
    with pytest.raises(Exception, match="401"):
        stranger.socket(f"{page}/ws")


def test_a_name_of_nobody_shows_nothing(page: str, visitor: Visitor, web: Opened) -> None:
    port = urlsplit(page).port
    mark = page.partition(".")[0].rpartition("-")[2]
    names = [
        "127.0.0.1",
        "localhost",
        f"jupyter-{web.cid}-{mark}.evil.example",
        f"{mark}.localhost",
    ]
    names += [f"jupyter-{web.cid}-00000000.localhost", f"x.jupyter-{web.cid}-{mark}.localhost"]
    for name in names:
        visitor.cookies[name] = visitor.cookies[urlsplit(page).hostname or ""]
        assert shown(visitor, f"http://{name}:{port}") == 404, name


def test_the_page_is_closed_when_the_container_stops(
    alice: Person, make_container: Callable[..., Opened], visitor: Visitor
) -> None:
    mine = make_container(alice)
    link = alice.link(mine.cid)
    origin = origin_of(link)
    unused = alice.link(mine.cid)
    visitor.follow(link)
    assert shown(visitor, origin) == 200
    with visitor.socket(f"{origin}/ws") as socket:
        socket.recv()
        alice.http.post(f"containers/{mine.cid}/stop", json={"timeout": 0}).raise_for_status()
        with pytest.raises(Exception, match="1001"):
            socket.recv(timeout=10)
    reply = visitor.follow(f"{origin}/said")
    assert reply.status_code == 409
    assert f"pig container start {mine.name}" in reply.text
    assert "<h1>The container does not run</h1>" in reply.text

    alice.http.post(f"containers/{mine.cid}/start").raise_for_status()
    wait_until(lambda: shown(visitor, origin) != 409, "the container")
    reply = visitor(f"{origin}/said")
    assert reply.status_code == 401
    assert "was stopped since" in reply.text
    assert visitor.follow(unused).status_code == 401
    fresh = alice.link(mine.cid)
    assert visitor.follow(fresh).status_code == 303
    wait_until(lambda: shown(visitor, origin) == 200, "the page again")

    alice.http.delete(f"containers/{mine.cid}?force=true").raise_for_status()
    assert shown(visitor, origin) in (401, 404)


def test_it_ends_with_the_account(
    server: JupyterServer, make_container: Callable[..., Opened], visitor: Visitor
) -> None:
    eve = person(server, "eve")
    mine = make_container(eve)
    link, unused = eve.link(mine.cid), eve.link(mine.cid)
    origin = origin_of(link)
    visitor.follow(link)
    assert shown(visitor, origin) == 200
    with server.client() as admin, visitor.socket(f"{origin}/ws") as socket:
        socket.recv()
        with visitor.stream(f"{origin}/ticks") as ticks:
            pieces = ticks.iter_raw()
            assert next(pieces) == b"tick\n"
            admin.put("users/eve", json={"enabled": False}).raise_for_status()
            assert shown(visitor, origin) == 401
            # What goes on ends, too.
            began = time.monotonic()
            with pytest.raises(httpx.TransportError):
                list(pieces)
        with pytest.raises(Exception, match="1008"):
            socket.recv(timeout=10)
        assert time.monotonic() - began < 5
        assert visitor.follow(unused).status_code == 401
        admin.put("users/eve", json={"enabled": True}).raise_for_status()
    eve.http.close()


def test_it_ends_with_what_opened_it(
    server: JupyterServer, alice: Person, web: Opened, visitors: Callable[[], Visitor]
) -> None:
    # A login.
    login = {"username": "alice", "password": "a secret one"}
    by_key, by_login = visitors(), visitors()
    with httpx.Client(base_url=server.api, trust_env=False) as http:
        token = http.post("auth/login", json=login).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        link = http.post(
            f"containers/{web.cid}/open", json={"service": "jupyter"}, headers=bearer
        ).json()["data"]["url"]
        by_login.follow(link)
        assert shown(by_login, origin_of(link)) == 200
        http.post("auth/logout", headers=bearer, json={"token": token}).raise_for_status()
        assert shown(by_login, origin_of(link)) == 401
    # A key.
    key = person(server, "alice")
    by_key.follow(key.link(web.cid))
    assert shown(by_key, origin_of(link)) == 200
    with server.client() as admin:
        mine = admin.get("api-keys", params={"owner": "alice", "limit": 1000}).json()["api_keys"]
        hint = key.http.headers["X-API-Key"]
        [found] = [each for each in mine if hint.startswith(each["hint"].rstrip("…."))]
        admin.delete(f"api-keys/{found['id']}").raise_for_status()
    assert shown(by_key, origin_of(link)) == 401
    key.http.close()


def test_it_outlives_the_server_but_not_its_hours(
    engine: Dockerd, make_server: Callable[..., JupyterServer], visitor: Visitor
) -> None:
    config = {"JupyterExt": {"web_session_lifetime": 60}}
    server = make_server(docker_host=engine.url, config=config)
    owner = Person("admin", server.client())
    body = {"name": "mine", "image": "foreign:latest", "ports": {"8888/tcp": None}}
    owner.http.post("containers", json=body).raise_for_status()
    link = owner.link("mine")
    visitor.follow(link)
    origin = origin_of(link)
    wait_until(lambda: shown(visitor, origin) == 200, "the page")
    assert "Max-Age=60" in visitor.set_cookies[0]
    with sqlite3.connect(server.home / "store.db", timeout=10) as store:
        store.execute("UPDATE page_visits SET expires_at = datetime(expires_at, '-61 seconds')")
    # Until it is looked at again: any change of an account.
    owner.http.post("users", json={"username": "zoe", "password": "a secret one"})
    assert shown(visitor, origin) == 401
    owner.http.close()
