"""Databases as their server and the store have them, together, and as users see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ..accounts.schemas import Account
from ..errors import Forbidden
from ..units import size_text
from .catalog import Catalog, Found, no_database
from .claims import Claims, Owned
from .place import SUPERUSER
from .roles import Login, Roles
from .schemas import SYSTEM, Database, DatabaseConnection
from .servers import Server
from .sizes import Sizes

if TYPE_CHECKING:
    from ..containers.people import People


class Publisher(Protocol):
    """Whoever tells of changes."""

    def publish(
        self, topic: str, data: Any, *, owner: str | None = None, key: str | None = None
    ) -> object:
        """Tell the owner and administrators."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A database as its server and the store have it, together."""

    found: Found
    owned: Owned | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.found.name

    @property
    def system(self) -> bool:
        """Whether every cluster has it."""
        return self.name in SYSTEM

    @property
    def owner(self) -> str | None:
        """Whose it is; None where it is the cluster's own role's, or nobody knows."""
        return self.owned.owner if self.owned is not None else None

    def visible(self, caller: Account) -> bool:
        """Whether somebody may see it."""
        return caller.is_admin or (self.owned is not None and self.owned.open_to(caller.id))


class DatabaseDirectory:
    """Finds databases for callers, and shows them."""

    def __init__(
        self,
        server: Server,
        catalog: Catalog,
        claims: Claims,
        roles: Roles,
        sizes: Sizes,
        people: People,
        bus: Publisher,
    ) -> None:
        self._server = server
        self._catalog = catalog
        self._claims = claims
        self._roles = roles
        self._sizes = sizes
        self._people = people
        self._bus = bus

    async def all(self) -> Sequence[Seen]:
        """Return what is there; what is being made is not yet."""
        owned = await self._claims.all()
        return [
            Seen(found, owned.get(found.name))
            for found in await self._catalog.list()
            if found.name != "template0" and not _half_made(found, owned.get(found.name))
        ]

    async def one(self, name: str) -> Seen:
        """Return a database, whoever asks.

        Raises
        ------
        NotFound
            There is none of this name.
        """
        found, owned = await asyncio.gather(self._catalog.find(name), self._claims.get(name))
        if name == "template0" or _half_made(found, owned):
            raise no_database(name)
        return Seen(found, owned)

    async def ready(self, name: str) -> None:
        """See that the server runs which may have a database; none is made for it.

        Raises
        ------
        NotFound
            There is no server yet.
        Unavailable
            It does not run.
        """
        if not self._server.made:
            raise no_database(name)
        await self._server.ready()

    async def find(self, caller: Account, name: str) -> Seen:
        """Return a database that a caller may use.

        Raises
        ------
        NotFound
            There is none of this name for them.
        Unavailable
            The server does not run.
        """
        await self.ready(name)
        seen = await self.one(name)
        if not seen.visible(caller):
            raise no_database(name)
        return seen

    async def find_own(self, caller: Account, name: str) -> Seen:
        """Return a database that is a caller's; an administrator's are all.

        Raises
        ------
        NotFound
            There is none of this name for them.
        Forbidden
            They may use it, and it is somebody else's.
        """
        seen = await self.find(caller, name)
        if not (caller.is_admin or seen.owner == caller.id):
            raise Forbidden(f"{name} is somebody else's; you may use it, and no more.")
        return seen

    def view(self, seen: Seen) -> Database:
        """Show a database."""
        size = self._sizes.of(seen.name)
        owned = seen.owned
        owner = seen.found.role if seen.owner is None else self._people.name(seen.owner)
        return Database(
            name=seen.name,
            owner=owner,
            size=size_text(size.size) if size else None,
            size_bytes=size.size if size else None,
            size_at=size.at if size else None,
            created_at=owned.created_at if owned is not None else seen.found.made,
            kept_until=owned.kept_until if owned is not None else None,
            system=seen.system,
            over_quota=seen.owner is not None and seen.owner in self._sizes.quota.over,
            read_only=seen.name in self._sizes.quota.shut,
        )

    def shown(self, caller: Account, seen: Seen, login: Login) -> Database:
        """Show a database to whoever made it: how to connect, where it is for themselves."""
        mine = caller.is_admin if seen.owner is None else seen.owner == caller.id
        url = self.connection(seen.name, login).url if mine else None
        return self.view(seen).model_copy(update={"connection_url": url})

    async def owner(self, seen: Seen) -> Account | None:
        """Return whose a database is; None for the cluster's own role."""
        return await self._people.account(seen.owner) if seen.owner is not None else None

    def connection(self, name: str, login: Login) -> DatabaseConnection:
        """Tell how a role connects to a database."""
        host, port = self._server.address
        where = f"[{host}]" if ":" in host else host
        user, password = quote(login.role, safe=""), quote(login.password, safe="")
        return DatabaseConnection(
            url=f"postgresql://{user}:{password}@{where}:{port}/{quote(name, safe='')}",
            host=host,
            port=port,
            database=name,
            user=login.role,
            password=login.password,
        )

    def tell(self, event: str, name: str, owner: str | None) -> None:
        """Tell whoever listens that a database was made or deleted."""
        # What is the cluster's own role's is for administrators to hear of.
        data = {"event": event, "name": name}
        self._bus.publish("databases", data, owner=owner or SUPERUSER, key=name)


def _half_made(found: Found, owned: Owned | None) -> bool:
    # Of one that is there the limit is its owner's to set.
    return found.closed if owned is None else owned.making is not None
