"""A marker in the WAL: up to it, every moment can be reached.

Recovery to a quiet moment fails where no transaction ended after it. So one is made that changes
nothing (a logical message, which every decoder skips that does not know its prefix), and its
segment is sent to the archive. Source: PostgreSQL's documentation, "Replication Management
Functions" and "Backup Control Functions".
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from .connections import connected

if TYPE_CHECKING:
    from .pgbackrest import PgBackRest

PREFIX = "jupyter_ext"

PAUSE = 0.05
"""Seconds between two looks at whether the segment is archived."""


async def mark(backups: PgBackRest, deadline: float = 60) -> datetime:
    """Write a marker, and wait until it is archived.

    Parameters
    ----------
    deadline
        Seconds.

    Returns
    -------
    datetime
        A moment of now, by the cluster's clock, UTC: it and all before it can be reached.

    Raises
    ------
    Unavailable
        The marker did not reach the archive in time; the text says why.
    Away
        The cluster does not answer.
    """
    async with connected(backups.place) as connection:
        cursor = await connection.execute("SELECT clock_timestamp()")
        moment: datetime = _only(await cursor.fetchone())
        # Transactional: it gets a number, and with it a record of when it was committed.
        await connection.execute("SELECT pg_logical_emit_message(true, %s, 'marker')", [PREFIX])
        cursor = await connection.execute("SELECT pg_walfile_name(pg_switch_wal())")
        segment: str = _only(await cursor.fetchone())
        try:
            async with asyncio.timeout(deadline):
                while True:
                    cursor = await connection.execute(
                        "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name = %s",
                        [f"{segment}.ready"],
                    )
                    if not _only(await cursor.fetchone()):
                        return moment.astimezone(UTC)
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            status = await backups.archive.status(connection)
    reason = status.reason or f"{status.waiting} segments wait for it"
    raise Unavailable(
        f"The WAL did not reach the archive within {deadline:g} s: {reason}.".replace("..", "."),
        "Mend the archive, and try again.",
    )


def _only(row: tuple[Any, ...] | None) -> Any:
    assert row is not None  # noqa: S101 - each of these statements gives one row
    return row[0]
