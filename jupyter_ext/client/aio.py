"""The client that is awaited."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from .account_groups import (
    AsyncApiKeys,
    AsyncAudit,
    AsyncInvitations,
    AsyncQuotas,
    AsyncRoles,
    AsyncUsers,
)
from .backup_groups import AsyncBackups
from .call import Call, OnProgress, thing
from .containers_aio import AsyncContainers, AsyncOperations
from .database_groups import AsyncDatabases
from .device_groups import AsyncDevices, AsyncGpus
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
from .groups import AsyncImages, AsyncSystem
from .live_aio import AsyncLive
from .service_groups import AsyncServices
from .snapshot_calls import AsyncSnapshots
from .sse import ServerSentEvent, SseParser
from .transport import HEARTBEAT_TIMEOUT, answer_of, options, reset_delay, retriable

T = TypeVar("T")

log = logging.getLogger("jupyter_ext.client")


class AsyncClient:
    """A server's API for programs on an event loop; its arguments are those of `Client`."""

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
        self._http = httpx.AsyncClient(**options(self.server, timeout, verify))
        self.containers = AsyncContainers(self)
        self.images = AsyncImages(self)
        self.operations = AsyncOperations(self)
        self.api_keys = AsyncApiKeys(self)
        self.users = AsyncUsers(self)
        self.roles = AsyncRoles(self)
        self.invitations = AsyncInvitations(self)
        self.quotas = AsyncQuotas(self)
        self.devices = AsyncDevices(self)
        self.gpus = AsyncGpus(self)
        self.databases = AsyncDatabases(self)
        self.services = AsyncServices(self)
        self.backups = AsyncBackups(self)
        self.snapshots = AsyncSnapshots(self)
        self.audit = AsyncAudit(self)
        self.system = AsyncSystem(self)

    def __repr__(self) -> str:
        return f"AsyncClient({self.server.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def call(self, call: Call[T]) -> T:
        """Make a call that `jupyter_ext.client.calls` describes."""
        return await self._run(perform(call, self.server))

    async def request(
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
        return (await self._run(send(request, self.server))).json()

    async def follow(self, operation: Mapping[str, Any], progress: OnProgress | None = None) -> Any:
        """Wait for an operation's end and return its result."""
        ended = await self._run(follow(thing(operation), self.server, progress))
        return ended.get("result")

    async def events(
        self, topics: tuple[str, ...] | list[str] = (), after: str | None = None
    ) -> AsyncIterator[Event]:
        """Yield what happens, without end; a lost connection is taken up where it broke."""
        last, delay = after, 0.0
        while True:
            started = time.monotonic()
            try:
                async with self._listen(events_request(tuple(topics), last)) as events:
                    async for sent in events:
                        last = sent.id or last
                        yield event_of(sent)
            except httpx.TransportError as error:
                log.info("The event stream broke: %s", type(error).__name__)
            delay = reset_delay(delay, time.monotonic() - started)
            await asyncio.sleep(delay)

    async def live(self) -> AsyncLive:
        """Open the event socket: subscriptions with a first state each, then changes."""
        return await AsyncLive.open(self.server, self.verify)

    # -- what the flows ask for -------------------------------------------------------------------

    async def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Send):
                    answer = await self._send(step.request)
                elif isinstance(step, Watch):
                    answer = await self._watch(step)
                elif isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, request: Request) -> Reply:
        try:
            return await self._exchange(request)
        except httpx.TransportError as error:
            if not retriable(error, request):
                raise unreachable(self.server, error) from error
        # A kept connection that the server had closed meanwhile: a new one tells.
        try:
            return await self._exchange(request)
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error

    async def _exchange(self, request: Request) -> Reply:
        started = time.perf_counter()
        response = await self._http.send(self._build(request))
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

    async def _watch(self, watch: Watch) -> bool:
        try:
            async with self._listen(watch.listen) as events:
                if watch.begin(await self._send(watch.first)):
                    return True
                async for sent in events:
                    if watch.handle(sent):
                        return True
                return False
        except httpx.TransportError:
            return False

    @asynccontextmanager
    async def _listen(self, request: Request) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """Open a stream of server-sent events."""
        timeout = httpx.Timeout(10.0, read=HEARTBEAT_TIMEOUT)
        response = await self._http.send(self._build(request, timeout), stream=True)
        if response.status_code == 401 and self.server.credential.reload():
            await response.aclose()
            response = await self._http.send(self._build(request, timeout), stream=True)
        try:
            if response.status_code != 200:
                await response.aread()
                raise answer_of(response).error()
            yield _events(response)
        finally:
            await response.aclose()

    async def stream(self, request: Request) -> AsyncIterator[ServerSentEvent]:
        """Yield the events of one stream to its end."""
        try:
            async with self._listen(request) as events:
                async for sent in events:
                    yield sent
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error

    async def download(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of a reply piece by piece."""
        try:
            response = await self._http.send(self._build(request), stream=True)
            try:
                if response.status_code != 200:
                    await response.aread()
                    raise answer_of(response).error()
                async for piece in response.aiter_bytes():
                    yield piece
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error


async def _events(response: httpx.Response) -> AsyncIterator[ServerSentEvent]:
    parser = SseParser()
    async for line in response.aiter_lines():
        sent = parser.feed(line)
        if sent is not None:
            yield sent
