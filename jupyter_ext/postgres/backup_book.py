"""The store's table of backups: what the repository does not know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from ..store.database import Store
from .backup_files import SavedFiles
from .backup_info import BackupInfo
from .records import BackupRecord


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
        day = f"backup-{backup.start:%Y%m%d}"
        async with self._store.write() as session:
            record = await session.get(BackupRecord, backup.label)
            if record is None:
                taken = await session.scalar(select(BackupRecord.id).where(BackupRecord.id == day))
                record = BackupRecord(
                    label=backup.label,
                    id=f"{day}-{backup.start:%H%M%S}" if taken else day,
                    owner=owner,
                    asked=list(asked),
                    holders=dict(holders),
                    verified_at=None,
                    files=words,
                )
                session.add(record)
            elif not found:
                record.owner, record.asked, record.holders = owner, list(asked), dict(holders)
                record.files = words
            await session.flush()
            return _note(record)

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
