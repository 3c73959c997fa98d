"""Who has more bytes of databases than they may, and what that means for them.

PostgreSQL has no limit of a database's size: what is measured now and then refuses new databases,
and can make new sessions read-only. A session that wants to write all the same says so, and may:
it is a brake for programs, and a way out for whoever wants to delete rows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..accounts.quota_ledger import QuotaLedger
from ..store.database import Store
from .claims import BYTES, Claims
from .connections import Connections, statement

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg import AsyncConnection

MARK = "jupyter_ext.over_quota"
"""A setting of databases that were made read-only here: their owner may do so, too."""

_MARKED = (
    "SELECT d.datname, 'default_transaction_read_only=on' = ANY (s.setconfig) FROM pg_database d"
    " JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0"
    " WHERE %s = ANY (s.setconfig)"
)
# Its owner may hold a lock on it as long as they like, and the next look comes soon.
_PATIENCE: LiteralString = "SET LOCAL lock_timeout = '100ms'; "
_SHUT: LiteralString = (
    _PATIENCE + "ALTER DATABASE {} SET jupyter_ext.over_quota = on;"
    " ALTER DATABASE {} SET default_transaction_read_only = on"
)
_LIFT: LiteralString = (
    _PATIENCE + "ALTER DATABASE {} RESET jupyter_ext.over_quota;"
    " ALTER DATABASE {} RESET default_transaction_read_only"
)

_log = logging.getLogger(__name__)


class SizeQuota:
    """Follows what databases use.

    Parameters
    ----------
    read_only
        Whether new sessions in the databases of whoever is over only read.

    Attributes
    ----------
    over
        Accounts that have more bytes than they may.
    shut
        Databases whose new sessions only read.
    """

    def __init__(
        self,
        store: Store,
        quotas: QuotaLedger,
        claims: Claims,
        connections: Connections,
        *,
        read_only: bool,
    ) -> None:
        self._store = store
        self._quotas = quotas
        self._claims = claims
        self._connections = connections
        self._read_only = read_only
        self.over: Collection[str] = frozenset()
        self.shut: Collection[str] = frozenset()
        self._held: set[str] = set()

    async def follow(self) -> None:
        """See who is over, and have their databases read-only, and no others.

        Raises
        ------
        Unavailable
            The server or the store does not answer.
        """
        async with self._store.read() as session:
            self.over = await self._quotas.over(session, BYTES)
        wanted: set[str] = set()
        if self._read_only and self.over:
            wanted = {
                each.name
                for each in (await self._claims.all()).values()
                if each.owner in self.over and each.making is None
            }
        async with self._connections.use() as connection:
            rows = await connection.execute(_MARKED, [f"{MARK}=on"])
            marked: dict[str, bool] = dict(await rows.fetchall())
            shut = wanted & {name for name, reads in marked.items() if reads}
            for name in marked.keys() - wanted:
                if not await self._say(connection, _LIFT, name):
                    shut.add(name)
            # Its owner may have taken it back.
            for name in wanted - shut:
                if await self._say(connection, _SHUT, name):
                    shut.add(name)
        self.shut = frozenset(shut)

    async def _say(self, connection: AsyncConnection[Any], text: LiteralString, name: str) -> bool:
        """Change what sessions in a database begin with; return whether that could be done now."""
        from psycopg import errors

        try:
            await connection.execute(statement(text, name, name))
        except errors.InvalidCatalogName:
            # It may be gone by now.
            pass
        except (errors.LockNotAvailable, errors.InternalError_) as error:
            # The second one says that somebody else's change of it came before.
            if name not in self._held:
                self._held.add(name)
                _log.warning("Whether %s can be written to is changed later: %s", name, error)
            return False
        self._held.discard(name)
        return True
