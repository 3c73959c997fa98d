"""Up to when each kind of backup is taken care of, by whichever server of the store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from ..store.base import Fact
from ..store.database import Store, insert_for

PREFIX = "backups.schedule."
"""Of the store's facts."""


class DueTimes:
    """The store's notes on what was due."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last(self, name: str, now: datetime) -> datetime:
        """Return up to when a kind is taken care of; `now` is noted where it never was."""
        insert = insert_for(self._store.is_sqlite)(Fact)
        async with self._store.write() as session:
            row = {"name": PREFIX + name, "value": now.isoformat()}
            await session.execute(insert.values(row).on_conflict_do_nothing())
            kept = await session.scalar(select(Fact.value).where(Fact.name == PREFIX + name))
        return datetime.fromisoformat(str(kept))

    async def claim(self, session: AsyncSession, name: str, last: datetime, now: datetime) -> None:
        """Note that all until `now` is taken care of, within a transaction of `write`.

        Raises
        ------
        Conflict
            Another server did that since `last` was read.
        """
        claimed = await session.execute(
            update(Fact)
            .where(Fact.name == PREFIX + name, Fact.value == last.isoformat())
            .values(value=now.isoformat())
            .returning(Fact.name)
        )
        if claimed.first() is None:
            raise Conflict("backup", name, "Another server takes this backup.")
