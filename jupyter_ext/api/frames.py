"""The event WebSocket: one per browser tab, for everything that changes.

A client sends ``{type, data, id?}``; the server ``{type, data, id?, timestamp}``, with ``eventId``
where a frame is an event of the bus. A reply repeats the request's ``id``.

Requests take effect in the order in which they come, and are answered beside each other. Each is
counted as a request over HTTP is: by its credential, by the address before there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from tornado.websocket import WebSocketClosedError

from ..accounts.schemas import Credential
from ..errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    PlatformError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from ..events import Bus, Event
from .admission import anonymous
from .asking import Asked
from .auditing import refuse_on
from .dialects import PIGLET
from .dialects.base import now
from .following import BoundFeed, Following
from .route import Json
from .services import Services
from .socket import Socket

AUTH_SECONDS = 10.0
"""For the first frame of a socket that opened without a credential."""
REPLY_SECONDS = 25.0
"""Every request gets a reply within 30."""
SUBSCRIPTIONS = 64
"""Of one connection."""
IN_FLIGHT = 32
"""Requests of one connection that may be worked on at once."""
REFUSALS = 20
"""Requests in a row that come too soon and are answered so; the next one closes the connection."""
TOO_SLOW = 4408
GOING_AWAY = 1001


class FrameSocket(Socket):
    """Serves ``/api/v1/ws`` and ``/ws``."""

    dialect = PIGLET
    anonymous_handshake = True

    def initialize(  # type: ignore[override]
        self, services: Services, bus: Bus, feeds: Mapping[str, BoundFeed]
    ) -> None:
        """Take the bus and what can be subscribed to."""
        super().initialize(services)
        self.bus = bus
        self.feeds = feeds
        self._followed: dict[str, Following] = {}
        self._in_flight = 0
        self._refused = 0
        self._resumed_after: str | None = None

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Wait for a credential where none came with the handshake."""
        super().open(*args, **kwargs)
        if self.credential is None:
            self.spawn(self._await_auth())

    async def _await_auth(self) -> None:
        await asyncio.sleep(AUTH_SECONDS)
        if self.credential is None:
            self.end(Unauthenticated("No credential came. Send {type: auth} first, or log in."))

    def on_close(self) -> None:
        """End what is followed."""
        for following in tuple(self._followed.values()):
            following.end()
        self._followed.clear()
        super().on_close()

    # -- requests ----------------------------------------------------------------------------------

    async def on_message(self, message: str | bytes) -> None:
        """Take one request.

        The next is read when this returns, so that whoever sends without reading fills their own
        buffers and not ours.
        """
        if self.ws_connection is None:
            # Closed, and the client has not taken note of it yet.
            return
        asked = Asked.read(message)
        if asked.kind == "auth" and asked.problem is None:
            # All that follows depends on it, so it is answered first. It counts by itself.
            await self._answer("auth", self._auth(asked.data, asked.id), asked.id)
            return
        try:
            await self._count_sender()
            if asked.problem is not None:
                raise asked.problem
            answer = self._begin(asked.kind, asked.data, asked.id)
        except PlatformError as error:
            await self.send_failure(error, asked.id)
            return
        self._in_flight += 1
        task = self.spawn(self._answer(asked.kind, answer, asked.id))
        task.add_done_callback(self._answered)

    def _answered(self, _: object) -> None:
        self._in_flight -= 1

    async def _count_sender(self) -> None:
        await self.count(self.credential or anonymous(self.request.remote_ip))

    async def count(self, credential: Credential) -> None:
        """Count a request, and close the connection of who goes on although refused."""
        try:
            await super().count(credential)
        except RateLimited as error:
            self._refused += 1
            if self._refused > REFUSALS:
                self.end(error)
            raise
        self._refused = 0

    def _begin(
        self, kind: str, data: dict[str, Json], request_id: Json
    ) -> Coroutine[Any, Any, None]:
        """Do at once what later requests must find done, and return the rest."""
        if self.credential is None:
            raise Unauthenticated
        if self._in_flight >= IN_FLIGHT:
            raise RateLimited(1, f"{IN_FLIGHT} requests of this socket are being answered.")
        if kind == "subscribe":
            return self._subscribed(self._follow(data), request_id)
        if kind == "unsubscribe":
            self._feed(data)
            self._unfollow(_slot(data))
            return self._reply("unsubscribe", data, request_id)
        if kind == "resume":
            after = data.get("lastEventId")
            if not isinstance(after, str):
                raise InvalidRequest(fields={"lastEventId": "must be the id of an event"})
            return self._resume(after, request_id)
        raise NotFound("type", kind, f"Frames of type {kind!r} are not understood.")

    async def _answer(self, kind: str, answer: Coroutine[Any, Any, None], request_id: Json) -> None:
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await answer
        except TimeoutError:
            error = Unavailable(f"{kind} took longer than {REPLY_SECONDS:.0f} s.", "Try again.")
            await self.send_failure(error, request_id)
        except PlatformError as error:
            await self.send_failure(error, request_id)
        except WebSocketClosedError:
            pass
        except Exception:
            await self.send_failure(self.unexpected(f"frame {kind}"), request_id)

    def unexpected(self, what: str) -> PlatformError:
        """Log the exception that is being handled; what the client hears of it."""
        self.log.error("Socket %s: %s failed", self.request_id, what, exc_info=True)
        return PlatformError(f"Something went wrong inside the server ({self.request_id}).")

    async def _auth(self, data: dict[str, Json], request_id: Json) -> None:
        token = data.get("token")
        if not isinstance(token, str):
            await self._count_sender()
            if token is not None:
                raise InvalidRequest(fields={"token": "must be text"})
        else:
            try:
                credential = await self.services.authenticator.bearer(token)
            except Unauthenticated:
                # Counted as a request with a bad key is.
                await self.count(anonymous(self.request.remote_ip))
                raise
            await self.count(credential)
            if self.credential is None:
                try:
                    self.adopt(credential, token)
                except RateLimited as error:
                    self.end(error)
                    return
            elif credential.account != self.account:
                raise Conflict("account", "other", "This socket belongs to another account.")
        account = self.account
        user = {"id": account.id, "username": account.username, "role": account.role}
        await self._reply("auth", {"user": user}, request_id)

    # -- subscriptions -----------------------------------------------------------------------------

    def _follow(self, data: dict[str, Json]) -> Following:
        feed = self._feed(data)
        if self.credential is None or not self.services.allowed(self.credential, feed.permission):
            error = Forbidden(f"Your account or key lacks the permission {feed.permission!r}.")
            refuse_on(self, error, feed.permission or self.action, "FRAME", feed.topic)
            raise error
        slot = _slot(data)
        if slot not in self._followed and len(self._followed) >= SUBSCRIPTIONS:
            raise RateLimited(60, f"{SUBSCRIPTIONS} subscriptions are the limit of one socket.")
        self._unfollow(slot)
        opened = frozenset(
            topic
            for topic, permission in feed.follows.items()
            if self.services.allowed(self.credential, permission)
        )
        self._followed[slot] = Following(self, feed, data, opened, self._resumed_after)
        return self._followed[slot]

    def _feed(self, data: Mapping[str, Json]) -> BoundFeed:
        topic = data.get("topic")
        feed = self.feeds.get(topic) if isinstance(topic, str) else None
        if feed is None:
            raise InvalidRequest(
                fields={"topic": f"must be one of {', '.join(sorted(self.feeds))}"}
            )
        return feed

    async def _subscribed(self, following: Following, request_id: Json) -> None:
        try:
            await self._reply("subscribe", await following.snapshot(), request_id)
        except BaseException:
            self.forget(following)
            raise
        following.begin()

    def _unfollow(self, slot: str) -> None:
        following = self._followed.pop(slot, None)
        if following is not None:
            following.end()

    def forget(self, following: Following) -> None:
        """Let go of a subscription that has come to its end."""
        for slot, each in tuple(self._followed.items()):
            if each is following:
                del self._followed[slot]
        following.end()

    async def _resume(self, after: str, request_id: Json) -> None:
        """Send again what the topics that are subscribed to had after an event.

        Where nothing is subscribed to yet, what will be begins there.
        """
        followed = tuple(self._followed.values())
        for following in followed:
            await following.began()
        known = self.bus.missed(self.account, (), after) is not None
        if known and not followed:
            self._resumed_after = after
        elif known:
            # All go back before any goes on: the newest of each thing must be told last.
            for following in followed:
                following.rewind(after)
            try:
                for following in followed:
                    await following.catch_up()
            finally:
                for following in followed:
                    following.begin()
        await self._reply("resume", {"resumed": known, "lastEventId": self.bus.last_id}, request_id)

    # -- sending -----------------------------------------------------------------------------------

    async def send_frame(self, topic: str, data: Json) -> None:
        """Send what a subscription brings."""
        await self._send({"type": topic, "data": data})

    async def send_event(self, topic: str, event: Event) -> None:
        """Send an event of the bus, with its own topic where that is another."""
        data = event.data
        if event.topic != topic:
            data = {"topic": event.topic, "data": data}
        await self._send({"type": topic, "data": data, "eventId": event.id})

    async def send_failure(
        self, error: PlatformError, request_id: Json, about: Mapping[str, Json] | None = None
    ) -> None:
        """Send an error, as the answer to a request or about something that has ended."""
        details = {**error.details, **error.fields}
        data = {"code": error.code, "message": error.message, "details": details, **(about or {})}
        with suppress(WebSocketClosedError):
            await self._reply("error", data, request_id)

    def close_too_slow(self) -> None:
        """Close it for a reader that does not keep up."""
        self.close(TOO_SLOW, "You read too slowly. Connect again and resume.")

    def close_going_away(self) -> None:
        """Close it because the server stops."""
        self.close(GOING_AWAY, "The server stops.")

    async def _reply(self, kind: str, data: Json, request_id: Json) -> None:
        frame: dict[str, Json] = {"type": kind, "data": data}
        if request_id is not None:
            frame["id"] = request_id
        await self._send(frame)

    async def _send(self, frame: dict[str, Json]) -> None:
        await self.write_json({**frame, "timestamp": now()})


def _slot(data: Mapping[str, Json]) -> str:
    """Return what makes two subscriptions of a connection the same one: topic and container."""
    return f"{data.get('topic')} {data.get('cid', '')}"
