"""What is written of operations. Every write asks for the lease of the server that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..store.database import Store
from ..store.leases import LeaseLost, ServerLease, ServerRecord
from ..store.types import utcnow
from .records import OperationRecord
from .schemas import ACTIVE, Operation, OperationQuery

CANCELLATIONS = "operations"
"""The signal that somebody asked for a cancellation."""


AtBegin = Callable[[AsyncSession, str], Awaitable[None]]
"""Writes what else belongs to the begin of an operation, given its id."""

AtSuccess = Callable[[AsyncSession], Awaitable[object]]

AtEnd = Callable[[AsyncSession, Operation], Awaitable[None]]
"""Writes what else belongs to the end of an operation."""


_TABLE = cast(Table, OperationRecord.__table__)
_INSERT = _TABLE.insert()


class Ledger:
    """The rows of operations."""

    def __init__(self, store: Store, lease: ServerLease) -> None:
        self.store = store
        self.lease = lease
        self.at_end: list[AtEnd] = []

    async def add(
        self, operation: Operation, server: str, given: dict[str, Any], at_begin: AtBegin
    ) -> None:
        """Write an operation that is about to begin, and what `at_begin` writes with it."""
        async with self.store.write() as session:
            await self.lease.guard(session)
            row = {
                **values_of(operation),
                "id": operation.id,
                "kind": operation.kind,
                "subject": operation.subject,
                "owner": operation.owner,
                "created_at": operation.created_at,
                "started_at": operation.started_at,
                "input": given,
                "server": server,
            }
            await session.execute(_INSERT, row)
            await at_begin(session, operation.id)

    async def write(
        self,
        operation: Operation,
        server: str,
        *,
        ends: bool = False,
        also: Collection[AtSuccess] = (),
        **more: Any,
    ) -> None:
        """Write how an operation of `server` stands.

        Parameters
        ----------
        ends
            Whether it ends hereby: those who asked to know are told in the same transaction.
        also
            Write more of it.

        Raises
        ------
        LeaseLost
            It is somebody else's by now.
        """
        async with self.store.write() as session:
            result = await session.execute(
                _TABLE.update()
                .where(
                    _TABLE.c.id == operation.id,
                    _TABLE.c.server == server,
                    self.lease.condition(server),
                )
                .values(**values_of(operation), **more)
            )
            if not isinstance(result, CursorResult) or result.rowcount != 1:
                raise LeaseLost
            for write in also:
                await write(session)
            for tell in self.at_end if ends else ():
                await tell(session, operation)

    async def get(self, operation_id: str) -> OperationRecord | None:
        """Read one."""
        async with self.store.read() as session:
            return await session.get(OperationRecord, operation_id)

    async def page(
        self, caller: Account, query: OperationQuery
    ) -> tuple[Sequence[OperationRecord], int]:
        """Read those of an account (an administrator's are all), newest first, and count them."""
        wanted = _filter(caller, query)
        newest = (OperationRecord.created_at.desc(), OperationRecord.id.desc())
        async with self.store.read() as session:
            count = select(func.count()).select_from(OperationRecord).where(wanted)
            total = (await session.execute(count)).scalar_one()
            rows = await session.scalars(
                select(OperationRecord)
                .where(wanted)
                .order_by(*newest)
                .limit(query.limit)
                .offset(query.offset)
            )
            return rows.all(), total

    async def request_cancellation(self, operation_id: str) -> None:
        """Ask whichever server does it to cancel it."""
        async with self.store.write() as session:
            await session.execute(
                update(OperationRecord)
                .where(OperationRecord.id == operation_id, OperationRecord.state.in_(ACTIVE))
                .values(cancel_requested=True)
            )
            await self.store.signals.raise_(session, CANCELLATIONS)

    async def to_cancel(self) -> Sequence[str]:
        """List those of this server that somebody wants cancelled."""
        async with self.store.read() as session:
            rows = await session.scalars(
                select(OperationRecord.id).where(
                    OperationRecord.server == self.lease.id,
                    OperationRecord.state.in_(ACTIVE),
                    OperationRecord.cancel_requested,
                )
            )
            return rows.all()

    async def take_over(self) -> Sequence[OperationRecord]:
        """Make this server's what a dead one left unfinished, in one transaction.

        Two servers that do so at once each get what the other doesn't, and a server that is
        alive loses nothing.
        """
        async with self.store.read() as session:
            # Nearly always there is nothing to do, which costs no writer's turn.
            orphan = (await session.scalars(_orphans().limit(1))).first()
            if orphan is None and not await self.lease.find_dead(session):
                return []
        async with self.store.write() as session:
            await self.lease.guard(session)
            await self.lease.bury(session)
            ids = (await session.scalars(_orphans().with_for_update(skip_locked=True))).all()
            if not ids:
                return []
            await session.execute(
                update(OperationRecord)
                .where(OperationRecord.id.in_(ids))
                .values(server=self.lease.id, cancel_requested=False)
            )
            records = await session.scalars(
                select(OperationRecord).where(OperationRecord.id.in_(ids))
            )
            return records.all()

    async def due(self) -> Sequence[OperationRecord]:
        """List this server's failed ones that still have to be undone."""
        async with self.store.read() as session:
            rows = await session.scalars(
                select(OperationRecord).where(
                    OperationRecord.server == self.lease.id, OperationRecord.recovery_due
                )
            )
            return rows.all()

    async def active_about(self, name: str, values: Collection[object]) -> Sequence[str]:
        """List the unfinished ones whose input has one of these values, oldest first."""
        async with self.store.read() as session:
            rows = await session.execute(
                select(OperationRecord.id, OperationRecord.input)
                .where(OperationRecord.state.in_(ACTIVE))
                .order_by(OperationRecord.created_at)
            )
            return [id_ for id_, given in rows if given.get(name) in values]

    async def active_of(self, account_id: str) -> int:
        """Count an account's unfinished ones."""
        async with self.store.read() as session:
            count = select(func.count()).select_from(OperationRecord)
            count = count.where(
                OperationRecord.owner == account_id, OperationRecord.state.in_(ACTIVE)
            )
            return (await session.execute(count)).scalar_one()

    async def prune(self, retention: timedelta) -> None:
        """Let go of what ended long ago."""
        async with self.store.write() as session:
            await session.execute(
                delete(OperationRecord).where(
                    OperationRecord.ended_at < utcnow() - retention,
                    OperationRecord.recovery_due.is_(False),
                )
            )


def values_of(operation: Operation) -> dict[str, Any]:
    """Return the columns that change while an operation goes on."""
    ended = operation.state == "succeeded"
    return {
        "state": operation.state,
        "progress": operation.progress,
        "message": operation.message,
        "log": operation.log,
        "details": operation.details,
        "error": operation.error.model_dump() if operation.error else None,
        "result": {"value": operation.result} if ended else None,
        "ended_at": operation.ended_at,
    }


def _orphans() -> Any:
    return select(OperationRecord.id).where(
        or_(OperationRecord.state.in_(ACTIVE), OperationRecord.recovery_due),
        OperationRecord.server.not_in(select(ServerRecord.id)),
    )


def _filter(caller: Account, query: OperationQuery) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = []
    if not caller.is_admin:
        wanted.append(OperationRecord.owner == caller.id)
    if query.state is not None:
        wanted.append(OperationRecord.state == query.state)
    if query.kind is not None:
        wanted.append(OperationRecord.kind == query.kind)
    if query.active is not None:
        active = OperationRecord.state.in_(ACTIVE)
        wanted.append(active if query.active else ~active)
    return and_(True, *wanted)
