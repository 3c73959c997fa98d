"""Clocks in the store, which all its servers share.

Every write says what it was decided upon and does nothing where that has changed: so a warning and
a stop happen once, whoever comes first, and a keep or new use in between wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Update, and_, case, exists, literal, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from ..containers.records import ContainerRecord
from ..store.database import Store, insert_for
from ..store.leases import ServerLease, ServerRecord
from .records import IdleClockRecord
from .rules import Clock, Reason

ROW = IdleClockRecord


class Clocks:
    """The clocks of all containers that were ever under rules.

    Parameters
    ----------
    lease
        Whose server stops a container.
    """

    def __init__(self, store: Store, lease: ServerLease) -> None:
        self._store = store
        self._lease = lease

    async def load(self) -> dict[int, Clock]:
        """Read all, by the container's number."""
        table = ROW.__table__
        async with self._store.read() as session:
            rows = (await session.execute(select(table))).all()
        return {
            row.cid: Clock(
                row.started_at,
                row.since,
                row.seen_at,
                row.kept_until,
                row.warned_at,
                row.stopped_at,
                row.reason,
            )
            for row in rows
        }

    async def advance(self, clocks: Mapping[int, Clock]) -> None:
        """Write clocks down; one of a later start takes the place of the earlier one."""
        if not clocks:
            return
        async with self._store.write() as session:
            for cid, clock in sorted(clocks.items()):
                await self._put(session, cid, clock)

    async def warn(self, cid: int, clock: Clock, reason: Reason, now: datetime) -> bool:
        """Note that the owner is warned; False where something came in between."""
        unwarned = ROW.warned_at.is_(None)
        return await self._change(cid, unwarned, *self._same(clock, reason), warned_at=now)

    async def calm(self, cid: int, clock: Clock) -> bool:
        """Take a warning back; False where somebody else did."""
        return await self._change(cid, ROW.warned_at == clock.warned_at, warned_at=None)

    async def claim(self, cid: int, clock: Clock, reason: Reason) -> bool:
        """Take it upon this server to stop a container; False where something came in between."""
        unstopped = ROW.stopped_at.is_(None)
        same = self._same(clock, reason)
        return await self._change(cid, unstopped, *same, server=self._lease.id)

    async def stopped(self, cid: int, now: datetime, reason: Reason) -> None:
        """Note that the container was stopped by the rules."""
        await self._change(
            cid,
            ROW.server == self._lease.id,
            server=None,
            warned_at=None,
            stopped_at=now,
            reason=reason,
        )

    async def give_up(self, cid: int) -> None:
        """Note that it was not stopped after all."""
        await self._change(cid, ROW.server == self._lease.id, server=None)

    async def keep(self, cid: int, clock: Clock, until: datetime) -> Clock | None:
        """Postpone a container's stop; None where it is being stopped this moment."""
        async with self._store.write() as session:
            await self._put(session, cid, clock)
            later = case((ROW.kept_until > until, ROW.kept_until), else_=until)
            statement = (
                update(ROW)
                .where(ROW.cid == cid, self._free(), ROW.started_at == clock.started_at)
                .values(kept_until=later, warned_at=None)
                .returning(ROW.since, ROW.seen_at, ROW.kept_until)
                .execution_options(synchronize_session=False)
            )
            row = (await session.execute(statement)).first()
        if row is None:
            return None
        return Clock(clock.started_at, row.since, row.seen_at, row.kept_until)

    # -- inside ----------------------------------------------------------------------------------

    def _same(self, clock: Clock, reason: Reason) -> list[ColumnElement[bool]]:
        """Return what must still hold of what was decided upon `clock`."""
        # What this server began and could not take back, it may begin again.
        free = or_(self._free(), ROW.server == self._lease.id)
        conditions: list[ColumnElement[bool]] = [ROW.started_at == clock.started_at, free]
        if reason == "idle":
            conditions += [ROW.since <= clock.since, _not_kept(clock)]
        return conditions

    @staticmethod
    def _free() -> ColumnElement[bool]:
        """Whether no server that lives is stopping it."""
        alive = exists(select(ServerRecord.id).where(ServerRecord.id == ROW.server))
        return or_(ROW.server.is_(None), ~alive)

    async def _put(self, session: AsyncSession, cid: int, clock: Clock) -> None:
        moved = _of(cid, ROW.started_at == clock.started_at).values(
            since=case((ROW.since < clock.since, clock.since), else_=ROW.since),
            seen_at=case((ROW.seen_at < clock.seen_at, clock.seen_at), else_=ROW.seen_at),
        )
        if await _matched(session, moved):
            return
        new = {"started_at": clock.started_at, "since": clock.since, "seen_at": clock.seen_at}
        anew = dict.fromkeys(("kept_until", "warned_at", "server", "stopped_at", "reason"))
        later = _of(cid, ROW.started_at < clock.started_at).values(**new, **anew)
        if await _matched(session, later):
            return
        # Of a container that is gone nothing is remembered.
        moments = (literal(moment, ROW.since.type) for moment in new.values())
        known = select(ContainerRecord.cid, *moments).where(ContainerRecord.cid == cid)
        insert = insert_for(self._store.is_sqlite)(ROW)
        await session.execute(insert.from_select(["cid", *new], known).on_conflict_do_nothing())

    async def _change(self, cid: int, *conditions: ColumnElement[bool], **values: object) -> bool:
        async with self._store.write() as session:
            return await _matched(
                session, _of(cid, *conditions, self._lease.condition()).values(**values)
            )


async def _matched(session: AsyncSession, statement: Update) -> bool:
    result = await session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1


def _of(cid: int, *conditions: ColumnElement[bool]) -> Update:
    statement = update(ROW).where(ROW.cid == cid, *conditions)
    return statement.execution_options(synchronize_session=False)


def _not_kept(clock: Clock) -> ColumnElement[bool]:
    if clock.kept_until is None:
        return ROW.kept_until.is_(None)
    return and_(ROW.kept_until.is_not(None), ROW.kept_until <= clock.kept_until)
