"""The one handler of every HTTP route, from the body to the reply."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from functools import partial
from typing import IO, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web

from ..accounts.schemas import Credential
from ..errors import (
    Forbidden,
    MethodNotAllowed,
    NotFound,
    PlatformError,
    TooLarge,
    Unauthenticated,
)
from ..operations import Running
from ..operations.schemas import Operation
from .admission import INTERNAL, JSON, AdmissionHandler, anonymous
from .auditing import READS, REPLAYED, Trace
from .authentication import client_of
from .dialects import Dialect
from .methods import Bound, Methods
from .parsing import parse_body, parse_json, parse_query
from .preferences import Preferences
from .render import body_of, encode, jsonable
from .replay import Claim
from .route import MEGABYTE, Cookie, Document, Route, Stream, Upload, WithCookies
from .services import Services
from .streams import send_stream

OVERLONG = 16 * MEGABYTE
"""Bytes beyond a limit that Tornado still takes in, so that the refusal is ours and not its own."""


@web.stream_request_body
class Endpoint(AdmissionHandler):
    """Serves one path; the table says what each method does."""

    def initialize(self, services: Services, methods: Methods, path: str) -> None:
        """Take what `application.handlers_for` made of the table."""
        self.services = services
        self.methods = methods.of(self.request)
        self.template = path
        method = self.request.method or "GET"
        self.bound = self.methods.get("GET" if method == "HEAD" else method)
        if self.bound is not None:
            self.error_codes = self.bound.route.errors
        # Reads are the panel's and scripts' looking on, which must not keep an idle server alive.
        self._track_activity = method not in READS
        self._body = bytearray()
        self._received = 0
        self._upload: IO[bytes] | None = None
        self._uploading: Credential | None = None
        self._complete = False
        self._claim = Claim(services)
        self._trace = Trace(self)

    @property
    def dialect(self) -> Dialect:
        """The route's dialect; for another method of the path that of its neighbour."""
        bound = self.bound or next(iter(self.methods.values()), None)
        return bound.route.dialect if bound else super().dialect

    # -- before and with the body ------------------------------------------------------------------

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate and limit as soon as the headers are in."""
        try:
            if self.is_preflight:
                self.allow_to_send(self.methods)
                return
            if self.bound is not None and self.bound.route.anonymous:
                await self.admit_anybody()
            else:
                await self.admit()
            if self.credential is None and not (self.bound and self.bound.route.public):
                raise Unauthenticated
            route = self._served().route
            # Before the body, which may be a gigabyte on its way to the disk.
            self._permit(route)
            self._expect_body(route)
        except PlatformError as error:
            await self._trace.failed(error)
            self.refuse(error)

    def _expect_body(self, route: Route) -> None:
        """Refuse a body by its length alone, and make room for one that comes as a file."""
        limit = self._body_limit
        length = self.request.headers.get("Content-Length", "0")
        declared = int(length) if length.isdecimal() else 0
        # What Tornado finds too long it answers outside of any dialect.
        self.request.connection.set_max_body_size(  # type: ignore[union-attr]
            max(declared, limit) + OVERLONG
        )
        if declared > limit:
            raise TooLarge(limit)
        if route.upload is None:
            return
        if self.credential is not None:
            self.services.uploads.enter(self.credential)
            self._uploading = self.credential
        self._upload = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _let_go

    @property
    def _body_limit(self) -> int:
        if self.bound is None:
            return MEGABYTE
        route = self.bound.route
        return route.body_limit if route.upload is None else self.services.uploads.limit

    def _permit(self, route: Route) -> None:
        if route.public or self.credential is None:
            return
        if not self.services.allowed(self.credential, route.permission):
            raise Forbidden(f"Your account or key lacks the permission {route.permission!r}.")

    def _served(self) -> Bound:
        if self.bound is not None:
            return self.bound
        if not self.methods:
            path = self.request.path
            raise NotFound("path", path, f"Nothing is served at {path}.")
        allowed = set(self.methods) | ({"HEAD"} if "GET" in self.methods else set())
        raise MethodNotAllowed(self.request.method or "", allowed)

    def data_received(self, chunk: bytes) -> None:
        """Collect a piece of the body, in a file where the route takes one."""
        if self._finished or self.refused is not None:
            return
        limit = self._body_limit
        self._received += len(chunk)
        if self._received > limit:
            self.close_after_reply()
            self.fail(TooLarge(limit))
        elif self._upload is not None:
            self._upload.write(chunk)
        else:
            self._body += chunk

    def on_finish(self) -> None:
        """Let go of an upload's file."""
        self._trace.ended()
        self._let_go()

    def on_connection_close(self) -> None:
        """Let go of half an upload, which nothing else ends."""
        super().on_connection_close()
        if not self._complete:
            self._let_go()

    def _let_go(self) -> None:
        if self._upload is not None:
            self._upload.close()
        credential, self._uploading = self._uploading, None
        if credential is not None:
            self.services.uploads.leave(credential)

    # -- the call ----------------------------------------------------------------------------------

    async def _answer(self, **path: str) -> None:
        self._complete = True
        if self._finished:
            return
        try:
            if self.refused is not None:
                raise self.refused
            if self.is_preflight:
                self.set_status(204)
                self.finish()
                return
            await self._call(path)
        except PlatformError as error:
            await self._claim.release()
            await self._trace.failed(error)
            self.fail(error)
        except Exception:
            self.log.error(
                "Request %s (%s %s) failed",
                self.request_id,
                self.request.method,
                self.template,
                exc_info=True,
            )
            await self._claim.release()
            failure = PlatformError(INTERNAL)
            await self._trace.failed(failure)
            self.fail(failure)

    @allow_unauthenticated
    async def get(self, **path: str) -> None:
        """Answer by the table, which also says who may."""
        await self._answer(**path)

    head = post = put = patch = delete = options = get  # type: ignore[assignment]

    async def _call(self, path: dict[str, str]) -> None:
        bound = self._served()
        credential = self.credential or anonymous(self.request.remote_ip)
        arguments = self._arguments(bound.route, path)
        body = bytes(self._body)
        stored = await self._claim.take(self.request, body, credential)
        if isinstance(stored, Operation) and await self._ended(self._claim.ended(stored)):
            # One that came to nothing is no answer: then this request is the first.
            stored = await self._claim.take(self.request, body, credential)
        if isinstance(stored, Operation):
            self.set_header("Idempotency-Replayed", "true")
            reply = await self._replayed(bound, credential, stored)
            await self._trace.succeeded(reply[0], message=REPLAYED)
            self._send(*reply)
            return
        if stored is not None:
            for name, value in stored.headers.items():
                self.set_header(name, value)
            self.set_header("Idempotency-Replayed", "true")
            await self._trace.succeeded(stored.status, message=REPLAYED)
            self._send(stored.status, stored.body.encode())
            return
        if bound.route.anonymous:
            arguments["client"] = client_of(self.request, self.request_id)
        result = await bound.call(credential.account, **arguments)
        if isinstance(result, Stream):
            await self._trace.succeeded(bound.route.status)
            await send_stream(self, result)
            return
        status, body, content_type = await self._rendered(bound.route, result)
        # First of all, since it is done, whatever becomes of the rest.
        await self._trace.succeeded(status, result)
        await self._claim.keep(status, self._headers.get("Location"), body)
        self._send(status, body, content_type)

    def _arguments(self, route: Route, path: dict[str, str]) -> dict[str, Any]:
        """Return what the manager's method is called with, validated."""
        arguments: dict[str, Any] = dict(path)
        unknown: list[str] = []
        for name, value in path.items():
            if "\0" in value:
                raise NotFound(name, value.replace("\0", "\\0"))
        if route.query is not None:
            sent = dict(self.request.query_arguments)
            last_event = self.request.headers.get("Last-Event-ID")
            if last_event is not None and "last_event_id" in route.query.model_fields:
                sent["last_event_id"] = [last_event.encode()]
            arguments["query"], unknown = parse_query(route.query, sent)
        if route.may:
            credential = self.credential or anonymous(self.request.remote_ip)
            arguments["may"] = partial(self.services.allowed, credential)
        if route.credential:
            arguments["credential"] = self.credential
        if self._upload is not None:
            self._upload.seek(0)
            content_type = self.request.headers.get("Content-Type", "")
            arguments["body"] = Upload(self._upload, self._received, content_type)
        elif route.body is not None:
            arguments["body"], more = parse_body(route.body, bytes(self._body))
            unknown = [*unknown, *more]
        elif self._body:
            parse_json(bytes(self._body))
        if unknown:
            names = ", ".join(ascii(name)[1:-1] for name in unknown[:20])
            self.set_header("Warnings", f"unknown fields ignored: {names}")
        return arguments

    # -- the reply ---------------------------------------------------------------------------------

    async def _rendered(self, route: Route, result: Any) -> tuple[int, bytes, str]:
        if isinstance(result, Running):
            if not await self._ended(result.ended()):
                self.set_header("Preference-Applied", "respond-async")
                return self._accepted(route, result.current())
            self._locate(result.operation)
            result = await result.wait()
        if isinstance(result, WithCookies):
            for cookie in result.cookies:
                self._send_cookie(cookie)
            result = result.value
        if isinstance(result, Document):
            if result.policy is not None:
                self.set_header("Content-Security-Policy", result.policy)
            return route.status, result.body, result.content_type
        return route.status, encode(body_of(route, result)), JSON

    async def _replayed(
        self, bound: Bound, credential: Credential, operation: Operation
    ) -> tuple[int, bytes, str]:
        """Answer with what a server began that died before it answered."""
        kept = operation.result
        if bound.begun is None or operation.active or kept is None or self._patience == 0:
            return self._accepted(bound.route, operation)
        try:
            result = await bound.begun(credential.account, kept)
        except NotFound:
            # It is gone since, or only this server has not heard of it yet.
            return self._accepted(bound.route, operation)
        self._locate(operation)
        return await self._rendered(bound.route, result)

    def _accepted(self, route: Route, operation: Operation) -> tuple[int, bytes, str]:
        self._locate(operation)
        return 202, encode(route.dialect.success(202, jsonable(operation))), JSON

    def _locate(self, operation: Operation) -> None:
        self.set_header("Location", f"{self.base_url}api/v1/operations/{operation.id}")

    def _send_cookie(self, cookie: Cookie) -> None:
        """Set a cookie that no script reads and no other site sends, or take one away."""
        guarded: dict[str, Any] = {
            "path": self.base_url,
            "httponly": True,
            "samesite": "Lax",
            "secure": self.request.protocol == "https",
        }
        if cookie.lifetime is None:
            self.clear_cookie(cookie.name, **guarded)
        else:
            self.set_cookie(cookie.name, cookie.value, max_age=int(cookie.lifetime), **guarded)

    @property
    def _patience(self) -> float | None:
        """Seconds that the caller waits for long work; None to its end."""
        return Preferences.of(self.request.headers.get("Prefer", "")).seconds

    async def _ended(self, end: Awaitable[None]) -> bool:
        """Wait for long work as long as the caller prefers; whether it ended."""
        try:
            # What is waited for is only the end: giving that up cancels no work.
            await asyncio.wait_for(end, self._patience)
        except TimeoutError:
            return False
        return True

    def _send(self, status: int, body: bytes, content_type: str = JSON) -> None:
        if not self._finished:
            self.set_status(status)
            self.finish(body, set_content_type=content_type)

    def finish_stream(self, content_type: str) -> None:
        """End a streamed reply."""
        if not self._finished:
            self.finish(set_content_type=content_type)
