"""Moments to which databases can be brought back, as `backups` tells of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

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
    backups: Sequence[Thing], to: datetime | None = None, timeline: int | None = None
) -> Thing:
    """Return the backup that a restore to a moment begins with.

    Parameters
    ----------
    backups
        Newest first.
    to
        None: the end of the newest backup.

    Raises
    ------
    NotFound
        There is no backup yet.
    """
    if not backups:
        raise NotFound("backup", "", "There is no backup yet: take one first.")
    if to is None:
        return backups[0]
    before = [each for each in backups if datetime.fromisoformat(each.created_at) <= to]
    on_it = [
        each
        for each in before
        if any(
            datetime.fromisoformat(window["from"]) <= to and timeline in (None, window.timeline)
            for window in each.recovery_window
        )
    ]
    # Where none fits, the server names the moments that can be restored.
    return (on_it or before or [backups[0]])[0]
