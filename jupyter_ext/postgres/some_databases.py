"""Recovering some databases beside the cluster: with their files alone, where that is enough.

pgBackRest restores the databases that it is told, and the files of all others as holes. What was
made after the backup has no files in it: PostgreSQL makes it again while it recovers, and may do so
of a database with holes, by a copy or under another name. Then all files are restored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from .beside import Beside
from .pgbackrest import PgBackRest
from .pgbackrest_program import Progress
from .phases import Enter, unheard
from .proof import OtherFiles
from .restore_plan import Goal
from .side_cluster import SideCluster

_log = logging.getLogger(__name__)


async def recover(
    beside: Beside,
    side: SideCluster,
    backups: PgBackRest,
    target: Goal,
    names: Sequence[str],
    progress: Progress | None = None,
    enter: Enter = unheard,
) -> None:
    """Recover databases, which are whole then, or the restore fails.

    Parameters
    ----------
    names
        Empty: the whole cluster.

    Raises
    ------
    PlatformError
        As `SideCluster.recover`; also where there is no room for all files, and they are needed.
    """
    go = partial(side.recover, progress=progress, enter=enter)
    source = target.source(backups, names or None)
    there = await source.numbers()
    if all(name in there for name in names):
        try:
            await go(source)
        except OtherFiles as error:
            _log.info("All files are restored: %s", error.what)
        else:
            return
    await beside.check_room(backups.place, target.size)
    await go(target.source(backups, names, whole=True))
