"""Restores named databases: the others, and who is in them, notice nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..accounts.schemas import Account
from ..containers.people import People
from ..errors import Conflict, Forbidden, PlatformError
from ..operations.running import Progress
from ..store.types import utcnow
from .catalog import Catalog, Found, no_database
from .claims import Claims
from .cloning import Cloner
from .connections import connected
from .pgbackrest import PgBackRest
from .phases import Enter, RestorePhase, unheard
from .place import Place
from .restore_plan import Move, Target, mark_of
from .roles import Login, Roles, account_in
from .schemas import SYSTEM
from .sizes import Sizes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A database that was loaded under a name of its own.

    Parameters
    ----------
    there
        Whether there is one of its name, which is kept.
    role
        Whose that one was when it was looked at.
    """

    move: Move
    login: Login
    owner: str | None
    there: bool
    role: str = ""


class DatabaseRestore:
    """Takes databases out of a restored cluster and puts them where they were.

    Parameters
    ----------
    keep_days
        For which what was there before is kept.
    """

    def __init__(
        self,
        catalog: Catalog,
        claims: Claims,
        roles: Roles,
        cloner: Cloner,
        people: People,
        sizes: Sizes,
        keep_days: int,
    ) -> None:
        self._catalog = catalog
        self._claims = claims
        self._roles = roles
        self._cloner = cloner
        self._people = people
        self._sizes = sizes
        self._keep = timedelta(days=keep_days)

    async def check(self, caller: Account, moves: Sequence[Move]) -> None:
        """See that what databases would replace is the caller's, and can be kept.

        Raises
        ------
        Forbidden
            One is somebody else's by now.
        Conflict
            There is one of the name under which one would be kept.
        """
        owned = await self._claims.all()
        for move in moves:
            there = owned.get(move.name)
            if not caller.is_admin and there is not None and there.owner != caller.id:
                raise Forbidden(f"{move.name} is somebody else's by now.")
            if move.kept in owned:
                raise Conflict("database", move.kept, f"There is {move.kept} already. Try again.")

    async def made_since(
        self, backups: PgBackRest, target: Target, names: Sequence[str]
    ) -> Sequence[str]:
        """Return which databases were made between a backup and the moment to which it leads.

        Raises
        ------
        NotFound
            There was no such database then.
        """
        there = await backups.numbers(target.backup.label) if names else {}
        since = [name for name in names if name not in there]
        owned = await self._claims.all() if since else {}
        for name in since:
            if target.to is None or name not in owned or owned[name].created_at > target.to:
                raise no_database(name)
        return since

    async def owners(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return who has which of these databases, by account; of all where none is named."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for each in (await self._claims.all()).values():
            if each.owner is not None and (not names or each.name in names):
                found[each.owner].append(each.name)
        return found

    async def load(
        self, caller: Account, side: Place, moves: Sequence[Move], mark: str, progress: Progress
    ) -> Sequence[Loaded]:
        """Load databases, closed, beside those that are there.

        Raises
        ------
        NotFound
            One was not the caller's at that moment.
        Forbidden
            One is somebody else's by now.
        QuotaExceeded
            One is gone by now, and its owner may have no more; or both what is restored and what
            is kept would be more bytes than they may have.
        """
        then = await self._found_then(side)
        # Before the store is asked, whose answer is the younger one then.
        now = {each.name: each.role for each in await self._catalog.list()}
        loaded = []
        for move in moves:
            await progress.update(message=f"Loading {move.name}")
            each = await self._owner(caller, move, then, now, mark)
            await self._cloner.load(side, move.name, move.new, each.login, mark)
            loaded.append(each)
        return loaded

    async def switch(
        self, loaded: Sequence[Loaded], mark: str, enter: Enter = unheard
    ) -> Mapping[str, str]:
        """Put what was loaded in its place, all of it or nothing; return what is kept where."""
        there = [each for each in loaded if each.there]
        names = [each.move.name for each in there]
        try:
            async with self._catalog.switching(names) as connection:
                enter(RestorePhase.CLOSING)
                for each in there:
                    await self._catalog.shut(connection, each.move.name, each.role)
                aside = [(each.move.name, each.move.kept) for each in there]
                enter(RestorePhase.RENAMING)
                await self._catalog.rename(
                    connection,
                    [*aside, *((each.move.new, each.move.name) for each in loaded)],
                    {each.move.kept: each.role for each in there},
                )
        except BaseException:
            await asyncio.shield(self._open(there))
            raise
        enter(RestorePhase.OPENING)
        for each in loaded:
            await self.settle(each.move, each.login.role, each.owner, mark)
        return {name: each.move.kept for name, each in zip(names, there, strict=True)}

    async def settle(self, move: Move, role: str, owner: str | None, mark: str) -> None:
        """Open what is in its place, and write down what is kept; may be called again."""
        await self._catalog.open(move.name, role)
        claimed = await self._claims.get(move.name)
        there = {each.name: each for each in await self._catalog.list()}
        system = move.name in SYSTEM
        # When their files were made tells later which of the databases of a name is meant.
        if claimed is None and not system and (found := there.get(move.name)) is not None:
            await self._claims.adopt(move.name, owner, found.made)
        elif claimed is not None and claimed.making == mark:
            await self._claims.made(move.name, mark)
        for user in claimed.users if claimed is not None else ():
            guest = await self._roles.ensure(await self._people.account(user))
            await self._catalog.let_in(move.name, guest.role, role)
        if (kept := there.get(move.kept)) is not None:
            await self._catalog.open(move.kept, kept.role)
            until = utcnow() + self._keep
            await self._claims.adopt(move.kept, owner, kept.made, mark, kept_until=until)
        self._sizes.forget(move.name)
        await self._claims.measured(await self._sizes.measure([move.name, move.kept]))

    async def undo(self, moves: Sequence[Move], mark: str, *, switching: bool) -> bool:
        """Drop what was loaded and is not in its place; return whether it is in its place.

        The renaming is one transaction: either all names that are loaded under are there, or none.

        Parameters
        ----------
        switching
            All had been loaded, and the renaming may have been done.
        """
        await self._catalog.end_work(mark)
        there = {each.name: each for each in await self._catalog.list()}
        if switching and await self._switched(moves, there, mark):
            for move in moves:
                if (found := there.get(move.name)) is not None:
                    owner = (await self._roles.users()).get(found.role)
                    await self.settle(move, found.role, owner, mark)
            return True
        for move in moves:
            if (loaded := there.get(move.new)) is not None:
                await self._catalog.drop(loaded, force=True)
            await self._claims.release([move.name, move.kept], mark)
            if (found := there.get(move.name)) is not None and found.closed:
                await self._catalog.open(move.name, found.role)
        return False

    async def remove_left(self, live: Collection[str]) -> None:
        """Drop what restores loaded that ended while PostgreSQL was gone, and free their names.

        Parameters
        ----------
        live
            Marks of those that go on.
        """
        owned, there = await self._claims.all(), await self._catalog.list()
        for each in there:
            mark = mark_of(each.name)
            if each.closed and mark not in (None, *live) and each.name not in owned:
                _log.warning("%s, which a restore had left, is removed", each.name)
                await self._catalog.drop(each, force=True)
        names = {each.name for each in there}
        for claim in owned.values():
            if claim.name not in names and mark_of(f"{claim.making}-0") not in (None, *live):
                await self._claims.release([claim.name], claim.making)

    # -- inside --------------------------------------------------------------------------------

    async def _switched(self, moves: Sequence[Move], there: Mapping[str, Found], mark: str) -> bool:
        if any(move.new in there for move in moves):
            return False
        for move in moves:
            if move.kept in there:
                return True
            # One whose name was free is claimed by this restore.
            claimed = await self._claims.get(move.name)
            if claimed is not None and claimed.making == mark and move.name in there:
                return True
        return False

    async def _found_then(self, side: Place) -> Mapping[str, tuple[str | None, int]]:
        """Return databases of that moment: whose, of accounts that are still there, and bytes."""
        known = {*(await self._roles.users()).values()}
        async with connected(side) as connection:
            rows = await connection.execute(
                "SELECT datname::text, shobj_description(datdba, 'pg_authid'),"
                " pg_database_size(oid) FROM pg_database"
            )
            found = await rows.fetchall()
        # Their names tell nothing: others may have them by now.
        accounts = {name: account_in(comment) for name, comment, _ in found}
        return {
            name: (accounts[name] if accounts[name] in known else None, size)
            for name, _, size in found
        }

    async def _owner(
        self,
        caller: Account,
        move: Move,
        then: Mapping[str, tuple[str | None, int]],
        now: Mapping[str, str],
        mark: str,
    ) -> Loaded:
        """Find out whose a restored database is to be; a name that is free is claimed."""
        was, size = then.get(move.name, (None, 0))
        if not caller.is_admin and was != caller.id:
            raise no_database(move.name)
        if move.name in SYSTEM:
            # Every cluster has it, and the store knows nothing of it.
            login = await self._roles.ensure(None)
            return Loaded(move, login, None, True, now.get(move.name, login.role))
        claimed = await self._claims.get(move.name)
        if claimed is not None and claimed.making is None and move.name not in now:
            # It was dropped past this product.
            await self._claims.forget([claimed])
            claimed = None
        if claimed is None:
            account = await self._account(was)
            await self._claims.claim_now(move.name, was if account else None, mark, size=size)
            login = await self._roles.ensure(account)
            return Loaded(move, login, was if account else None, False)
        if not caller.is_admin and claimed.owner != caller.id:
            raise Forbidden(f"{move.name} is somebody else's by now.")
        # What is there is kept beside it: room for both is needed.
        await self._claims.claim_now(move.kept, claimed.owner, mark, size=size, beyond=True)
        login = await self._roles.ensure(await self._account(claimed.owner))
        return Loaded(move, login, claimed.owner, True, now.get(move.name, login.role))

    async def _account(self, account_id: str | None) -> Account | None:
        return await self._people.account(account_id) if account_id is not None else None

    async def _open(self, loaded: Sequence[Loaded]) -> None:
        for each in loaded:
            try:
                await self._catalog.open(each.move.name, each.login.role)
            except PlatformError:
                # It may have its new name already, and is opened by whoever recovers.
                continue
