"""Rules of pages: who opens one, what opens it, and when that ends.

A ticket is for one visit of one origin. It is exchanged there for a session, which only that origin
is ever sent, and which ends with the run of the container that it was opened for.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.directory import CHANGES, Directory
from ..accounts.memory import Memory
from ..accounts.permissions import may
from ..accounts.records import ApiKeyRecord, LoginRecord, UserRecord
from ..accounts.schemas import Account, Credential
from ..containers.connection import JUPYTER, TENSORBOARD
from ..containers.doors import Door, Doors
from ..errors import NotFound, Unauthenticated, Unavailable
from ..store.database import Store
from ..store.types import utcnow
from .names import Names, Place, Room, Service, is_loopback, place_of
from .records import PageVisitRecord
from .schemas import OpenedPage, OpenPage, OpenService

PERMISSION = "container:exec"
"""A page runs commands in the container, as its terminal does."""

ROOM_PERMISSION = "service:open"
"""The editor runs commands as this server."""

OPEN_PATH = "/.jupyter_ext/open"
"""Where a ticket is exchanged; everything else at the origin is the container's."""

PORTS: dict[Service, str] = {"jupyter": JUPYTER, "tensorboard": TENSORBOARD}
TITLES: dict[Service, str] = {"jupyter": "JupyterLab", "tensorboard": "TensorBoard"}

TICKET_SECONDS = 60.0
PER_ACCOUNT = 200
"""Tickets and sessions that an account may have; the oldest end."""

HOW = "Open it from Jupyter's side panel, a container's also with `pig container open NAME`."
SPENT = f"This link was used before, or is older than a minute. {HOW}"
CLOSED = f"This page is not open in this browser, or was closed. {HOW}"

RoomDoor = Callable[[], Door]
"""The way to a service that runs; raises `Conflict` where it does not."""

_NEVER = datetime.max.replace(tzinfo=UTC)


class Listening(Protocol):
    """Where pages are served."""

    tls: bool

    @property
    def port(self) -> int:
        """The port; raises `Unavailable` where nothing listens."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session, as it is remembered between two requests.

    Parameters
    ----------
    until
        When it has to be looked at again, at the latest; seconds since 1970.
    """

    account: Account
    place: Place
    run: tuple[str, datetime | None]
    until: float


@dataclass(frozen=True, slots=True)
class Entered:
    """A ticket that was exchanged.

    Parameters
    ----------
    secret
        The session's.
    lifetime
        Seconds.
    """

    secret: str
    lifetime: float
    account: Account
    door: Door


