"""The types that a domain's ``routes.py`` is written with: one entry of a table is one endpoint."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from ..errors import PlatformError

if TYPE_CHECKING:
    from .dialects import Dialect

T = TypeVar("T")

Json = Any
"""What ``json.dumps`` takes."""

View = Callable[[Any], Json]
"""Turns a domain's type into the document's fields and units."""

May = Callable[[str | None], bool]
"""Whether the caller's credential opens a permission."""

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A bounded part of a list.

    Parameters
    ----------
    items
        This page's things.
    total
        How many there are over all pages.
    name
        What the list is called where a dialect names it (``databases``).
    """

    items: Sequence[T]
    total: int
    limit: int = 50
    offset: int = 0
    name: str = "items"
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A thing after a call, and whether the call changed it."""

    value: T
    changed: bool


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of the reply: for this server's base URL, out of scripts' reach.

    Parameters
    ----------
    lifetime
        Seconds; None takes the cookie away.
    """

    name: str
    value: str
    lifetime: float | None = None


@dataclass(frozen=True, slots=True)
class WithCookies(Generic[T]):
    """A result that comes with cookies."""

    value: T
    cookies: Sequence[Cookie]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed reply.

    Parameters
    ----------
    data
        JSON for server-sent events, bytes for a plain stream.
    event, id
        Of server-sent events.
    """

    data: Json | bytes
    event: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply that goes on: its content type and its chunks.

    The iterator is closed (``aclose``) when the client goes away.

    Parameters
    ----------
    stuck
        Set when the connection must be cut although its client, that does not read, can't be told.
    """

    chunks: AsyncIterator[Chunk]
    content_type: str = "text/event-stream"
    filename: str | None = None
    stuck: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is too long for memory: a route with ``upload`` gets it as a file.

    Tornado calls a handler only when the body is complete, so it is written to a temporary file
    meanwhile.

    Parameters
    ----------
    file
        At its beginning; gone after the call.
    size
        Bytes.
    """

    file: IO[bytes]
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Document:
    """A reply that is a file, outside of any dialect.

    Parameters
    ----------
    policy
        Its Content-Security-Policy, where it is a page with scripts.
    """

    body: bytes
    content_type: str
    policy: str | None = None


ErrorCodes = Mapping[type[PlatformError], "int | tuple[int, str] | tuple[int, str, str]"]
"""A document's own (status, code, reason) for an error, where it has one."""


@dataclass(frozen=True)
class Route:
    """One HTTP endpoint.

    Parameters
    ----------
    method, path
        ``{name}`` in the path is one segment, given to `call` by name.
    call
        An unbound method of a manager: ``async def m(self, caller, <path parameters>, query=…,
        body=…)``.
    dialect
        How its replies look.
    permission
        ``container:start``; ``None`` for what every account may do.
    begun
        An unbound method of a manager, ``async def m(self, caller, result)``: what `call` would
        have returned, by what is kept of the operation that it began. For a request that is sent
        again because its server died.
    query, body
        Models that validate.
    may
        Whether `call` also gets `may`, a `May`, since what it shows depends on further permissions.
    credential
        Whether `call` also gets `credential`, since what it makes ends with it.
    upload
        The media type of a body that comes as a file, as an `Upload`.
    result
        The type that comes back, for the OpenAPI document.
    view
        Applied to the result (to each item of a `Page`, to the value of a `Change`).
    status
        Of a success.
    body_limit
        Bytes; an upload has the server's own limit instead.
    public
        Needs no credential.
    audited
        Whether the edge records it where it changes something. False where the manager does, since
        it alone knows what there is to say: who logged in, say.
    anonymous
        Looks at none either, since it makes or ends one: `call` gets ``client=``, a `Client`.
    beside
        Fields of the data that the document shows at the top level of the body, too.
    """

    method: str
    path: str
    call: Callable[..., Awaitable[Any]]
    dialect: Dialect
    permission: str | None = None
    begun: Callable[..., Awaitable[Any]] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    may: bool = False
    credential: bool = False
    upload: str | None = None
    result: Any = None
    view: View | None = None
    errors: ErrorCodes = field(default_factory=dict)
    status: int = 200
    body_limit: int = MEGABYTE
    public: bool = False
    audited: bool = True
    anonymous: bool = False
    beside: Sequence[str] = ()
    summary: str = ""

    def __post_init__(self) -> None:
        """What looks at no credential can't need one."""
        if self.anonymous and not self.public:
            raise ValueError(f"{self.method} {self.path} is anonymous, so it is public")

    @cached_property
    def path_names(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return re.findall(r"{(\w+)}", self.path)

    @cached_property
    def pattern(self) -> str:
        """The path as Tornado's regular expression, below the base URL."""
        return path_pattern(self.path)


class Channel(Protocol):
    """A WebSocket as a manager sees it: JSON in, JSON out."""

    async def receive(self) -> Json:
        """Wait for the next message; whoever waits is cancelled when the other side goes."""

    async def send(self, message: Json) -> None:
        """Send a message, waiting where the reader is slow."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it."""


@dataclass(frozen=True)
class SocketRoute:
    """One WebSocket endpoint whose manager method talks over a `Channel`.

    ``async def m(self, caller, channel, <path parameters>, query=…)`` runs while the socket is
    open.
    """

    path: str
    call: Callable[..., Awaitable[None]]
    dialect: Dialect
    permission: str | None = None
    query: type[BaseModel] | None = None
    summary: str = ""

    @cached_property
    def path_names(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return re.findall(r"{(\w+)}", self.path)

    @cached_property
    def pattern(self) -> str:
        """The path as Tornado's regular expression, below the base URL."""
        return path_pattern(self.path)


@dataclass(frozen=True)
class Feed:
    """One topic of the event WebSocket.

    Parameters
    ----------
    topic
        What a client subscribes to.
    snapshot
        ``await snapshot(account, data)``: the reply to the subscription. An unbound manager method.
    stream
        ``stream(account, data)``: frames of its own; without it the bus's events are sent.
    permission
        As for a route.
    follows
        Topics of the bus that it sends, where these are others than `topic`, each with the
        permission that opens it: those that are closed to the subscriber are left out.
    """

    topic: str
    snapshot: Callable[..., Awaitable[dict[str, Json]]]
    stream: Callable[..., AsyncIterator[dict[str, Json]]] | None = None
    permission: str | None = None
    follows: Mapping[str, str | None] = field(default_factory=dict)


def path_pattern(path: str) -> str:
    """Tornado's regular expression for a path with ``{names}``."""
    parts = re.split(r"({\w+})", path)
    return "".join(
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in parts
    )


def bind(call: Callable[..., T], managers: Sequence[object]) -> Callable[..., T]:
    """The bound method of the manager in `managers` that has `call`.

    Raises
    ------
    LookupError
        No manager has it, so the application is put together wrongly.
    """
    name = call.__name__
    for manager in managers:
        if getattr(type(manager), name, None) is call:
            bound: Callable[..., T] = getattr(manager, name)
            return bound
    raise LookupError(f"No manager offers {call.__qualname__}")
