"""What is said of a request in the audit: who, what, to which thing, and how it ended.

Recorded is what changes something and reached a route, however it ended, and every 403. Not
recorded, since anybody can cause them without end: requests without a credential that fail
otherwise, and those that come too soon.

Nothing that came with a request gets there but its path: no query, no body, no header, and no text
of an error, which may repeat any of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..accounts.schemas import AuditEntry, Credential
from ..errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PlatformError,
    QuotaExceeded,
)
from ..operations import Operation, Running
from .route import Change, Document, Page, Route, Stream

if TYPE_CHECKING:
    from .channel import ChannelSocket
    from .endpoint import Endpoint
    from .socket import Socket

READS = frozenset({"GET", "HEAD", "OPTIONS"})

NAMES = ("username", "name", "tags", "cid", "iid", "id")
"""Fields of a result that say which thing it is; never others, which may hold secrets."""

MOST_NAMES = 8

REPLAYED = "REPLAYED"
"""Said of a request that did nothing, since the same one did it before (``Idempotency-Key``)."""

_log = logging.getLogger(__name__)


class Trace:
    """What one HTTP request leaves behind: one entry at most."""

    def __init__(self, handler: Endpoint) -> None:
        self._handler = handler
        self._left = False

    async def succeeded(self, status: int, result: Any = None, message: str = "") -> None:
        """Record that it did what it was asked to, before the reply goes out."""
        if entry := self._entry(status, message, result):
            await self._handler.services.audit.record(entry)

    async def failed(self, error: PlatformError) -> None:
        """Record that it did not, before the reply goes out."""
        if entry := self._entry(error.status, reason(error, self._fields())):
            await self._handler.services.audit.record(entry)

    def ended(self) -> None:
        """Record what was refused without a word to the above."""
        if entry := self._entry(self._handler.get_status(), ""):
            self._handler.services.audit.note(entry)

    def _entry(self, status: int, message: str, result: Any = None) -> AuditEntry | None:
        handler = self._handler
        method = handler.request.method or ""
        route = handler.bound.route if handler.bound else None
        if self._left or route is None or not route.audited:
            return None
        if not _recorded(method, status, handler.credential):
            return None
        self._left = True
        words = list(handler.path_kwargs.values())
        try:
            words += names_in(route, result, handler.credential)
        except Exception:
            # What was done is done: it is recorded without its name.
            _log.exception("The result of %s %s has no name", method, route.path)
        action = route.permission or f"{method} {route.path}"
        return entry_of(handler, handler.credential, action, method, status, words, message)

    def _fields(self) -> Collection[str]:
        """Return what fields the route knows; what else is named came with the request."""
        route = self._handler.bound.route if self._handler.bound else None
        models = [model for model in (route.body, route.query) if model] if route else []
        fields = [(name, info) for model in models for name, info in model.model_fields.items()]
        return {"body", *(info.alias or name for name, info in fields), *(n for n, _ in fields)}


class SocketTrace:
    """What a WebSocket that acts leaves behind: that it was opened, and how it ended."""

    def __init__(self, socket: ChannelSocket) -> None:
        self._socket = socket
        self._began = time.monotonic()
        self._error: PlatformError | None = None

    async def opened(self) -> None:
        """Record it before anything is done."""
        await self._socket.services.audit.record(self._entry("OPEN", 101, ""))

    def failed(self, error: PlatformError) -> None:
        """Remember why it ends."""
        self._error = error

    def closed(self) -> None:
        """Record the end."""
        seconds = f"after {time.monotonic() - self._began:.0f} s"
        error = self._error
        message = f"{reason(error, ())} {seconds}" if error else seconds
        self._socket.services.audit.note(
            self._entry("CLOSE", error.status if error else 200, message)
        )

    def _entry(self, method: str, status: int, message: str) -> AuditEntry:
        socket = self._socket
        words = socket.path_kwargs.values()
        return entry_of(socket, socket.credential, socket.action, method, status, words, message)


def refuse_on(
    socket: Socket, error: PlatformError, action: str, method: str = "OPEN", *words: str
) -> None:
    """Record that a WebSocket, or a frame of it, was refused for want of a permission."""
    if error.status == 403:
        message = reason(error, ())
        words = words or tuple(socket.path_kwargs.values())
        entry = entry_of(socket, socket.credential, action, method, 403, words, message)
        socket.services.audit.note(entry)


def entry_of(
    handler: Endpoint | Socket,
    credential: Credential | None,
    action: str,
    method: str,
    status: int,
    words: Collection[str],
    message: str,
) -> AuditEntry:
    """Return an entry about a request or a socket."""
    address = handler.request.remote_ip or ""
    path = "/" + handler.request.path.removeprefix(handler.base_url)
    return AuditEntry(
        action=action,
        status=status,
        account=credential.account if credential else None,
        credential=credential.id if credential else f"ip:{address}",
        address=address,
        method=method,
        path=unquote(path, errors="replace"),
        target=target_of(words),
        message=message,
        request_id=handler.request_id,
    )


def target_of(words: Iterable[str]) -> str:
    """Return names and ids as one text, each once."""
    return " ".join(dict.fromkeys(word for word in words if word))


def reason(error: PlatformError, known: Collection[str]) -> str:
    """Return an error's code and what it is about, in words that are ours.

    Parameters
    ----------
    known
        Names of fields that may be told.
    """
    about: list[str] = []
    if isinstance(error, InvalidRequest):
        tops = (name.partition(".")[0] for name in error.fields)
        about = [name for name in dict.fromkeys(tops) if name in known]
    elif isinstance(error, NotFound | Conflict):
        about = [error.kind]
    elif isinstance(error, QuotaExceeded):
        told = ("resource", "limit", "used")
        about = [f"{name} {error.details[name]}" for name in told if name in error.details]
    return f"{error.code}: {', '.join(about)}" if about else error.code


def names_in(route: Route, result: Any, credential: Credential | None) -> Iterator[str]:
    """Yield the names and ids of what a call answered, and whose it is where it is another's."""
    if isinstance(result, Running):
        yield from names_of_operation(result.current())
        return
    value = result.value if isinstance(result, Change) else result
    if value is None or isinstance(value, Page | Stream | Document):
        return
    data = route.view(value) if route.view else value
    yield from names_of(data)
    owner, account = _field(data, "owner"), credential.account if credential else None
    if isinstance(owner, str) and account and owner not in (account.id, account.username):
        yield f"owner={owner}"


def names_of_operation(operation: Operation) -> Iterator[str]:
    """Yield what long work is about, its id, and what it made."""
    yield from (operation.subject, operation.id)
    yield from names_of(operation.result)


def names_of(data: Any) -> Iterator[str]:
    """Yield the names and ids that something has."""
    for name in NAMES:
        found = _field(data, name)
        for each in (found if isinstance(found, list) else [found])[:MOST_NAMES]:
            if isinstance(each, str | int) and not isinstance(each, bool):
                yield str(each)


def _field(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)


def _recorded(method: str, status: int, credential: Credential | None) -> bool:
    if status == 403:
        return True
    if method in READS or status == 429:
        return False
    return status < 400 or (credential is not None and credential.account is not None)
