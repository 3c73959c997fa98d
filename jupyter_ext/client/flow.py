"""How a call goes, without saying who waits: both clients run this with their own HTTP.

A generator asks for what it needs (`Send`, `Watch`, `Pause`) and gets the reply; so the rules (a
rotated key, long work, a lost
connection) stand in one place.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import PlatformError, Unavailable
from . import calls
from .call import Call, OnProgress, path
from .discovery import START, Server
from .replies import decode, error_from, operation_error, placed
from .sse import ServerSentEvent
from .things import Thing

T = TypeVar("T")

ENDED = ("succeeded", "failed", "cancelled")
WAIT_SECONDS = 20
"""How long a request waits for an operation whose progress nobody looks at, in seconds."""

SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the wire."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does it once."""
        return self.method in SAFE or "Idempotency-Key" in self.headers


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Return the body's JSON, or its text where it is none."""
        return decode(self.content) if self.content else None

    def error(self) -> PlatformError:
        """Return the error that it tells of."""
        return error_from(self.status, self.json(), self.headers)


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; resumes with its `Reply`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Watch:
    """Listen to events, send `first` once they flow, and stop when a handler says so.

    Resumes with True when one did, with False when the connection ended.
    """

    listen: Request
    first: Request
    begin: Callable[[Reply], bool]
    handle: Callable[[ServerSentEvent], bool]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait a moment."""

    seconds: float


Steps = Generator[Send | Watch | Pause, Any, T]


def perform(call: Call[T], server: Server) -> Steps[T]:
    """Make a call: authenticate, follow an operation, turn the reply into the result."""
    reply: Reply = yield from send(request_of(call), server)
    body = reply.json()
    value = call.unwrap(body)
    if reply.status == 202 and call.long:
        operation = yield from follow(Thing(value), server, call.progress)
        value = operation.get("result")
    try:
        return call.result(value)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Unavailable(
            f"{server.url} answered something else than this system does.",
            "Does the address belong to it?",
        ) from error


def request_of(call: Call[Any]) -> Request:
    """Return the request of a call, without its credential."""
    headers = {"Accept": "application/json"}
    if call.long:
        wait = "" if call.progress else f", wait={WAIT_SECONDS}"
        headers["Prefer"] = f"respond-async{wait}"
    if call.once:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    return Request(call.method, call.path, call.parameters(), headers, call.body, call.content)


def send(request: Request, server: Server) -> Steps[Reply]:
    """Send a request; where its key was refused and has been rotated since, once more."""
    reply: Reply = yield Send(request)
    if reply.status == 401 and server.credential.reload():
        reply = yield Send(request)
    if reply.status >= 400:
        raise placed(reply.error(), request.path)
    if 300 <= reply.status < 400:
        raise Unavailable(
            f"{server.url} sends callers elsewhere ({reply.headers.get('location', 'nowhere')}).",
            "Is the base URL in the address, as in http://localhost:8888/base/?",
        )
    return reply


def follow(operation: Thing, server: Server, progress: OnProgress | None) -> Steps[Thing]:
    """Follow an operation to its end by the event stream, and return it as it succeeded.

    Raises
    ------
    PlatformError
        What it failed with.
    """
    latest = operation

    def take(state: Thing) -> bool:
        nonlocal latest
        latest = state
        if progress is not None:
            progress(latest)
        return latest.state in ENDED

    def begin(reply: Reply) -> bool:
        if reply.status >= 400:
            raise reply.error()
        return take(Thing(reply.json()))

    def handle(event: ServerSentEvent) -> bool:
        data = event.json()
        mine = event.event == "operations" and data.get("id") == latest.id
        return mine and take(Thing(data))

    ended = take(operation)
    first = request_of(calls.operation_get(latest.id))
    pause = 0.2
    while not ended:
        ended = yield Watch(events_request(("operations",)), first, begin, handle)
        if not ended:
            yield Pause(pause)
            pause = min(pause * 2, 5.0)
    if latest.state != "succeeded":
        raise operation_error(latest)
    return latest


def events_request(topics: tuple[str, ...], after: str | None = None) -> Request:
    """Return the request for the event stream, from after the event `after` on."""
    headers = {"Accept": "text/event-stream"}
    if after:
        headers["Last-Event-ID"] = after
    params = {"topics": ",".join(topics)} if topics else {}
    return Request("GET", path("events"), params, headers)


def unreachable(server: Server, error: Exception) -> Unavailable:
    """Return what to say when no connection comes about or one breaks; the URL holds no secret."""
    reason = str(error) or type(error).__name__
    return Unavailable(
        f"The server at {server.url} does not answer ({reason}).",
        f"Is it running? {START}, or name another with --url.",
    )
