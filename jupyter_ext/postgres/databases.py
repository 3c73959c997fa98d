"""Databases as users look after them: listed, opened, deleted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Conflict, Forbidden
from ..store.types import utcnow
from .catalog import Catalog
from .claims import Claims
from .directory import DatabaseDirectory, Seen
from .roles import Roles
from .schemas import (
    Database,
    DatabaseConnection,
    DatabaseDeletion,
    DatabaseQuery,
    DeletedDatabase,
)
from .servers import Server
from .sizes import Sizes

LEAVE_SECONDS = 2.0
"""That sessions have to leave a database which is to be deleted."""

_log = logging.getLogger(__name__)


class DatabaseManager:
    """The rules of databases that are there."""

    def __init__(
        self,
        directory: DatabaseDirectory,
        server: Server,
        catalog: Catalog,
        claims: Claims,
        roles: Roles,
        sizes: Sizes,
    ) -> None:
        self._directory = directory
        self._server = server
        self._catalog = catalog
        self._claims = claims
        self._roles = roles
        self._sizes = sizes

    async def list(self, caller: Account, query: DatabaseQuery) -> Page[Database]:
        """List the caller's databases, and those that they may use; an administrator's are all.

        Raises
        ------
        Unavailable
            The server does not run.
        """
        if not self._server.made:
            # It is made together with the first database.
            return Page([], 0, query.limit, query.offset, "databases")
        await self._server.ready()
        if query.fresh:
            await self._sizes.sweep()
        seen = [each for each in await self._directory.all() if each.visible(caller)]
        shown = seen[query.offset : query.offset + query.limit]
        items = [self._directory.view(each) for each in shown]
        return Page(items, len(seen), query.limit, query.offset, "databases")

    async def get(self, caller: Account, name: str) -> Database:
        """Return one database.

        Raises
        ------
        NotFound
            The caller may use none of this name.
        """
        return self._directory.view(await self._directory.find(caller, name))

    async def connection(self, caller: Account, name: str) -> DatabaseConnection:
        """Tell the caller how to connect to a database.

        Raises
        ------
        NotFound
            The caller may use none of this name.
        """
        seen = await self._directory.find(caller, name)
        if seen.owned is not None and seen.owned.open_to(caller.id):
            account: Account | None = caller
        else:
            # An administrator; not as the superuser, whom the owner's functions would run as.
            account = await self._directory.owner(seen)
        return self._directory.connection(name, await self._roles.ensure(account))

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all that they see.

        Raises
        ------
        Unavailable
            The server does not run, or there can be none: whoever watches an empty list is told so
            before they try to make a database.
        """
        await self._server.can_be()
        page = await self.list(caller, DatabaseQuery(limit=10_000))
        return {"items": [item.model_dump(mode="json") for item in page.items]}

    async def delete(self, caller: Account, name: str, query: DatabaseDeletion) -> DeletedDatabase:
        """Delete a database with all that is in it.

        Raises
        ------
        NotFound
            The caller sees none of this name.
        Forbidden
            It is one of PostgreSQL's own, or not the caller's.
        Conflict
            Somebody is in it, and `force` was not said; or it was replaced meanwhile.
        """
        seen = await self._directory.find_own(caller, name)
        if seen.system:
            raise Forbidden(f"{name} belongs to PostgreSQL itself and stays.")
        people = (
            0 if query.force else await self._catalog.sessions(seen.found, patience=LEAVE_SECONDS)
        )
        if people > 0:
            raise Conflict(
                "database",
                name,
                f"{people} sessions are in {name}. Close them (a notebook's with `%sql --close`), "
                "or delete it by force, which ends them."
                if people > 1
                else f"1 session is in {name}. Close it (a notebook's with `%sql --close`), or "
                "delete it by force, which ends it.",
            )
        # From here on nobody who goes away leaves a claim on what is gone.
        if not await asyncio.shield(self._drop(seen, force=query.force)):
            # Whoever has the name now is told of no more than they may see.
            await self._directory.find_own(caller, name)
            raise Conflict(
                "database",
                name,
                f"{name} was replaced or given away meanwhile. What is there now stays; delete it "
                "again if you mean that.",
            )
        return DeletedDatabase(name=name)

    async def drop_overdue(self) -> None:
        """Drop what restores replaced long ago; what somebody is in goes once they are out.

        Raises
        ------
        Unavailable
            The server or the store does not answer.
        """
        now = utcnow()
        owned = (await self._claims.all()).values()
        overdue = [each for each in owned if each.kept_until and each.kept_until <= now]
        if not overdue:
            return
        there = {each.name: each for each in await self._catalog.list()}
        accounts = await self._roles.users()
        for each in overdue:
            found = there.get(each.name)
            # One that was dropped is forgotten elsewhere; what is another one's by now stays.
            if found is None or accounts.get(found.role) != each.owner:
                continue
            # Dropping it would keep whoever comes in waiting, and what is looked after next.
            if await self._catalog.in_use(found):
                _log.info("%s, which a restore had replaced, stays: it is in use", each.name)
                continue
            try:
                if await asyncio.shield(self._drop(Seen(found, each), force=False)):
                    _log.info("%s, which a restore had replaced, is dropped", each.name)
            except Conflict as error:
                _log.info("%s, which a restore had replaced, stays: %s", each.name, error)

    # -- inside --------------------------------------------------------------------------------

    async def _drop(self, seen: Seen, *, force: bool) -> bool:
        """Drop the one that was seen, and no other; return whether it was there."""
        if not await self._catalog.drop(seen.found, force=force):
            return False
        # Before the name is given back, and its size is another one's.
        self._sizes.forget(seen.name)
        if seen.owned is not None:
            await self._claims.forget([seen.owned])
        self._directory.tell("deleted", seen.name, seen.owner)
        return True
