"""Moments to which databases can be brought back, as `backups` tells of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from ..errors import InvalidRequest, NotFound
from . import specs
from .things import Thing

CURE = "write 2026-01-02 15:04:05 (your clock's zone, unless one is named), or how long ago: 10m."


def moment(written: str) -> datetime:
    """Read a moment: a date and time, here in the zone of this machine, or ``10m``, ``2h``.

    Raises
    ------
    InvalidRequest
        It is none.
    """
    try:
        if re.fullmatch(r"\d+", written.strip()):
            raise ValueError("A number alone may be anything.")
        found = datetime.fromisoformat(specs.moment(written).strip())
    except ValueError:
        raise InvalidRequest(fields={"target_time": f"{written!r} is no moment: {CURE}"}) from None
    return found if found.tzinfo else found.astimezone()


def backup_for(
    backups: Sequence[Thing],
    to: datetime | None = None,
    timeline: int | None = None,
    databases: Sequence[str] = (),
) -> Thing:
    """Return the backup that a restore to a moment begins with.

    Of a backup that was just taken no WAL is archived yet: the restore itself archives it.

    Parameters
    ----------
    backups
        Newest first.
    to
        None: the end of the newest backup.
    timeline
        None: the newest.
    databases
        Which: a backup that was taken for them goes before newer ones for others.

    Raises
    ------
    NotFound
        There is no backup yet.
    """
    if not backups:
        raise NotFound("backup", "", "There is no backup yet: take one first.")
    if to is None:
        return backups[0]
    if timeline is None:
        timeline = max(line for each in backups for line in _timelines(each))
    before = [each for each in backups if datetime.fromisoformat(each.created_at) <= to]
    fitting = [
        each for each in before if _earliest(each) <= to and timeline in _timelines(each, to)
    ]
    # What none has was made since, and comes from the WAL.
    had = {name for name in databases if any(name in each.databases for each in fitting)}
    for each in fitting:
        if had <= {*each.databases}:
            return each
    # Where none fits, the server names the moments that can be restored.
    return (fitting or before or backups)[0]


def _earliest(backup: Thing) -> datetime:
    """Return the first moment for which it is surely good: its end is known to the second."""
    return datetime.fromisoformat(backup.created_at) + timedelta(seconds=backup.seconds + 1)


def _timelines(backup: Thing, to: datetime | None = None) -> set[int]:
    """Return the timelines on which it can be restored, to a moment or at all."""
    return {backup.timeline} | {
        window.timeline
        for window in backup.recovery_window
        if to is None or datetime.fromisoformat(window["from"]) <= to
    }