class PageManager:
    """Pages of containers.

    Parameters
    ----------
    lifetime
        Seconds that a session lives.
    rooms
        The ways to this server's own services.
    """

    def __init__(
        self,
        store: Store,
        doors: Doors,
        names: Names,
        lifetime: float,
        rooms: Mapping[Room, RoomDoor] | None = None,
    ) -> None:
        self._store = store
        self._doors = doors
        self._rooms = dict(rooms or {})
        self._names = names
        self._lifetime = lifetime
        self._directory = Directory(store)
        self._known: Memory[str, Visit] = Memory(store.signals, CHANGES)
        self.listening: Listening | None = None
        """Set by who serves them."""

    # -- for routes ------------------------------------------------------------------------------

    async def open(
        self, caller: Account, ref: str, body: OpenPage, credential: Credential
    ) -> OpenedPage:
        """A link to a page of one's own container, which works once and within a minute.

        Parameters
        ----------
        credential
            What asks for it, which the page ends with.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Forbidden
            It is somebody else's.
        Conflict
            It does not run, or does not publish the service's port.
        Unavailable
            Pages are not served, or the caller's browser would not find them.
        """
        door = await self._doors.of(caller, ref, PORTS[body.service])
        return await self._ticket(
            caller, Place(door.cid, body.service), door, body.host, credential
        )

    async def open_service(
        self, caller: Account, service: str, body: OpenService, credential: Credential
    ) -> OpenedPage:
        """A link to the page of one of this server's services; otherwise as `open`.

        Raises
        ------
        NotFound
            No service of this name has a page.
        Conflict
            It does not run.
        Unavailable
            Pages are not served, or the caller's browser would not find them.
        """
        place = place_of(None, service)
        if service not in self._rooms:
            raise NotFound("service", service, f"{service!r} is no service that has a page.")
        door = self._room(place)
        return await self._ticket(caller, place, door, body.host, credential)

    async def _ticket(
        self, caller: Account, place: Place, door: Door, host: str | None, credential: Credential
    ) -> OpenedPage:
        if self.listening is None:
            raise Unavailable(
                "This server serves no pages of containers and services.",
                "An administrator turns it on by JupyterExt.web_port.",
            )
        port = self.listening.port
        if self._names.local and host and not is_loopback(host):
            raise Unavailable(
                f"Pages of containers and services are at names below .localhost here, and from "
                f"{host} these lead to your own machine.",
                f"Forward the port (`ssh -L {port}:127.0.0.1:{port} …`) and open Jupyter as "
                "localhost, or ask the administrator to set JupyterExt.web_url.",
            )
        ticket, now = secrets.token_urlsafe(32), utcnow()
        record = PageVisitRecord(
            hash=_digest(ticket),
            opened=False,
            user_id=caller.id,
            cid=place.cid,
            service=place.service,
            engine_id=door.engine_id,
            started_at=door.started_at,
            credential=_ending(credential),
            created_at=now,
            expires_at=now + timedelta(seconds=TICKET_SECONDS),
        )
        async with self._store.write() as session:
            await self._make_room(session, caller, now)
            session.add(record)
        origin = self._names.url(place, self._store.id, port=port, tls=self.listening.tls)
        return OpenedPage(url=f"{origin}{OPEN_PATH}?ticket={ticket}", expires_at=record.expires_at)

    # -- for who serves the pages ----------------------------------------------------------------

    def place(self, host_name: str) -> Place:
        """What is served at a host name.

        Raises
        ------
        NotFound
            Nothing is.
        """
        place = self._names.read(host_name, self._store.id)
        if place is None:
            raise NotFound("page", host_name, "Nothing is served under this name.")
        return place

    async def enter(self, place: Place, ticket: str) -> Entered:
        """Exchange a ticket for a session, once.

        Raises
        ------
        Unauthenticated
            It was used before, is too old, or is for another place.
        """
        old, secret, now = _digest(ticket), secrets.token_urlsafe(32), utcnow()
        good = (
            PageVisitRecord.hash == old,
            PageVisitRecord.opened.is_(False),
            # Of none is "IS NULL" here.
            PageVisitRecord.cid == place.cid,
            PageVisitRecord.service == place.service,
            PageVisitRecord.expires_at > now,
        )
        async with self._store.read() as session:
            # Whoever guesses costs one look, and no turn of the store's only writer.
            found = await session.scalar(select(PageVisitRecord.hash).where(*good))
        if found is None:
            raise Unauthenticated(SPENT)
        ends = now + timedelta(seconds=self._lifetime)
        values = {"hash": _digest(secret), "opened": True, "expires_at": ends}
        async with self._store.write() as session:
            # The database decides between two at once, also on two servers.
            exchanged = await session.execute(update(PageVisitRecord).where(*good).values(**values))
        if not exchanged.rowcount:  # type: ignore[attr-defined]
            raise Unauthenticated(SPENT)
        visit = await self._visit(secret)
        if visit is None:
            raise Unauthenticated(CLOSED)
        return Entered(secret, self._lifetime, visit.account, await self._door(visit))

    async def door(self, place: Place, sent: Iterable[str]) -> Door:
        """The way to a place for a browser that has entered it.

        Parameters
        ----------
        sent
            What it sent as secrets of sessions.

        Raises
        ------
        Unauthenticated
            None of them opens this place, or its session has ended.
        NotFound, Conflict
            The container is gone, or does not run.
        Unavailable
            The store or the engine does not answer.
        """
        for secret in sent:
            visit = await self._visit(secret)
            if visit is not None and visit.place == place:
                return await self._door(visit)
        raise Unauthenticated(CLOSED)

    # -- inside ----------------------------------------------------------------------------------

    async def _door(self, visit: Visit) -> Door:
        place = visit.place
        if place.cid is None or place.service == "vscode":
            door = self._room(place)
            if visit.run[0] != door.engine_id:
                raise Unauthenticated(f"{door.name} was stopped since this page was opened. {HOW}")
            return door
        door = await self._doors.again(place.cid, PORTS[place.service])
        if visit.run != (door.engine_id, door.started_at) or door.owner != visit.account.id:
            raise Unauthenticated(
                f"{door.name} was stopped since this page was opened. {HOW}"
                if door.owner == visit.account.id
                else CLOSED
            )
        return door

    def _room(self, place: Place) -> Door:
        if place.service != "vscode" or (room := self._rooms.get(place.service)) is None:
            raise NotFound("service", place.service)
        return room()

    async def _visit(self, secret: str) -> Visit | None:
        """The session of a secret; None where it has ended."""
        key = _digest(secret)
        known = self._known.get(key)
        if known is not None and time.time() < known.until:
            return known
        generation = self._known.generation
        async with self._store.read() as session:
            visit = await self._read(session, key)
        if visit is not None:
            self._known.keep(key, visit, generation)
        return visit

    async def _read(self, session: AsyncSession, key: str) -> Visit | None:
        found = await session.execute(
            select(PageVisitRecord, UserRecord)
            .join(UserRecord, UserRecord.id == PageVisitRecord.user_id)
            .where(PageVisitRecord.hash == key, PageVisitRecord.opened)
        )
        row = found.first()
        if row is None:
            return None
        record, user = row
        account = await self._directory.account(session, user)
        until = min(record.expires_at, await _end(session, record.credential) or utcnow())
        place = place_of(record.cid, record.service)
        needed = ROOM_PERMISSION if place.cid is None else PERMISSION
        if not account.enabled or not may(account, needed) or until <= utcnow():
            return None
        return Visit(
            account,
            place,
            (record.engine_id, record.started_at),
            until.timestamp(),
        )

    async def _make_room(self, session: AsyncSession, caller: Account, now: datetime) -> None:
        await session.execute(delete(PageVisitRecord).where(PageVisitRecord.expires_at < now))
        old = (
            select(PageVisitRecord.hash)
            .where(PageVisitRecord.user_id == caller.id)
            .order_by(PageVisitRecord.created_at.desc())
            .offset(PER_ACCOUNT - 1)
        )
        if hashes := list(await session.scalars(old)):
            await session.execute(delete(PageVisitRecord).where(PageVisitRecord.hash.in_(hashes)))
            await self._store.signals.raise_(session, CHANGES)


async def _end(session: AsyncSession, credential: str) -> datetime | None:
    """When what a page was opened with ends, as far as is known now; None where it has ended."""
    kind, _, id_ = credential.partition(":")
    if kind == "session":
        login = await session.get(LoginRecord, id_)
        return login.expires_at if login else None
    if kind == "key":
        key = await session.get(ApiKeyRecord, id_)
        return (key.expires_at or _NEVER) if key else None
    return _NEVER


def _ending(credential: Credential) -> str:
    """What a page ends with, beside its account: a login, a key.

    Not Jupyter's login, of whose end nobody hears, nor the keys of kernels and of the local command
    line, which last two hours whatever their owner does. Both are what counts without limits.
    """
    return credential.id if credential.limited else ""


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
