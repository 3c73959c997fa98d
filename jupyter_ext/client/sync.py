"""The client that waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from .account_groups import ApiKeys, Audit, Invitations, Quotas, Roles, Users
from .backup_groups import Backups
from .call import Call, OnProgress, thing
from .containers import Containers, Operations
from .database_groups import Databases
from .device_groups import Devices, Gpus
from .discovery import Server, find_server
from .events import Event, event_of
from .flow import (
    Pause,
    Reply,
    Request,
    Send,
    Steps,
    Watch,
    events_request,
    follow,
    perform,
    send,
    unreachable,
)
from .groups import Images, System
from .live import Live
from .service_groups import Services
from .snapshot_calls import Snapshots
from .sse import ServerSentEvent, SseParser
from .transport import HEARTBEAT_TIMEOUT, answer_of, options, reset_delay, retriable

T = TypeVar("T")

log = logging.getLogger("jupyter_ext.client")


class Client:
    """A server's API for programs that wait.

    Parameters
    ----------
    url
        The server's address; found by itself inside notebooks and on the server's machine.
    api_key
        An API key or a token.
    token_file
        A file with a key that changes.
    home
        Where a local server's state lies, instead of ``JUPYTER_EXT_HOME``.
    timeout
        Seconds until a silent server counts as gone.
    verify
        Whether, or with what CA bundle, its certificate is checked.

    Raises
    ------
    Unavailable
        No server was named, and none found.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        token_file: str | Path | None = None,
        home: str | Path | None = None,
        timeout: float = 30.0,
        verify: bool | str = True,
    ) -> None:
        self.server: Server = find_server(url, api_key, token_file=token_file, home=home)
        self.verify = verify
        self._http = httpx.Client(**options(self.server, timeout, verify))
        self.containers = Containers(self)
        self.images = Images(self)
        self.operations = Operations(self)
        self.api_keys = ApiKeys(self)
        self.users = Users(self)
        self.roles = Roles(self)
        self.invitations = Invitations(self)
        self.quotas = Quotas(self)
        self.devices = Devices(self)
        self.gpus = Gpus(self)
        self.databases = Databases(self)
        self.services = Services(self)
        self.backups = Backups(self)
        self.snapshots = Snapshots(self)
        self.audit = Audit(self)
        self.system = System(self)

    def __repr__(self) -> str:
        return f"Client({self.server.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def call(self, call: Call[T]) -> T:
        """Make a call that `jupyter_ext.client.calls` describes."""
        return self._run(perform(call, self.server))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Send a request to any path (``/api/v1/…``) and return the reply's JSON as it is."""
        headers = {"Accept": "application/json"}
        request = Request(method.upper(), path, params or {}, headers, body)
        return self._run(send(request, self.server)).json()

    def follow(self, operation: Mapping[str, Any], progress: OnProgress | None = None) -> Any:
        """Wait for an operation's end and return its result."""
        return self._run(follow(thing(operation), self.server, progress)).get("result")

    def events(
        self, topics: tuple[str, ...] | list[str] = (), after: str | None = None
    ) -> Iterator[Event]:
        """Yield what happens, without end; a lost connection is taken up where it broke.

        Parameters
        ----------
        topics
            ``containers``, ``images``, ``operations``, ``engine``; all without it.
        after
            The id of the last event that is known.
        """
        last, delay = after, 0.0
        while True:
            started = time.monotonic()
            try:
                with self._listen(events_request(tuple(topics), last)) as events:
                    for sent in events:
                        last = sent.id or last
                        yield event_of(sent)
            except httpx.TransportError as error:
                log.info("The event stream broke: %s", type(error).__name__)
            delay = reset_delay(delay, time.monotonic() - started)
            time.sleep(delay)

    def live(self) -> Live:
        """Open the event socket: subscriptions with a first state each, then changes."""
        return Live(self.server, self.verify)

    # -- what the flows ask for -------------------------------------------------------------------

    def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Send):
                    answer = self._send(step.request)
                elif isinstance(step, Watch):
                    answer = self._watch(step)
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, request: Request) -> Reply:
        try:
            return self._exchange(request)
        except httpx.TransportError as error:
            if not retriable(error, request):
                raise unreachable(self.server, error) from error
        # A kept connection that the server had closed meanwhile: a new one tells.
        try:
            return self._exchange(request)
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error

    def _exchange(self, request: Request) -> Reply:
        started = time.perf_counter()
        response = self._http.send(self._build(request))
        log.debug(
            "%s %s: %s in %.0f ms",
            request.method,
            request.path,
            response.status_code,
            (time.perf_counter() - started) * 1000,
        )
        return answer_of(response)

    def _build(self, request: Request, timeout: httpx.Timeout | None = None) -> httpx.Request:
        return self._http.build_request(
            request.method,
            self.server.address(request.path),
            params=dict(request.params),
            headers={**request.headers, **self.server.credential.headers()},
            json=request.body,
            content=request.content,
            timeout=timeout or httpx.USE_CLIENT_DEFAULT,
        )

    def _watch(self, watch: Watch) -> bool:
        try:
            with self._listen(watch.listen) as events:
                if watch.begin(self._send(watch.first)):
                    return True
                return any(watch.handle(sent) for sent in events)
        except httpx.TransportError:
            return False

    @contextmanager
    def _listen(self, request: Request) -> Iterator[Iterator[ServerSentEvent]]:
        """Open a stream of server-sent events."""
        timeout = httpx.Timeout(10.0, read=HEARTBEAT_TIMEOUT)
        response = self._http.send(self._build(request, timeout), stream=True)
        if response.status_code == 401 and self.server.credential.reload():
            response.close()
            response = self._http.send(self._build(request, timeout), stream=True)
        try:
            if response.status_code != 200:
                response.read()
                raise answer_of(response).error()
            parser = SseParser()
            fed = (parser.feed(line) for line in response.iter_lines())
            yield (sent for sent in fed if sent is not None)
        finally:
            response.close()

    def stream(self, request: Request) -> Iterator[ServerSentEvent]:
        """Yield the events of one stream to its end."""
        try:
            with self._listen(request) as events:
                yield from events
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error

    def download(self, request: Request) -> Iterator[bytes]:
        """Yield the body of a reply piece by piece."""
        try:
            response = self._http.send(self._build(request), stream=True)
            try:
                if response.status_code != 200:
                    response.read()
                    raise answer_of(response).error()
                yield from response.iter_bytes()
            finally:
                response.close()
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error
