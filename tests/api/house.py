"""A house for the edge alone: real handlers on a real socket, managers that a test directs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest
from jupyter_server.auth import User
from websockets.asyncio.client import ClientConnection, connect

from jupyter_ext.accounts.permissions import allowed
from jupyter_ext.accounts.schemas import Account, Credential
from jupyter_ext.api.application import handlers_for, sockets_for
from jupyter_ext.api.authentication import Authenticator
from jupyter_ext.api.dialects import CONTAINERS, DIALECTS, PIGLET
from jupyter_ext.api.limits import RateLimiter
from jupyter_ext.api.route import Channel, Chunk, Feed, Route, SocketRoute, Stream
from jupyter_ext.api.services import Gate, Services
from jupyter_ext.api.socket import SocketCounter
from jupyter_ext.errors import Unauthenticated
from jupyter_ext.events import Bus
from jupyter_ext.events.manager import EventManager, EventQuery

ADMIN = Account("user-1", "admin", "admin")
ALICE = Account("user-2", "alice", "user")
BOB = Account("user-3", "bob", "user")

TOPICS = {"things": "container:read", "others": "image:read"}

Source = Callable[[], AsyncIterator[Any]]


class Keys:
    """API keys: a user's name is their key."""

    def __init__(self) -> None:
        self.known = {
            account.username: Credential(f"key:{account.username}", "api-key", account, True)
            for account in (ADMIN, ALICE, BOB)
        }

    def verify_cached(self, key: str) -> Credential | None:
        return None

    async def verify(self, key: str) -> Credential:
        await asyncio.sleep(0.01)
        try:
            return self.known[key.removeprefix("jx_")]
        except KeyError:
            raise Unauthenticated("This API key is revoked.") from None


class Tokens:
    """Nobody has logged in."""

    def verify_cached(self, token: str, kind: str) -> Credential | None:
        return None

    async def verify(self, token: str, kind: str) -> Credential:
        raise Unauthenticated("This token is not valid.")


class Stage:
    """A manager whose answers a test sets."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self.content_type = "text/event-stream"
        self.snapshot: Callable[[], Any] = dict
        self.frames: Source | None = None
        self.closed: list[str] = []
        self.talk: Callable[[Channel], Any] | None = None
        self.act: Callable[[], Any] = dict

    async def stream(self, caller: Account) -> Stream:
        assert self.source is not None
        return Stream(self._noted(self.source()), self.content_type)

    async def _noted(self, source: AsyncIterator[Any]) -> AsyncIterator[Chunk]:
        try:
            async for piece in source:
                yield Chunk(piece)
        finally:
            self.closed.append("stream")

    async def make(self, caller: Account) -> Any:
        return await self.act()

    async def made(self, caller: Account, result: Mapping[str, Any]) -> Any:
        return {"owner": caller.id, **result}

    async def state(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        found = self.snapshot()
        return cast(dict[str, Any], await found if asyncio.iscoroutine(found) else found)

    async def own_frames(
        self, caller: Account, data: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        try:
            assert self.frames is not None
            async for frame in self.frames():
                yield {"cid": data.get("cid"), **frame}
        finally:
            self.closed.append(f"frames {data.get('cid')}")

    async def chat(self, caller: Account, channel: Channel, name: str) -> None:
        assert self.talk is not None
        try:
            await self.talk(channel)
        finally:
            self.closed.append(f"chat {name}")


class House:
    """The edge, its bus, and whoever calls."""

    def __init__(self, app: Any, base_url: str) -> None:
        self.base_url = base_url
        self.app = app
        self.bus = Bus()
        self.keys = Keys()
        self.stage = Stage()
        self.owner = ADMIN
        self.sockets = SocketCounter()
        gate = Gate()
        gate.open()
        self.services = Services(
            gate=gate,
            authenticator=Authenticator(self.keys, Tokens(), self._jupyter_account),
            limits=RateLimiter(
                {each.name: {"amount": 0} for each in DIALECTS}, "memory:", DIALECTS
            ),
            sockets=self.sockets,
            idempotency=cast(Any, None),
            allowed=allowed,
        )
        events = EventManager(self.bus, TOPICS)
        managers = [self.stage, events]
        routes = [
            Route("GET", "/api/v1/stream", Stage.stream, CONTAINERS),
            Route("POST", "/api/v1/things", Stage.make, PIGLET, begun=Stage.made, status=201),
            Route("GET", "/api/v1/events", EventManager.stream, PIGLET, query=EventQuery, may=True),
        ]
        feeds = [
            Feed("things", Stage.state),
            Feed("others", Stage.state),
            Feed("frames", Stage.state, Stage.own_frames),
            Feed("closed", Stage.state, permission="secret:read"),
            Feed("events", EventManager.feed, follows=TOPICS),
        ]
        sockets = [SocketRoute("/api/v1/chat/{name}", Stage.chat, CONTAINERS, "container:exec")]
        handlers = [
            *sockets_for(sockets, feeds, managers, self.services, self.bus),
            *handlers_for(routes, managers, self.services),
        ]
        root = base_url.rstrip("/")
        app.web_app.add_handlers(
            ".*$", [(root + path, kind, more) for path, kind, more in handlers]
        )

    async def _jupyter_account(self, user: User) -> Account:
        return self.owner

    def scoped_key(self, name: str, *scopes: str) -> None:
        """Let alice have another key, which opens only this."""
        own = self.keys.known["alice"]
        self.keys.known[name] = replace(own, id=f"key:{name}", scopes=frozenset(scopes))

    def limit(self, amount: int) -> None:
        """Let so many requests of the dialect of events pass a minute, counted from now on."""
        limits = RateLimiter({"piglet": {"amount": amount, "burst": 0}}, "memory:", DIALECTS)
        object.__setattr__(self.services, "limits", limits)

    def disable(self, account: Account) -> None:
        """Let an account's keys mean an account that may do nothing any more."""
        known = self.keys.known[account.username]
        self.keys.known[account.username] = replace(known, account=replace(account, enabled=False))


