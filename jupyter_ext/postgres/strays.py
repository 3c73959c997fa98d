"""Files of databases that a crash interrupted: PostgreSQL forgets them, and they fill the disk.

A database that is being made has its folder before anybody else sees its row, and the row is gone
with the transaction where the server dies. Whatever makes or drops a database holds a lock on the
list of them until it has ended: while nobody does, a folder without a row is nobody's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .connections import Connections
from .owned_files import remove_folders
from .place import Place

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_log = logging.getLogger(__name__)

# Smaller numbers are those of databases that initdb made (`FirstNormalObjectId`).
_STRAYS = (
    "SELECT name FROM pg_ls_dir('base') AS name WHERE name ~ '^[0-9]+$'"
    " AND CASE WHEN name ~ '^[0-9]+$' THEN name::bigint >= 16384 END"
    " AND NOT EXISTS (SELECT FROM pg_database d WHERE d.oid::text = name)"
)
_LOCK = "LOCK TABLE pg_catalog.pg_database IN SHARE MODE NOWAIT"


async def clear_strays(connections: Connections, place: Place) -> None:
    """Remove what is left, or do nothing where somebody makes or drops a database right now.

    Raises
    ------
    Unavailable
        The server or the disk does not answer.
    """
    from psycopg import errors

    async with connections.use() as connection:
        if not await _strays(connection):
            return
        try:
            async with connection.transaction():
                await connection.execute(_LOCK)
                found = await _strays(connection)
                folders = [place.data / "base" / name for name in found]
                await remove_folders(place.user, *folders)
        except errors.LockNotAvailable:
            return
    _log.warning("Removed what crashes left of databases: %s", ", ".join(found))


async def _strays(connection: AsyncConnection[Any]) -> Sequence[str]:
    rows = await connection.execute(_STRAYS)
    return [name for (name,) in await rows.fetchall()]
