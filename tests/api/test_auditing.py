"""What the edge records of a request, a socket and a frame, and what it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jupyter_ext.accounts.schemas import Account, AuditEntry
from jupyter_ext.api.application import UNKNOWN, handlers_for
from jupyter_ext.api.dialects import CONTAINERS, MATRIX, PIGLET
from jupyter_ext.api.route import Change, Channel, Chunk, Page, Route, Stream
from jupyter_ext.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    PlatformError,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)

from .house import Dial, House, until

XSRF = {"X-XSRFToken": "0123456789", "Cookie": "_xsrf=0123456789"}
"""As a page of Jupyter sends it, whoever looks at it."""


class Kept:
    """An audit that a test looks into."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.wait = asyncio.Event()
        self.wait.set()

    async def record(self, entry: AuditEntry) -> None:
        await self.wait.wait()
        self.entries.append(entry)

    def note(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    @property
    def said(self) -> list[tuple[str, int, str | None, str]]:
        """What most tests look at: method, status, who, target."""
        return [
            (e.method, e.status, e.account.username if e.account else None, e.target)
            for e in self.entries
        ]


class Order(BaseModel):
    """A body."""

    name: str = "web"
    size: int = 1
    labels: dict[str, int] = {}


class Made(BaseModel):
    """A result with what must not be kept."""

    id: str = "k1"
    name: str = "ci"
    key: str = "jx_s3cret"
    token: str = "s3cret"
    owner: str = "bob"


class Deeds:
    """A manager that does what a test says."""

    def __init__(self) -> None:
        self.result: Any = None

    async def do(self, caller: Account, body: Order | None = None, **path: str) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    async def look(self, caller: Account) -> Any:
        return await self.do(caller)


@pytest.fixture
def kept(house: House) -> Kept:
    found = Kept()
    object.__setattr__(house.services, "audit", found)
    return found


@pytest.fixture
def deeds(house: House, kept: Kept) -> Deeds:
    manager = Deeds()
    routes = [
        Route("POST", "/api/v1/deeds", Deeds.do, PIGLET, "deed:create", body=Order, status=201),
        Route("GET", "/api/v1/deeds", Deeds.look, PIGLET, "deed:read"),
        Route("DELETE", "/api/v1/deeds/{ref}", Deeds.do, CONTAINERS, "container:delete"),
        Route("POST", "/api/v1/views", Deeds.do, PIGLET, view=lambda made: {"cid": made.id}),
        Route("POST", "/devices/{did}/drain", Deeds.do, MATRIX, "container:start"),
        Route("POST", "/api/v1/logins", Deeds.do, PIGLET, public=True, audited=False),
        Route("POST", "/api/v1/joins", Deeds.do, PIGLET, public=True),
    ]
    root = house.base_url.rstrip("/")
    # Without those of unknown paths, and before those of the house.
    handlers = handlers_for(routes, [manager], house.services)[: -len(UNKNOWN)]
    house.app.web_app.add_handlers(
        ".*$", [(root + path, kind, more) for path, kind, more in handlers]
    )
    rules = house.app.web_app.default_router.rules
    rules.insert(0, rules.pop(-2))
    return manager


class Caller:
    """Sends requests as somebody."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(
        self, method: str, path: str, who: str | None = "admin", **more: Any
    ) -> httpx.Response:
        headers = {"X-API-Key": f"jx_{who}"} if who else {}
        headers |= more.pop("headers", {})
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.request(method, f"{self.url}/{path}", headers=headers, **more)


@pytest.fixture
def call(deeds: Deeds, url: str) -> Caller:
    return Caller(url)


FAILURES = [
    (InvalidRequest(fields={"labels.s3cret": "s3cret", "s3cret": "no"}), "INVALID_REQUEST: labels"),
    (InvalidRequest("s3cret is no name"), "INVALID_REQUEST"),
    (Unauthenticated("s3cret is wrong"), "UNAUTHORIZED"),
    (Forbidden("s3cret is not allowed"), "FORBIDDEN"),
    (QuotaExceeded("gpus", 1, 1), "FORBIDDEN: resource gpus, limit 1, used 1"),
    (NotFound("owner", "s3cret"), "NOT_FOUND: owner"),
    (Conflict("deed", "s3cret"), "CONFLICT: deed"),
    (Unavailable("s3cret does not answer."), "UNAVAILABLE"),
    (ZeroDivisionError("s3cret"), "INTERNAL_ERROR"),
]


async def test_what_succeeded(call: Caller, deeds: Deeds, kept: Kept) -> None:
    deeds.result = Made()
    body = {"name": "s3cret", "size": 2}
    reply = await call("POST", "deeds?secret=s3cret", "admin", json=body)
    assert reply.status_code == 201
    [entry] = kept.entries
    assert entry.account is not None
    assert (entry.action, entry.status, entry.method) == ("deed:create", 201, "POST")
    assert (entry.account.username, entry.credential) == ("admin", "key:admin")
    assert (entry.address, entry.path) == ("127.0.0.1", "/api/v1/deeds")
    assert entry.target == "ci k1 owner=bob"
    assert entry.request_id == reply.headers["X-Request-Id"]
    assert "s3cret" not in str(entry)


@pytest.mark.parametrize(("failure", "message"), FAILURES, ids=lambda part: type(part).__name__)
async def test_what_failed(
    call: Caller, deeds: Deeds, kept: Kept, failure: Exception, message: str
) -> None:
    deeds.result = failure
    reply = await call("POST", "deeds", json={})
    [entry] = kept.entries
    expected = failure.status if isinstance(failure, PlatformError) else 500
    assert entry.status == reply.status_code == expected
    assert entry.message == message
    assert "s3cret" not in str(entry)


async def test_bodies_that_are_none_name_only_fields_of_ours(call: Caller, kept: Kept) -> None:
    await call("POST", "deeds", json={"size": "s3cret", "labels": {"s3cret": "x"}})
    await call("POST", "deeds", content=b"s3cret")
    await call("POST", "deeds", json={"s3cret": "\0"})
    assert [entry.message for entry in kept.entries] == [
        "INVALID_REQUEST: size, labels",
        "INVALID_REQUEST: body",
        "INVALID_REQUEST",
    ]
    assert {entry.status for entry in kept.entries} == {400}


async def test_the_reply_waits_for_its_entry(call: Caller, deeds: Deeds, kept: Kept) -> None:
    kept.wait.clear()
    reply = asyncio.ensure_future(call("POST", "deeds", json={}))
    await asyncio.sleep(0.3)
    assert not reply.done()
    kept.wait.set()
    assert (await reply).status_code == 201
    assert len(kept.entries) == 1


async def test_reading_is_not_recorded_unless_it_is_forbidden(
    call: Caller, deeds: Deeds, kept: Kept
) -> None:
    deeds.result = {}
    assert (await call("GET", "deeds")).status_code == 200
    assert (await call("HEAD", "deeds")).status_code == 200
    deeds.result = NotFound("deed", "x")
    assert (await call("GET", "deeds")).status_code == 404
    assert kept.entries == []
    assert (await call("GET", "deeds", "alice")).status_code == 403
    assert kept.said == [("GET", 403, "alice", "")]
    assert kept.entries[0].action == "deed:read"


async def test_somebody_who_may_not_is_recorded_once_with_the_thing(
    call: Caller, kept: Kept, house: House, deeds: Deeds
) -> None:
    assert (await call("POST", "deeds", "bob", json={})).status_code == 403
    # Too long to be read to its end: refused before it has come.
    assert (await call("POST", "deeds", "bob", content=b" " * 500_000)).status_code == 403
    assert kept.said == [("POST", 403, "bob", ""), ("POST", 403, "bob", "")]


async def test_a_body_that_is_too_long(call: Caller, kept: Kept) -> None:
    assert (await call("POST", "deeds", content=b" " * (2 << 20))).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    # The reply may be lost where the client goes on sending.
    with suppress(httpx.TransportError):
        assert (await call("POST", "deeds", content=pieces())).status_code == 413
    await until(lambda: len(kept.entries) == 2)
    assert [entry.status for entry in kept.entries] == [413, 413]


async def test_paths_are_kept_as_they_are_meant(call: Caller, deeds: Deeds, kept: Kept) -> None:
    deeds.result = {"id": "sha256:1", "tags": ["a:1", "b:2"], "cid": True}
    await call("DELETE", "deeds/a%20b%2Fc?force=1")
    assert kept.entries[0].path == "/api/v1/deeds/a b/c"
    assert kept.entries[0].target == "a b/c a:1 b:2 sha256:1"
    deeds.result = Change(Made(id="a", name="a"), changed=True)
    await call("DELETE", "deeds/a", "bob")
    assert kept.said[1] == ("DELETE", 200, "bob", "a")


async def test_the_view_says_what_a_thing_is_called(call: Caller, deeds: Deeds, kept: Kept) -> None:
    deeds.result = Made()
    await call("POST", "views")
    deeds.result = Page([], 0)
    await call("POST", "views")
    assert [entry.target for entry in kept.entries] == ["k1", ""]
    assert kept.entries[0].action == "POST /api/v1/views"


async def test_a_dialect_that_hides_a_403_hides_it_not_from_the_audit(
    call: Caller, deeds: Deeds, kept: Kept
) -> None:
    deeds.result = Forbidden("Not yours.")
    reply = await call("POST", "../../devices/7/drain")
    assert reply.status_code == 200
    assert kept.said == [("POST", 403, "admin", "7")]


async def test_a_plain_stream(call: Caller, deeds: Deeds, kept: Kept) -> None:
    async def chunks() -> AsyncIterator[Chunk]:
        yield Chunk(b"x")

    deeds.result = Stream(chunks(), "text/plain")
    assert (await call("POST", "deeds", json={})).text == "x"
    assert [entry.status for entry in kept.entries] == [201]


async def test_strangers_leave_nothing_but_what_they_did(
    call: Caller, deeds: Deeds, kept: Kept
) -> None:
    deeds.result = None
    for who in (None, "nobody"):
        assert (await call("POST", "deeds", who, json={})).status_code == 401
        assert (await call("DELETE", "deeds/web", who)).status_code == 401
    assert (await call("POST", "nowhere", "admin")).status_code == 404
    assert (await call("PUT", "deeds", "admin")).status_code == 405
    deeds.result = InvalidRequest("no")
    assert (await call("POST", "joins", None, headers=XSRF)).status_code == 400
    assert kept.entries == []
    deeds.result = {"username": "eve", "password": "s3cret"}
    assert (await call("POST", "joins", None, headers=XSRF)).status_code == 200
    assert kept.said == [("POST", 200, None, "eve")]
    assert kept.entries[0].credential == "ip:127.0.0.1"


async def test_what_a_manager_records_itself_is_not_recorded_twice(
    call: Caller, deeds: Deeds, kept: Kept
) -> None:
    deeds.result = {}
    assert (await call("POST", "logins", None, headers=XSRF)).status_code == 200
    deeds.result = Forbidden("Disabled.")
    assert (await call("POST", "logins", None, headers=XSRF)).status_code == 403
    assert kept.entries == []


async def test_a_page_of_another_origin(call: Caller, kept: Kept) -> None:
    reply = await call("GET", "deeds", None, headers={"Host": "evil.example"})
    assert reply.status_code == 403
    assert kept.said == [("GET", 403, None, "")]


# -- sockets -------------------------------------------------------------------------------------


async def test_a_terminal_is_opened_and_closed(dial: Dial, house: House, kept: Kept) -> None:
    async def talk(channel: Channel) -> None:
        await channel.send(await channel.receive())

    house.stage.talk = talk
    speaker = await dial("alice", "/chat/web?cmd=s3cret")
    await speaker.connection.send(json.dumps("s3cret"))
    assert await speaker.next() == "s3cret"
    await until(lambda: len(kept.entries) == 2)
    assert kept.said == [("OPEN", 101, "alice", "web"), ("CLOSE", 200, "alice", "web")]
    assert {entry.action for entry in kept.entries} == {"container:exec"}
    assert {entry.path for entry in kept.entries} == {"/api/v1/chat/web"}
    assert kept.entries[1].message == "after 0 s"
    assert "s3cret" not in str(kept.entries)


async def test_nothing_is_done_in_a_terminal_before_it_is_recorded(
    dial: Dial, house: House, kept: Kept
) -> None:
    begun = asyncio.Event()

    async def talk(channel: Channel) -> None:
        begun.set()

    house.stage.talk = talk
    kept.wait.clear()
    speaker = await dial("alice", "/chat/web")
    await asyncio.sleep(0.2)
    assert not begun.is_set()
    kept.wait.set()
    with pytest.raises(ConnectionClosed):
        await speaker.next()
    assert begun.is_set()


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (NotFound("container", "s3cret"), 404, "NOT_FOUND: container"),
        (ZeroDivisionError("s3cret"), 500, "INTERNAL_ERROR"),
    ],
    ids=["expected", "unexpected"],
)
async def test_why_a_terminal_ended(
    dial: Dial, house: House, kept: Kept, failure: Exception, status: int, code: str
) -> None:
    async def talk(channel: Channel) -> None:
        raise failure

    house.stage.talk = talk
    await dial("alice", "/chat/web")
    await until(lambda: len(kept.entries) == 2)
    assert kept.entries[1].status == status
    assert kept.entries[1].message == f"{code} after 0 s"


async def test_whoever_leaves_a_terminal_closes_it(dial: Dial, house: House, kept: Kept) -> None:
    async def talk(channel: Channel) -> None:
        await asyncio.sleep(60)

    house.stage.talk = talk
    speaker = await dial("alice", "/chat/web")
    await until(lambda: kept.entries)
    await speaker.connection.close()
    await until(lambda: len(kept.entries) == 2)
    assert kept.said[1] == ("CLOSE", 200, "alice", "web")


async def test_a_terminal_and_a_subscription_that_are_forbidden(
    dial: Dial, house: House, kept: Kept
) -> None:
    house.keys.known["alice"] = house.keys.known["alice"].__class__(
        "key:alice", "api-key", Account("user-2", "alice", "viewer"), True
    )
    with pytest.raises(InvalidStatus):
        await dial("alice", "/chat/web")
    assert kept.said == [("OPEN", 403, "alice", "web")]
    with pytest.raises(InvalidStatus):
        await dial(None, "/chat/web")
    speaker = await dial("alice")
    assert (await speaker.ask("subscribe", {"topic": "closed"}))["type"] == "error"
    assert (await speaker.ask("subscribe", {"topic": "things"}))["type"] == "subscribe"
    assert kept.said[1:] == [("FRAME", 403, "alice", "closed")]
    assert kept.entries[1].action == "secret:read"