class Speaker:
    """The client's side of an event socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.numbers = iter(range(1, 1_000_000))

    async def send(self, kind: str, data: Any = None, ident: str | None = None) -> str:
        """Send a request; returns its id."""
        ident = ident or str(next(self.numbers))
        await self.connection.send(json.dumps({"type": kind, "data": data, "id": ident}))
        return ident

    async def next(self, seconds: float = 10) -> Any:
        """Return the next frame."""
        return json.loads(await asyncio.wait_for(self.connection.recv(), seconds))

    async def ask(self, kind: str, data: Any = None) -> Any:
        """Send a request and return what comes next, which must be its reply."""
        ident = await self.send(kind, data)
        frame = await self.next()
        assert frame.get("id") == ident, frame
        return frame

    async def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for a while."""
        with suppress(TimeoutError):
            await self.next(seconds)
            return False
        return True


async def until(ready: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not ready():
            await asyncio.sleep(0.01)


@pytest.fixture
def house(jp_serverapp: Any, jp_base_url: str) -> House:
    """The edge, on the server of this test."""
    return House(jp_serverapp, jp_base_url)


@pytest.fixture
def port(http_server: object, http_server_port: tuple[object, int]) -> int:
    """Where it listens."""
    return http_server_port[1]


@pytest.fixture
def url(house: House, port: int) -> str:
    """The root of the versioned routes."""
    return f"http://127.0.0.1:{port}{house.base_url}api/v1"


Dial = Callable[..., Any]


@pytest.fixture
def dial(url: str, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Dial]:
    """Open event sockets: ``await dial("alice")``."""
    opened: list[ClientConnection] = []

    async def open_socket(key: str | None = "alice", path: str = "/ws", **options: Any) -> Speaker:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["X-API-Key"] = f"jx_{key}"
        where = "ws" + url.removeprefix("http") + path
        connection = await connect(where, additional_headers=headers, proxy=None, **options)
        opened.append(connection)
        return Speaker(connection)

    yield open_socket

    async def close() -> None:
        await asyncio.gather(*(each.close() for each in opened))

    jp_asyncio_loop.run_until_complete(close())
