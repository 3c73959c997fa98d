"""Backups as their users see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..units import size_text
from .archive import RecoveryWindow
from .backup_book import Note
from .backup_info import BackupInfo
from .backup_schemas import Backup, Window

if TYPE_CHECKING:
    from ..containers.people import People


@dataclass(frozen=True, slots=True)
class Known:
    """A backup as the repository and the store have it, together."""

    info: BackupInfo
    note: Note


def view(
    caller: Account,
    known: Known,
    windows: Sequence[RecoveryWindow],
    ids: Mapping[str, str],
    people: People,
) -> Backup:
    """Return what a caller is shown of a backup.

    Parameters
    ----------
    ids
        Of all backups, by label.
    """
    info, note = known.info, known.note
    files = note.files if caller.is_admin or note.owner == caller.id else None
    return Backup(
        id=note.id,
        type=info.kind,
        size=size_text(info.stored_size),
        size_bytes=info.stored_size,
        cluster_bytes=info.database_size if caller.is_admin else None,
        created_at=info.start,
        seconds=int((info.stop - info.start).total_seconds()),
        timeline=info.timeline,
        databases=list(shown_databases(caller, note)),
        files=list(files.paths) if files is not None else [],
        files_bytes=files.size if files is not None else 0,
        files_unread=(files.unread or None) if files is not None else None,
        owner=people.name(note.owner) if note.owner is not None else None,
        status="damaged" if info.damaged else "completed",
        verified_at=note.verified_at,
        depends_on=[ids[label] for label in info.references if label in ids],
        recovery_window=[
            Window(timeline=each.timeline, first=max(each.first, info.earliest), last=each.last)
            for each in windows
            if info.label in each.backups and info.earliest <= each.last
        ],
    )


def shown_databases(caller: Account, note: Note) -> Sequence[str]:
    """Return the databases of a backup that a caller may know of."""
    return note.databases if caller.is_admin else note.databases_of(caller.id)


def visible(caller: Account, note: Note) -> bool:
    """Whether a caller may know of a backup."""
    return bool(caller.is_admin or note.owner == caller.id or note.databases_of(caller.id))
