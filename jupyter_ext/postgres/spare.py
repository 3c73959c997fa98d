"""An empty database made beforehand: whoever makes one gets it, renamed, instead of waiting.

The name itself is the claim: of several servers that rename it at once, PostgreSQL lets one do so.
What a dead server leaves is the next one's, so nothing is written down of it and nothing cleared.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PlatformError
from .connections import Connections, statement
from .place import SUPERUSER
from .schemas import SPARE

if TYPE_CHECKING:
    from psycopg import AsyncConnection

QUIET_SECONDS = 1.0
"""After the last database was made until the next spare one is: who makes many gets the disk."""

OLDEST_VERSION = 15_00_00
"""Of PostgreSQL: earlier ones count sessions late, or lose some of them (a process of its own
received them by UDP)."""

# The last is template1 as it is now, which the spare one's comment says as it was when it was
# copied. Nobody changes a database without a session in it, and each is counted before its first
# statement; a crash, or a reset of the counters, is told by their times. What template1's row says
# can be changed from elsewhere.
LOOK = (
    "SELECT spare.oid IS NOT NULL, shobj_description(spare.oid, 'pg_database'),"
    " concat_ws(' ', to_jsonb(d) - ARRAY['datfrozenxid', 'datminmxid'], s.sessions,"
    " s.stats_reset, w.stats_reset)"
    " FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid CROSS JOIN pg_stat_bgwriter w"
    " LEFT JOIN pg_database spare ON spare.datname = %s"
    " WHERE d.datname = 'template1' AND NOT EXISTS (SELECT FROM pg_stat_activity a"
    " WHERE a.datid IN (d.oid, spare.oid) AND a.backend_type = 'client backend')"
)

_log = logging.getLogger(__name__)


class Spare:
    """Keeps one empty database ready in the product's own cluster."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have one from now on."""
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Make none any more; the one that is there is for the next server."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def take(self, connection: AsyncConnection[Any], name: str, role: str) -> bool:
        """Make the spare database, closed as it is, somebody's.

        Returns
        -------
        bool
            Whether there was one that is what a new copy of template1 would be.
        """
        if self._task is None:
            return False
        from psycopg import errors

        self._wanted.set()
        look = await _look(connection)
        if look is None or not look.fresh:
            return False
        try:
            # One transaction: there is a database of this name and owner, or none.
            await connection.execute(
                statement(
                    "ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} OWNER TO {};"
                    " COMMENT ON DATABASE {} IS NULL",
                    *(SPARE, name, name, role, name),
                )
            )
        except (errors.InvalidCatalogName, errors.ObjectInUse):
            # Another server was faster, or an administrator came into it.
            return False
        return True

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            while self._wanted.is_set():
                self._wanted.clear()
                await asyncio.sleep(QUIET_SECONDS)
            try:
                await self._make()
            except PlatformError as error:
                _log.debug("No database is made beforehand: %s", error)
            except Exception:
                _log.exception("No database could be made beforehand")

    async def _make(self) -> None:
        async with self._connections.alone(SUPERUSER) as connection:
            if connection.info.server_version < OLDEST_VERSION:
                return
            look = await _look(connection)
            # Its comment is of before it is copied: what is changed meanwhile is a change.
            if look is None or look.fresh:
                return
            if look.there:
                await connection.execute(statement("DROP DATABASE IF EXISTS {}", SPARE))
            await connection.execute(
                statement("CREATE DATABASE {} OWNER {} CONNECTION LIMIT 0", SPARE, SUPERUSER)
            )
            await connection.execute(
                statement("COMMENT ON DATABASE {} IS {now}", SPARE, now=look.template)
            )


@dataclass(frozen=True, slots=True)
class _Look:
    """Whether there is a spare database, its comment, and what template1 is."""

    there: bool
    comment: str | None
    template: str

    @property
    def fresh(self) -> bool:
        return self.comment == self.template


async def _look(connection: AsyncConnection[Any]) -> _Look | None:
    """Look at both; None while somebody is in one of them."""
    row = await (await connection.execute(LOOK, [SPARE])).fetchone()
    return _Look(*row) if row else None
