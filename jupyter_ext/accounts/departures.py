"""Users who go, and what becomes of what they own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.exc import IntegrityError

from ..errors import Conflict, Forbidden, InvalidRequest
from ..store.database import Store
from .administrators import keep_an_administrator
from .directory import CHANGES, Directory
from .quota_ledger import forget_user
from .schemas import Account, Deleted, UserDeletion
from .users import Publisher

SHOWN = 20
"""Names of somebody's things in a refusal."""


class Belongings(Protocol):
    """Things of one kind that users own."""

    async def owned(self, account: Account) -> Sequence[str]:
        """Return what keeps an account from being deleted, as a person calls it."""

    async def check_departure(self, account: Account, to: Account | None) -> None:
        """See that all of it can be given to somebody, or be deleted; nothing is done yet.

        Raises
        ------
        Conflict
            It can't be: a name is taken there, or something of it is at work.
        Unavailable
            Where it is does not answer.
        """

    async def transfer(self, account: Account, to: Account) -> None:
        """Make all of it somebody else's.

        Raises
        ------
        Conflict
            It can't be: a name is taken there, or something of it is at work.
        """

    async def purge(self, account: Account) -> None:
        """Delete all of it."""


class DepartureManager:
    """The rules of deleting users.

    Parameters
    ----------
    owner
        The name of whoever owns this server, and stays.
    """

    def __init__(self, store: Store, bus: Publisher, owner: str) -> None:
        self._store = store
        self._bus = bus
        self._owner = owner
        self._directory = Directory(store)
        self._belongings: list[Belongings] = []
        self._on_departure: list[Callable[[Account], Awaitable[None]]] = []

    def add_belongings(self, belongings: Belongings) -> None:
        """Ask of these things too when a user is deleted."""
        self._belongings.append(belongings)

    def on_departure(self, call: Callable[[Account], Awaitable[None]]) -> None:
        """Call ``await call(account)`` before a user goes, who owns nothing any more."""
        self._on_departure.append(call)

    async def delete(self, caller: Account, username: str, query: UserDeletion) -> Deleted:
        """Delete a user; their keys and logins die with them.

        Raises
        ------
        NotFound
            There is none of this name or id.
        Conflict
            They own something and nobody said what becomes of it, own this server, or are the last
            administrator.
        """
        if not caller.is_admin:
            raise Forbidden("Only an administrator deletes users.")
        if query.purge and query.transfer_to:
            raise InvalidRequest(fields={"purge": "goes not together with transfer_to"})
        async with self._store.read() as session:
            account = (await self._directory.find(session, username)).account()
            to = None
            if query.transfer_to:
                to = (await self._directory.find(session, query.transfer_to)).account()
        if account.username == self._owner:
            raise Conflict(
                "user", account.username, f"{account.username} owns this server and stays."
            )
        if to is not None and to.id == account.id:
            raise InvalidRequest(fields={"transfer_to": "is the user who is to be deleted"})
        if to is None and not query.purge:
            await self._refuse_owners(account)
        if account.is_admin:
            async with self._store.write() as session:
                await keep_an_administrator(
                    session, await self._directory.find(session, account.id)
                )
        # All are asked before the first is touched: a refusal takes nothing away.
        for belongings in self._belongings:
            await belongings.check_departure(account, to)
        for belongings in self._belongings:
            if to is not None:
                await belongings.transfer(account, to)
            elif query.purge:
                await belongings.purge(account)
        for call in self._on_departure:
            await call(account)
        await self._remove(account)
        self._bus.publish(
            "users", {"event": "removed", "id": account.id}, owner=account.id, key=account.id
        )
        return Deleted(username=account.username)

    # -- inside ------------------------------------------------------------------------------

    async def _refuse_owners(self, account: Account) -> None:
        things = [name for each in self._belongings for name in await each.owned(account)]
        if not things:
            return
        more = f" and {len(things) - SHOWN} more" if len(things) > SHOWN else ""
        raise Conflict(
            "user",
            account.username,
            f"{account.username} owns {', '.join(things[:SHOWN])}{more}. Delete these first, give "
            "them to somebody (transfer_to), or have them deleted too (purge).",
            details={"owns": things},
        )

    async def _remove(self, account: Account) -> None:
        async with self._store.write() as session:
            record = await self._directory.find(session, account.id)
            if record.role == "admin":
                await keep_an_administrator(session, record)
            await forget_user(session, record)
            await session.delete(record)
            try:
                await session.flush()
            except IntegrityError as error:
                # Something of theirs was made after it was looked for.
                raise Conflict(
                    "user", account.username, f"{account.username} still owns something."
                ) from error
            await self._store.signals.raise_(session, CHANGES)
