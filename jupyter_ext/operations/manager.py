"""Long work: written down, then done, then written down again; watched, cancelled, recovered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Conflict, NotFound, PlatformError
from ..store.database import Store
from ..store.leases import ServerLease
from ..store.types import new_id, utcnow
from .idempotency import IdempotencyKeys
from .ledger import CANCELLATIONS, AtEnd, Ledger
from .recovery import Recover, Recovery
from .running import Live, Progress, Running
from .schemas import Operation, OperationQuery, jsonable
from .worker import Publisher, Worker

T = TypeVar("T")
Json = Any
Also = Callable[[AsyncSession], Awaitable[None]]
"""Writes what belongs to the begin of an operation, within its transaction."""

CANCEL_PATIENCE = 5.0
"""Seconds that a cancellation waits for the work to end before it answers."""

RETENTION = timedelta(days=30)

PRUNE_INTERVAL = 3600.0
"""Seconds."""

_log = logging.getLogger(__name__)


class Operations:
    """Starts long work and answers for it.

    Parameters
    ----------
    retention
        How long operations that ended are kept.

    Attributes
    ----------
    keys
        The idempotency keys of this server; what ended while the store was gone is settled here.
    """

    def __init__(
        self,
        store: Store,
        bus: Publisher,
        lease: ServerLease,
        *,
        retention: timedelta = RETENTION,
    ) -> None:
        self._lease = lease
        self._retention = retention
        self._ledger = Ledger(store, lease)
        self.keys = IdempotencyKeys(store, lease)
        self._worker = Worker(self._ledger, bus)
        self._recovery = Recovery(
            self._ledger, self._worker.adopt, self._worker.end, self._worker.go_on
        )
        self._watching: asyncio.Task[None] | None = None
        lease.on_lost(self._worker.lease_lost)
        store.signals.on_change(CANCELLATIONS, self._cancellations)

    # -- for managers ------------------------------------------------------------------------

    async def start(
        self,
        owner: Account,
        kind: str,
        subject: str,
        work: Callable[[Progress], Awaitable[T]],
        *,
        input: dict[str, Any] | None = None,
        message: str = "",
        present: Callable[[T], Json] = jsonable,
        also: Also | None = None,
    ) -> Running[T]:
        """Write down that `work` begins, and begin it.

        Parameters
        ----------
        kind
            ``image.pull``: what `on_recovery` is registered for.
        subject
            What it is about, for people.
        input
            What whoever recovers it has to know. No secrets: it is kept as it is.
        message
            What it does first, for people.
        present
            Turns the result into what is kept and shown.
        also
            Written in the same transaction; what it raises begins nothing.

        Raises
        ------
        Unavailable
            The store does not answer; nothing was begun.
        """
        begun = asyncio.ensure_future(
            self._begin(owner, kind, subject, work, jsonable(input or {}), message, present, also)
        )
        # Shielded: between the row and the task no cancelled caller may step in.
        return await asyncio.shield(begun)

    def on_recovery(self, kind: str, recover: Recover) -> None:
        """Say how an operation of `kind` that a crash interrupted is finished or undone.

        ``await recover(operation, input)`` answers a text where it was undone (the operation has
        failed then), a `Recovered`, or a `Resumed` that takes as long as it takes. It may be called
        again, and must not mind. `Unavailable` means: later.
        """
        self._recovery.register(kind, recover)

    def on_end(self, tell: AtEnd) -> None:
        """Call ``await tell(session, operation)`` in the transaction that writes an end."""
        self._ledger.at_end.append(tell)

    async def owned(self, account: Account) -> Sequence[str]:
        """Return what still goes on for an account; what has ended is only history."""
        count = await self._ledger.active_of(account.id)
        return [f"{count} operations that go on"] if count else []

    async def check_departure(self, account: Account, to: Account | None) -> None:
        """Refuse while something goes on: it would end in the name of somebody who is gone.

        Raises
        ------
        Conflict
            Something does.
        """
        if count := await self._ledger.active_of(account.id):
            raise Conflict(
                "user",
                account.username,
                f"{account.username} has {count} operations going on. Cancel them first.",
            )

    async def transfer(self, account: Account, to: Account) -> None:
        """Refuse what began since the others were asked; raises `Conflict`."""
        await self.check_departure(account, to)

    async def purge(self, account: Account) -> None:
        """Refuse what began since the others were asked; raises `Conflict`."""
        await self.check_departure(account, None)

    async def active_about(self, name: str, values: Collection[object]) -> Sequence[str]:
        """Return the ids of operations that go on, whose input has one of these values."""
        return await self._ledger.active_about(name, values)

    # -- for the application -----------------------------------------------------------------

    async def resume(self) -> None:
        """Take over what a crash left, and keep watching for it. After all kinds are registered."""
        if self._watching is None:
            await self._recovery.take_over()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Stop the work of this process; the next server brings it to its end."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._worker.stop()
        await self.keys.settle()

    # -- for routes --------------------------------------------------------------------------

    async def list(self, caller: Account, query: OperationQuery) -> Page[Operation]:
        """List the caller's operations, newest first; an administrator's are all."""
        records, total = await self._ledger.page(caller, query)
        items = [self._shown(record.view()) for record in records]
        return Page(items, total, query.limit, query.offset, "operations")

    async def get(self, caller: Account, operation_id: str) -> Operation:
        """Return an operation of the caller's.

        Raises
        ------
        NotFound
            None of theirs has this id.
        """
        record = await self._ledger.get(operation_id)
        if record is None or (record.owner != caller.id and not caller.is_admin):
            raise NotFound("operation", operation_id)
        return self._shown(record.view())

    async def cancel(self, caller: Account, operation_id: str) -> Operation:
        """Cancel an operation of the caller's, whichever server does it.

        Returns
        -------
        Operation
            As it is when it ended, or after a few seconds: some work can't stop at once.

        Raises
        ------
        NotFound
            None of theirs has this id.
        Conflict
            It has ended already, or is being brought to its end after a crash.
        """
        operation = await self.get(caller, operation_id)
        if operation.state == "cancelled":
            return operation
        if not operation.active:
            raise Conflict(
                "operation", operation_id, f"The operation has {operation.state} already."
            )
        live = self._worker.live.get(operation_id)
        if live is not None and live.recovering:
            raise Conflict(
                "operation", operation_id, "The operation is being undone after a crash already."
            )
        if live is not None:
            self._worker.cancel(live)
        else:
            await self._ledger.request_cancellation(operation_id)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CANCEL_PATIENCE
        while (remaining := deadline - loop.time()) > 0:
            if live is None:
                await asyncio.sleep(0.25)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(live.ended.wait(), remaining)
            operation = await self.get(caller, operation_id)
            if not operation.active:
                break
        return operation

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all that goes on, and the last that ended."""
        active = await self.list(caller, OperationQuery(active=True, limit=1000))
        ended = await self.list(caller, OperationQuery(active=False, limit=20))
        return {"items": [jsonable(item) for item in (*active.items, *ended.items)]}

    # -- inside ------------------------------------------------------------------------------

    async def _begin(
        self,
        owner: Account,
        kind: str,
        subject: str,
        work: Callable[[Progress], Awaitable[T]],
        given: dict[str, Any],
        message: str,
        present: Callable[[T], Json],
        also: Also | None,
    ) -> Running[T]:
        now = utcnow()
        operation = Operation(
            id=new_id("op"),
            kind=kind,
            subject=subject,
            owner=owner.id,
            state="running",
            message=message,
            created_at=now,
            started_at=now,
        )
        live = Live(operation, self._lease.id)

        async def at_begin(session: AsyncSession, operation_id: str) -> None:
            await self.keys.began(session, operation_id)
            if also is not None:
                await also(session)

        await self._ledger.add(operation, live.server, given, at_begin)
        self._worker.begin(live, work, present)
        return Running(live)

    def _shown(self, operation: Operation) -> Operation:
        """Prefer what memory knows of it: the row is a little older."""
        live = self._worker.live.get(operation.id)
        return live.current() if live is not None and operation.active else operation

    def _cancellations(self) -> None:
        if self._worker.live:
            self._worker.background(self._follow_cancellations)

    async def _follow_cancellations(self) -> None:
        try:
            for operation_id in await self._ledger.to_cancel():
                if live := self._worker.live.get(operation_id):
                    self._worker.cancel(live)
        except PlatformError as error:
            _log.warning("Cancellations are not seen: %s", error)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pruned = float("-inf")
        while True:
            try:
                await self.keys.settle()
                await self._recovery.take_over()
                if loop.time() - pruned > PRUNE_INTERVAL:
                    await self._ledger.prune(self._retention)
                    await self.keys.prune()
                    pruned = loop.time()
            except PlatformError as error:
                _log.warning("Interrupted operations are not looked for: %s", error)
            await asyncio.sleep(self._lease.interval)
