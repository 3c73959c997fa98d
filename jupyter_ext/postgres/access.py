"""Users and their databases: who may use which, and what becomes of them when somebody goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter

from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from .catalog import Catalog, no_database
from .claims import Claims, Owned
from .reconciling import forget_gone
from .roles import Roles
from .schemas import SYSTEM
from .servers import Server
from .sizes import Sizes


class DatabaseAccess:
    """What an administrator decides of users and databases."""

    def __init__(
        self, server: Server, catalog: Catalog, claims: Claims, roles: Roles, sizes: Sizes
    ) -> None:
        self._server = server
        self._catalog = catalog
        self._claims = claims
        self._roles = roles
        self._sizes = sizes

    async def check(self, names: Collection[str]) -> None:
        """See that databases are there which a user to be shall use.

        Raises
        ------
        NotFound
            One is not, or is one of PostgreSQL's own.
        """
        known = await self._claims.all() if self._server.made else {}
        for name in names:
            if name in SYSTEM or name not in known or known[name].making is not None:
                raise no_database(name)

    async def let_in(self, account: Account, names: Collection[str]) -> None:
        """Let a user use databases that are not theirs.

        Raises
        ------
        NotFound
            One is gone.
        Unavailable
            The server does not run.
        """
        await self._server.ready()
        login = await self._roles.ensure(account)
        for name in names:
            found = await self._catalog.find(name)
            await self._catalog.let_in(name, login.role, found.role)
            await self._claims.let_in(name, account.id)

    async def of_users(
        self, session: AsyncSession, account_ids: Collection[str]
    ) -> Mapping[str, Sequence[str]]:
        """Return the names of the databases that accounts may use, by account."""
        return await self._claims.of_users(session, account_ids)

    # -- departures ----------------------------------------------------------------------------

    async def owned(self, account: Account) -> Sequence[str]:
        """Return what keeps an account from being deleted."""
        return [f"database {each.name}" for each in await self._of(account)]

    async def check_departure(self, account: Account, to: Account | None) -> None:
        """See that the server runs, where they have something there; raises `Unavailable`."""
        if await self._of(account) or await self._roles.of(account.id) is not None:
            await self._server.ready()
            # What they dropped themselves is neither to be given nor to be dropped.
            await forget_gone(self._catalog, self._claims)

    async def transfer(self, account: Account, to: Account) -> None:
        """Make all of an account's databases somebody else's."""
        names = [each.name for each in await self._of(account)]
        if names:
            await self._server.ready()
            old, new = await self._roles.ensure(account), await self._roles.ensure(to)
            await self._roles.shut_out(old.role)
            for name in names:
                await self._catalog.give(name, old.role, new.role)
                await self._claims.give(name, account.id, to.id)
                # What the new owner makes is for those who were let in, too.
                owned = await self._claims.get(name)
                for user in owned.users if owned is not None else ():
                    if (role := await self._roles.of(user)) is not None:
                        await self._catalog.let_in(name, role, new.role)

    async def purge(self, account: Account) -> None:
        """Delete all of an account's databases, whoever is in them."""
        owned = await self._of(account)
        if owned:
            await self._server.ready()
            if (role := await self._roles.of(account.id)) is not None:
                # No session of theirs may hold what is to be dropped.
                await self._roles.shut_out(role)
            # A name may be another one's by now.
            listed = await self._catalog.list()
            there = {each.name: each for each in listed if each.role == role}
            for each in owned:
                if (found := there.get(each.name)) is not None:
                    await self._catalog.drop(found, force=True)
                self._sizes.forget(each.name)
                if each.making is not None:
                    await self._claims.release([each.name], each.making)
            await self._claims.forget(owned)

    async def forget(self, account: Account) -> None:
        """Drop the role of somebody who goes, and owns nothing any more.

        Raises
        ------
        Unavailable
            The server does not run: they could still log in to it, later.
        """
        if (role := await self._roles.of(account.id)) is not None:
            await self._server.ready()
            await self._roles.drop(role)

    async def _of(self, account: Account) -> Sequence[Owned]:
        owned = (await self._claims.all()).values()
        return sorted((each for each in owned if each.owner == account.id), key=attrgetter("name"))
