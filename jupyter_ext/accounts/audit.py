"""The audit: written in groups before the replies go out, read by administrators, never changed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from datetime import timedelta

from sqlalchemy import ColumnElement, bindparam, delete, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..api.auditing import names_of_operation, target_of
from ..api.route import Page
from ..errors import PlatformError, error_for_status
from ..operations.schemas import Operation
from ..store.database import Store
from ..store.types import utcnow
from .audit_schemas import REFUSALS, AuditItem, AuditQuery, outcome_of
from .audit_writer import INSERT, AuditWriter, row_of, told
from .records import AuditRecord, UserRecord
from .schemas import Account, AuditEntry

PRUNE_INTERVAL = 24 * 3600.0
"""Seconds."""

FIRST_PRUNE = 60.0
"""Seconds after the start, which has better things to do."""

PRUNED_AT_ONCE = 1000
"""Entries; between two such transactions others write."""

PRUNED_AT_MOST = 5_000_000
"""Entries a day: whatever goes wrong, it ends."""

ENDED_BY_CODE = {
    kind.code: kind.status
    for kind in map(error_for_status, (400, 401, 403, 404, 405, 409, 413, 429, 503))
}

_USERS = UserRecord.__table__
_INSERT_END = INSERT.values(
    username=func.coalesce(
        select(_USERS.c.username).where(_USERS.c.id == bindparam("owner")).scalar_subquery(), ""
    )
)

_log = logging.getLogger(__name__)


class AuditManager:
    """Keeps who did what, and tells it to those who may know.

    Parameters
    ----------
    retention
        How long entries are kept; None is for ever.
    """

    def __init__(self, store: Store, retention: timedelta | None = None) -> None:
        self._store = store
        self._writer = AuditWriter(store)
        self._retention = retention
        self._pruning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to let go of old entries."""
        if self._pruning is None and self._retention is not None:
            self._pruning = asyncio.get_running_loop().create_task(self._prune_daily())

    async def stop(self) -> None:
        """Write what is not written yet, and end."""
        task, self._pruning = self._pruning, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._writer.stop()

    # -- for whoever acts ------------------------------------------------------------------------

    async def record(self, entry: AuditEntry) -> None:
        """Keep an entry; it is in the store when this returns.

        What is done stays done whatever becomes of its entry: where the store does not answer, the
        entry goes to the log, and nothing is raised.
        """
        await self._writer.record(entry)

    def note(self, entry: AuditEntry) -> None:
        """Keep an entry soon: of what nobody is told before it is kept."""
        self._writer.note(entry)

    async def operation_ended(self, session: AsyncSession, operation: Operation) -> None:
        """Keep how long work ended, in the transaction that writes its end."""
        row = row_of(_end_of(operation, Account(operation.owner, "", role="")))
        try:
            # An entry that can't be kept must not keep the work from ending: PostgreSQL would let
            # nothing more be written in the transaction, SQLite forgets the statement alone.
            own = nullcontext() if self._store.is_sqlite else session.begin_nested()
            async with own:
                await session.execute(_INSERT_END, row | {"owner": operation.owner})
        except Exception as error:
            told([row], error)

    # -- for the route ---------------------------------------------------------------------------

    async def list(self, caller: Account, query: AuditQuery) -> Page[AuditItem]:
        """List entries, newest first.

        A list that grows at its head is paged by `before` rather than by `offset`.
        """
        wanted = _conditions(query)
        page = (
            select(AuditRecord)
            .where(*wanted, *([AuditRecord.id < query.before] if query.before else []))
            .order_by(AuditRecord.id.desc())
            .limit(query.limit)
            .offset(query.offset)
        )
        async with self._store.read() as session:
            count = select(func.count()).select_from(AuditRecord).where(*wanted)
            total = (await session.execute(count)).scalar_one()
            items = [_item(record) for record in await session.scalars(page)]
        following = items[-1].id if len(items) == query.limit else None
        return Page(items, total, query.limit, query.offset, "entries", {"next": following})

    # -- what is old -----------------------------------------------------------------------------

    async def prune(self) -> int:
        """Let go of what is older than the retention; returns how many entries that were."""
        if self._retention is None:
            return 0
        oldest = utcnow() - self._retention
        gone = 0
        while gone < PRUNED_AT_MOST:
            async with self._store.write() as session:
                old = select(AuditRecord.id).where(AuditRecord.at < oldest)
                ids = (
                    await session.scalars(old.order_by(AuditRecord.at).limit(PRUNED_AT_ONCE))
                ).all()
                if ids:
                    await session.execute(delete(AuditRecord).where(AuditRecord.id.in_(ids)))
            gone += len(ids)
            if len(ids) < PRUNED_AT_ONCE:
                break
            await asyncio.sleep(0.05)
        return gone

    async def _prune_daily(self) -> None:
        await asyncio.sleep(FIRST_PRUNE)
        while True:
            try:
                if gone := await self.prune():
                    _log.info("%s old entries of the audit are deleted", gone)
            except PlatformError as error:
                _log.warning("Old entries of the audit are not deleted yet: %s", error)
            await asyncio.sleep(PRUNE_INTERVAL)


def _end_of(operation: Operation, account: Account) -> AuditEntry:
    status, message = 200, ""
    if operation.state == "cancelled":
        # As whoever waits for it is answered.
        status, message = 409, "CANCELLED"
    elif operation.state == "failed":
        message = operation.error.code if operation.error else "INTERNAL_ERROR"
        status = ENDED_BY_CODE.get(message, 500)
    return AuditEntry(
        action=operation.kind.replace(".", ":", 1),
        status=status,
        account=account,
        credential=f"operation:{operation.id}",
        method="END",
        path=f"/api/v1/operations/{operation.id}",
        target=target_of(names_of_operation(operation)),
        message=message,
    )


def _item(record: AuditRecord) -> AuditItem:
    return AuditItem(
        id=record.id,
        at=record.at,
        user=record.user_id,
        username=record.username,
        credential=record.credential,
        address=record.address,
        action=record.action,
        method=record.method,
        path=record.path,
        target=record.target,
        status=record.status,
        outcome=outcome_of(record.status),
        message=record.message,
        request_id=record.request_id,
    )


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.user is not None:
        wanted.append(or_(AuditRecord.user_id == query.user, AuditRecord.username == query.user))
    if query.action is not None:
        prefix, star, _ = query.action.partition("*")
        wanted.append(
            AuditRecord.action.startswith(prefix, autoescape=True)
            if star
            else AuditRecord.action == query.action
        )
    if query.target is not None:
        words = literal(" ").concat(AuditRecord.target).concat(literal(" "))
        wanted.append(words.contains(f" {query.target} ", autoescape=True))
    if query.outcome == "succeeded":
        wanted.append(AuditRecord.status < 400)
    elif query.outcome == "refused":
        wanted.append(AuditRecord.status.in_(REFUSALS))
    elif query.outcome == "failed":
        wanted += [AuditRecord.status >= 400, AuditRecord.status.not_in(REFUSALS)]
    if query.from_ is not None:
        wanted.append(AuditRecord.at >= query.from_)
    if query.to is not None:
        wanted.append(AuditRecord.at < query.to)
    if query.address is not None:
        wanted.append(AuditRecord.address == query.address)
    return wanted
