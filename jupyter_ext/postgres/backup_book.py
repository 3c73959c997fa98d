"""The store's table of backups: what the repository does not know of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..store.base import Fact
from ..store.database import Store, insert_for
from .backup_files import SavedFiles
from .backup_info import BackupInfo
from .records import BackupRecord

GIVEN = "backups.given"
"""Among the store's facts: what outlives the notes. The last day whose own id was given, and who
took a backup when, of the last days."""

REMEMBERED = timedelta(days=2)
"""For which it is known who took a backup."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a backup beside the repository.

    Parameters
    ----------
    asked
        The databases that it was taken for; empty: all.
    holders
        The account whose each database in it was; None for the cluster's own role.
    files
        Of its owner, where it has some.
    """

    label: str
    id: str
    owner: str | None
    asked: Sequence[str]
    holders: Mapping[str, str | None]
    verified_at: datetime | None = None
    files: SavedFiles | None = None

    @property
    def alone(self) -> bool:
        """Whether it is for files, and no database."""
        return self.files is not None and self.files.alone

    @property
    def databases(self) -> Sequence[str]:
        """What it was taken for, by name."""
        return [] if self.alone else sorted(self.asked or self.holders)

    def databases_of(self, account_id: str) -> Sequence[str]:
        """Return those that were an account's."""
        return [name for name in self.databases if self.holders.get(name) == account_id]


class BackupBook:
    """Notes on backups, by label."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> dict[str, Note]:
        """Return all; some may be of backups that are gone."""
        async with self._store.read() as session:
            return {each.label: _note(each) for each in await session.scalars(select(BackupRecord))}

    async def taken_by(self, account_id: str) -> Sequence[datetime]:
        """Return when an account took backups of late, also those that are gone by now."""
        async with self._store.read() as session:
            value = await session.scalar(select(Fact.value).where(Fact.name == GIVEN))
        taken = json.loads(value)["taken"] if value else {}
        return [datetime.fromisoformat(at) for who, at in taken.values() if who == account_id]

    async def adopt(self, backup: BackupInfo, holders: Mapping[str, Any]) -> Note:
        """Note a backup that was found; what is noted already stays as it is."""
        return await self._add(backup, None, [], holders, found=True)

    async def add(
        self,
        backup: BackupInfo,
        owner: str | None,
        asked: Sequence[str],
        holders: Mapping[str, Any],
        files: SavedFiles | None = None,
    ) -> Note:
        """Note a backup that was taken, under an id of its day.

        Who listed backups between its end and now has it noted already, as one that was found.
        """
        return await self._add(backup, owner, asked, holders, files, found=False)

    async def _add(
        self,
        backup: BackupInfo,
        owner: str | None,
        asked: Sequence[str],
        holders: Mapping[str, Any],
        files: SavedFiles | None = None,
        *,
        found: bool,
    ) -> Note:
        words = files.words() if files is not None else None
        async with self._store.write() as session:
            record = await session.get(BackupRecord, backup.label)
            if record is None:
                record = BackupRecord(
                    label=backup.label,
                    id=await self._new_id(session, backup, owner),
                    owner=owner,
                    asked=list(asked),
                    holders=dict(holders),
                    verified_at=None,
                    files=words,
                )
                session.add(record)
            elif not found:
                await self._give(session, backup, owner)
                record.owner, record.asked, record.holders = owner, list(asked), dict(holders)
                record.files = words
            await session.flush()
            return _note(record)

    async def _new_id(self, session: AsyncSession, backup: BackupInfo, owner: str | None) -> str:
        """Return an id that no backup had before: scripts would delete what they don't mean."""
        last = await self._give(session, backup, owner)
        noted = {*await session.scalars(select(BackupRecord.id))}
        day, moment = f"backup-{backup.start:%Y%m%d}", f"backup-{backup.start:%Y%m%d-%H%M%S}"
        further = (f"{moment}-{number}" for number in count(2))
        ids = chain([day] if _day(backup) > last else [], [moment], further)
        return next(each for each in ids if each not in noted)

    async def _give(self, session: AsyncSession, backup: BackupInfo, owner: str | None) -> str:
        """Note who took a backup when, and return the last day before whose own id was given."""
        insert = insert_for(self._store.is_sqlite)(Fact)
        first = {"name": GIVEN, "value": json.dumps({"day": "", "taken": {}})}
        await session.execute(insert.values(first).on_conflict_do_nothing())
        fact = await session.get_one(Fact, GIVEN, with_for_update=True)
        given = json.loads(fact.value)
        taken = {
            label: (who, at)
            for label, (who, at) in given["taken"].items()
            if datetime.fromisoformat(at) > backup.start - REMEMBERED
        }
        if owner is not None:
            taken[backup.label] = (owner, backup.start.isoformat())
        day = max(given["day"], _day(backup))
        fact.value = json.dumps({"day": day, "taken": taken})
        return str(given["day"])

    async def verified(self, note: Note, moment: datetime) -> Note:
        """Note that a backup was restored as a test."""
        async with self._store.write() as session:
            await session.execute(
                update(BackupRecord)
                .where(BackupRecord.label == note.label)
                .values(verified_at=moment)
            )
        return replace(note, verified_at=moment)

    async def leave(self, labels: Sequence[str]) -> None:
        """Note that backups are being deleted, whose files go after them."""
        wanted = select(BackupRecord).where(BackupRecord.label.in_(labels))
        async with self._store.write() as session:
            for record in await session.scalars(wanted):
                if record.files is not None:
                    record.files = SavedFiles.read(record.files).gone().words()

    async def forget(self, labels: Sequence[str]) -> None:
        """Remove the notes on backups that are gone."""
        async with self._store.write() as session:
            await session.execute(delete(BackupRecord).where(BackupRecord.label.in_(labels)))


def _day(backup: BackupInfo) -> str:
    return f"{backup.start:%Y%m%d}"


def _note(record: BackupRecord) -> Note:
    return Note(
        record.label,
        record.id,
        record.owner,
        tuple(record.asked),
        dict(record.holders),
        record.verified_at,
        # Those of somebody who is gone went away with them.
        SavedFiles.read(record.files) if record.files and record.owner else None,
    )
