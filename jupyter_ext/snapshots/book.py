"""The store's table of snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.records import UserRecord
from ..errors import Conflict, NotFound, QuotaExceeded
from ..store.database import Store
from ..store.types import utcnow
from .parts import Kept
from .records import SnapshotRecord

CID = "cid"
"""Of a container's facts: the number of the one that it was taken of."""

MAKING, KEPT, BEFORE, DELETING, LEFT = "making", "kept", "before", "deleting", "left"

WHOLE = (KEPT, BEFORE)
"""Those that are there: taken by somebody, or by a restore, of what was there before it."""


@dataclass(frozen=True, slots=True)
class Note:
    """A snapshot as the store has it."""

    mark: str
    owner: str
    name: str
    description: str
    state: str
    parts: tuple[Kept, ...]
    created_at: datetime

    @property
    def there(self) -> Sequence[Kept]:
        """The parts that were taken."""
        return [part for part in self.parts if part.there]


class SnapshotBook:
    """Snapshots by owner and name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, owner: str) -> Sequence[Note]:
        """Return those of an account that are whole, newest first."""
        wanted = (
            select(SnapshotRecord)
            .where(SnapshotRecord.owner == owner, SnapshotRecord.state.in_(WHOLE))
            .order_by(SnapshotRecord.created_at.desc(), SnapshotRecord.mark.desc())
        )
        async with self._store.read() as session:
            return [_note(each) for each in await session.scalars(wanted)]

    async def everything_of(self, owner: str) -> Sequence[Note]:
        """Return all of an account, the half ones too."""
        wanted = select(SnapshotRecord).where(SnapshotRecord.owner == owner)
        async with self._store.read() as session:
            return [_note(each) for each in await session.scalars(wanted)]

    async def find(self, owner: str, name: str) -> Note:
        """Return a whole one; raises `NotFound`."""
        for note in await self.of(owner):
            if note.name == name:
                return note
        raise NotFound("snapshot", name)

    async def get(self, mark: str) -> Note | None:
        """Return one by its mark, whatever its state."""
        async with self._store.read() as session:
            record = await session.get(SnapshotRecord, mark)
            return _note(record) if record is not None else None

    async def claim(
        self,
        session: AsyncSession,
        owner: str,
        name: str,
        mark: str,
        description: str,
        most: int = 0,
    ) -> None:
        """Claim a name, within a transaction.

        Parameters
        ----------
        most
            How many the account may have; 0: any number.

        Raises
        ------
        Conflict
            It is taken.
        QuotaExceeded
            The account has as many as it may.
        """
        record = SnapshotRecord(
            mark=mark,
            owner=owner,
            name=name,
            description=description,
            state=MAKING,
            parts=[],
            created_at=utcnow(),
        )
        # Locked, so that two requests at once don't pass the limit together.
        await session.scalar(select(UserRecord.id).where(UserRecord.id == owner).with_for_update())
        mine = and_(SnapshotRecord.owner == owner, SnapshotRecord.state != LEFT)
        count = await session.scalar(select(func.count()).where(mine)) or 0
        session.add(record)
        try:
            await session.flush()
        except IntegrityError:
            raise Conflict(
                "snapshot",
                name,
                f"There is a snapshot {name!r} already. Choose another name, or delete it.",
                fields={"name": "is taken"},
            ) from None
        if most and count >= most:
            raise QuotaExceeded(
                "snapshots",
                most,
                count,
                f"You have {count} snapshots, which is as many as you may. Delete one first.",
            )

    async def finish(self, mark: str, parts: Sequence[Kept], state: str = KEPT) -> Note:
        """Write down that one is whole."""
        words = [part.words() for part in parts]
        async with self._store.write() as session:
            await session.execute(
                update(SnapshotRecord)
                .where(SnapshotRecord.mark == mark)
                .values(state=state, parts=words)
            )
            record = await session.get_one(SnapshotRecord, mark)
            return _note(record)

    async def leave(self, session: AsyncSession, mark: str) -> None:
        """Write down that one is being deleted, within a transaction; raises `NotFound`."""
        left = (
            update(SnapshotRecord)
            .where(SnapshotRecord.mark == mark, SnapshotRecord.state.in_(WHOLE))
            .values(state=DELETING)
            .returning(SnapshotRecord.mark)
        )
        if await session.scalar(left) is None:
            raise NotFound("snapshot", mark)

    async def stay(self, note: Note) -> None:
        """Write down that one could not be deleted."""
        stays = update(SnapshotRecord).where(SnapshotRecord.mark == note.mark)
        async with self._store.write() as session:
            await session.execute(stays.values(state=note.state))

    async def abandon(self, mark: str) -> None:
        """Give a name back, and write down that something of the snapshot may be left."""
        left = update(SnapshotRecord).where(SnapshotRecord.mark == mark)
        async with self._store.write() as session:
            await session.execute(left.values(state=LEFT, name=mark))

    async def left(self) -> Sequence[Note]:
        """Return those of which something may be left, and which are nobody's to see."""
        wanted = select(SnapshotRecord).where(SnapshotRecord.state == LEFT)
        async with self._store.read() as session:
            return [_note(each) for each in await session.scalars(wanted)]

    async def overdue(self, since: datetime, most: int) -> Sequence[Note]:
        """Return what restores have kept and nobody needs any more, oldest first.

        The newest of each account is never among them.

        Parameters
        ----------
        since
            Older ones are overdue.
        most
            How many of an account are kept.
        """
        wanted = (
            select(SnapshotRecord)
            .where(SnapshotRecord.state == BEFORE)
            .order_by(SnapshotRecord.created_at.desc(), SnapshotRecord.mark.desc())
        )
        newer: Counter[str] = Counter()
        found = []
        async with self._store.read() as session:
            for record in await session.scalars(wanted):
                place = newer[record.owner]
                if place and (place >= most or record.created_at < since):
                    found.append(_note(record))
                newer[record.owner] += 1
        return found[::-1]

    async def renumber(self, owner: str, old: int, new: int) -> None:
        """Write down that what was kept of a container is that of one that was made of it."""
        mine = select(SnapshotRecord).where(SnapshotRecord.owner == owner)
        async with self._store.write() as session:
            for record in await session.scalars(mine):
                if any(_cid(part) == old for part in record.parts):
                    record.parts = [
                        {**part, "facts": {**part["facts"], CID: new}}
                        if _cid(part) == old
                        else part
                        for part in record.parts
                    ]

    async def release(self, mark: str) -> None:
        """Give its name back."""
        async with self._store.write() as session:
            await session.execute(delete(SnapshotRecord).where(SnapshotRecord.mark == mark))


def _cid(part: Mapping[str, Any]) -> object:
    return part["facts"].get(CID)


def _note(record: SnapshotRecord) -> Note:
    return Note(
        record.mark,
        record.owner,
        record.name,
        record.description,
        record.state,
        tuple(Kept.read(words) for words in record.parts),
        record.created_at,
    )
