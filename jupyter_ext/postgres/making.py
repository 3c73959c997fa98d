"""New databases: empty, by a template, or with the content of another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..errors import Conflict, Forbidden, InvalidRequest, NotFound, PlatformError, Unavailable
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, Recovered
from ..store.types import new_id, utcnow
from .catalog import Catalog, Found, no_database, taken
from .claims import Claims, Owned
from .cloning import Cloner
from .directory import DatabaseDirectory, Seen
from .phases import MakingPhase
from .place import SUPERUSER
from .roles import Login, Roles
from .schemas import SPARE, SYSTEM, Database, DatabaseClone, NewDatabase
from .servers import Server
from .sizes import Sizes
from .steps import to_the_end

if TYPE_CHECKING:
    from ..containers.people import People
    from ..operations.manager import Operations

CREATE, CLONE = "database.create", "database.clone"

Fill = Callable[[Login, str, Progress], Awaitable[str | None]]
"""Makes a closed database, given the login of its owner and the mark of who makes it.

Returns the name of the database whose files it has copied, if that is all that is in it.
"""

UNDO_SECONDS = 0.5
"""Until undoing is tried again, where PostgreSQL does not answer; grows tenfold."""

_log = logging.getLogger(__name__)

TEMPLATE = "template1"
"""Of what nothing else is said of."""

NOT_MADE = "The server stopped before the database was there. Make it again."


class DatabaseMaker:
    """Makes databases."""

    def __init__(
        self,
        directory: DatabaseDirectory,
        server: Server,
        catalog: Catalog,
        claims: Claims,
        roles: Roles,
        sizes: Sizes,
        cloner: Cloner,
        people: People,
        operations: Operations,
    ) -> None:
        self._directory = directory
        self._server = server
        self._catalog = catalog
        self._claims = claims
        self._roles = roles
        self._sizes = sizes
        self._cloner = cloner
        self._people = people
        self._operations = operations
        for kind in (CREATE, CLONE):
            operations.on_recovery(kind, self.recover)

    async def create(self, caller: Account, body: NewDatabase) -> Running[Database]:
        """Make a database, and the role of its owner where they had none.

        Raises
        ------
        NotFound
            There is no such owner or template.
        Conflict
            The name is taken.
        InvalidRequest
            The server has no such extension.
        Forbidden
            Only an administrator makes databases for others.
        QuotaExceeded
            The owner may have no more.
        Unavailable
            PostgreSQL is not installed, or does not run.
        """
        check_name(body.name)
        owner = await self._owner(caller, body.owner)
        await self._server.ready()
        await self._check_extensions(caller, body.extensions)
        template = None
        if body.template is not None:
            template = await self._source(caller, body.template)
            if (people := await self._catalog.sessions(template.found)) > 0:
                raise Conflict(
                    "database",
                    body.template,
                    f"{people} sessions are in {body.template}, and a template must have none. End "
                    "them, or clone it.",
                    fields={"template": "is in use"},
                )

        async def fill(login: Login, mark: str, progress: Progress) -> str | None:
            copied: str | None = None
            if template is not None and owner is not None and template.found.role != login.role:
                # In a copy of its files all would stay whose it was.
                await self._cloner.pour(template.name, body.name, login, mark)
            else:
                await self._catalog.create(
                    body.name,
                    login.role,
                    mark,
                    template=template.name if template else None,
                    copy=template is not None,
                )
                copied = body.template or TEMPLATE
            await self._catalog.enable(body.name, body.extensions)
            return copied if not body.extensions else None

        login, size = await asyncio.gather(self._roles.ensure(owner), self._expected(body.template))
        return await self._make(caller, CREATE, body.name, owner, login, size, fill)

    async def clone(self, caller: Account, name: str, body: DatabaseClone) -> Running[Database]:
        """Make a database with the content of another, whose owner it gets.

        Raises
        ------
        NotFound
            The caller has none of this name.
        Conflict
            The new name is taken.
        QuotaExceeded
            The owner may have no more.
        Forbidden
            The source is somebody else's, who lets them use it.
        Unavailable
            PostgreSQL does not run.
        """
        source, burden = await self._source_and_burden(caller, name)
        check_name(body.name)
        mine = source.owner == caller.id
        owner = caller if mine else await self._directory.owner(source)
        login = await self._roles.ensure(owner)
        size = burden[1]
        if body.schema_only:
            size = await self._sizes.known_or_measured(TEMPLATE)

        async def fill(login: Login, mark: str, progress: Progress) -> str | None:
            copied = await self._cloner.clone(
                source.name,
                body.name,
                login,
                mark,
                burden,
                schema_only=body.schema_only,
                progress=progress,
            )
            return name if copied else None

        return await self._make(caller, CLONE, body.name, owner, login, size, fill)

    async def begun(self, caller: Account, result: dict[str, Any]) -> Database:
        """Return what an operation made, as its request would have been answered.

        Raises
        ------
        NotFound
            It is gone since.
        """
        seen = await self._directory.find(caller, str(result["name"]))
        login = await self._roles.ensure(await self._directory.owner(seen))
        return self._directory.shown(caller, seen, login)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Undo what a crash interrupted, or see that it was done."""
        name, making = str(given["name"]), str(given["making"])
        owned = await self._claims.get(name)
        if owned is None or owned.making != making:
            return NOT_MADE
        await self._server.ready()
        if await self._undo(name, str(given["role"]), making):
            await self._tidy()
            return NOT_MADE
        made = await self._claims.made(name, making)
        seen = Seen(await self._catalog.find(name), made)
        kept = self._directory.view(seen).model_dump(mode="json")
        return Recovered("The database is there.", succeeded=True, result=kept)

    # -- inside --------------------------------------------------------------------------------

    async def _make(
        self,
        caller: Account,
        kind: str,
        name: str,
        owner: Account | None,
        login: Login,
        size: int,
        fill: Fill,
    ) -> Running[Database]:
        owner_id = owner.id if owner is not None else None
        making, now = new_id("making"), utcnow()
        return await self._operations.start(
            caller,
            kind,
            name,
            partial(self._fill, caller, Owned(name, owner_id, now, making), login, fill),
            input={"name": name, "role": login.role, "making": making},
            message=f"Making {name}",
            # Not its address: an operation is kept, and shown again.
            present=lambda made: made.model_copy(update={"connection_url": None}).model_dump(
                mode="json"
            ),
            # With the operation: a name whose maker died is given back by its recovery.
            also=partial(self._claims.claim, name, owner_id, making, at=now, size=size),
        )

    async def _fill(
        self,
        caller: Account,
        claim: Owned,
        login: Login,
        fill: Fill,
        progress: Progress,
    ) -> Database:
        name, making = claim.name, str(claim.making)
        progress.enter(MakingPhase.STARTING)
        try:
            copied = await fill(login, making, progress)
            progress.enter(MakingPhase.OPENING)
            # What is open is never undone, but finished.
            await to_the_end(self._open(name, login.role, copied))
        except BaseException:
            undo = partial(self._undo, name, login.role, making)
            gone = await asyncio.shield(self._surely(undo, progress))
            if not progress.interrupted:
                # It may have failed since PostgreSQL crashed, in the midst of it.
                await self._tidy()
            if gone:
                raise
        progress.enter(MakingPhase.NOTING)
        progress.with_success(
            partial(self._claims.note, name, making),
            partial(self._directory.tell, "created", name, claim.owner),
        )
        seen = Seen(Found(name, login.role, claim.created_at, closed=False), claim)
        return self._directory.shown(caller, seen, login)

    async def _open(self, name: str, role: str, copied: str | None) -> None:
        # Who waits for it is told how large it is, if that can be told.
        if copied is not None and self._sizes.same(name, copied):
            await self._catalog.open(name, role)
            return
        opened, _ = await asyncio.gather(
            self._catalog.open(name, role), self._sizes.measure([name]), return_exceptions=True
        )
        if isinstance(opened, BaseException):
            raise opened

    async def _surely(self, undo: Callable[[], Awaitable[bool]], progress: Progress) -> bool:
        """Undo it, however long PostgreSQL is away: nobody else gives the name back.

        Returns
        -------
        bool
            Whether it is not there: it may have been opened before the answer was lost.
        """
        wait = UNDO_SECONDS
        # A server that takes over undoes it itself.
        while not progress.interrupted:
            try:
                return await undo()
            except (Unavailable, Conflict) as error:
                _log.warning("%s can't be undone yet: %s", progress.operation.subject, error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, UNDO_SECONDS * 10)
        return True

    async def _tidy(self) -> None:
        try:
            await self._server.tidy()
        except PlatformError as error:
            _log.debug("Nothing is tidied now: %s", error)

    async def _undo(self, name: str, role: str, making: str) -> bool:
        """Undo what is not open; return whether it is not there."""
        await self._catalog.end_work(making)
        if not await self._catalog.undo(name, role):
            return False
        await self._claims.release([name], making)
        return True

    async def _check_extensions(self, caller: Account, wanted: Sequence[str]) -> None:
        if not wanted:
            return
        known = await self._catalog.extensions()
        problems = {
            f"extensions.{place}": f"the extension {name!r} is not installed on the server"
            for place, name in enumerate(wanted)
            if name not in known
        }
        if problems:
            raise InvalidRequest(fields=problems)
        closed = [name for name in wanted if not known[name].trusted]
        if closed and not caller.is_admin:
            raise Forbidden(
                f"The extension {closed[0]} reaches beyond a database, so only an administrator "
                "may put it into one."
            )

    async def _owner(self, caller: Account, name: str | None) -> Account | None:
        """Return whose a new database is; None for the cluster's own role."""
        if name is None:
            return None if caller.is_admin else caller
        if name in (caller.username, caller.id):
            return caller
        if not caller.is_admin:
            raise Forbidden("Only an administrator makes databases for others.")
        if name == SUPERUSER:
            return None
        account = self._people.id(name) or name
        try:
            return await self._people.account(account)
        except NotFound:
            raise NotFound("owner", name, f"There is no user {name!r} who could own it.") from None

    async def _expected(self, template: str | None) -> int:
        """Return the bytes of a new database; of a template, in which people work, as of now."""
        if template is None:
            return await self._sizes.known_or_measured(TEMPLATE)
        return (await self._sizes.measure([template])).get(template, 0)

    async def _source_and_burden(self, caller: Account, name: str) -> tuple[Seen, tuple[int, int]]:
        """Return what may be copied, and what copying it depends on; asked for at once."""
        await self._directory.ready(name)
        asked = asyncio.ensure_future(self._catalog.burden(name))
        try:
            source = await self._source(caller, name)
        except BaseException:
            # Nothing of it goes on, or is told, where they may not have it.
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            raise
        # It may have been made between the two.
        burden = await asked or await self._catalog.burden(name)
        if burden is None:
            raise no_database(name)
        self._sizes.note({name: burden[1]})
        return source, burden

    async def _source(self, caller: Account, name: str) -> Seen:
        """Return what may be copied: one's own, and for administrators all."""
        if name == "template0":
            raise InvalidRequest(
                fields={"template": "may not be template0, which is never touched"}
            )
        return await self._directory.find_own(caller, name)


def check_name(name: str) -> None:
    """Raise `Conflict` for names of databases that are there without a record."""
    if name in (*SYSTEM, SPARE):
        raise taken(name)
