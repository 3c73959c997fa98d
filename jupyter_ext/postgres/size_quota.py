"""Who has more bytes of databases than they may, and what that means for them.

PostgreSQL has no limit of a database's size: what is measured now and then refuses new databases,
and can make new sessions read-only. A session that wants to write all the same says so, and may:
it is a brake for programs, and a way out for whoever wants to delete rows.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
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
_SHUT: LiteralString = (
    "ALTER DATABASE {} SET jupyter_ext.over_quota = on;"
    " ALTER DATABASE {} SET default_transaction_read_only = on"
)
_LIFT: LiteralString = (
    "ALTER DATABASE {} RESET jupyter_ext.over_quota;"
    " ALTER DATABASE {} RESET default_transaction_read_only"
)


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
            for name in marked.keys() - wanted:
                await _say(connection, _LIFT, name)
            # Its owner may have taken it back.
            for name in (name for name in wanted if not marked.get(name)):
                await _say(connection, _SHUT, name)
        self.shut = frozenset(wanted)


async def _say(connection: AsyncConnection[Any], text: LiteralString, name: str) -> None:
    from psycopg import errors

    # It may be gone by now.
    with suppress(errors.InvalidCatalogName):
        await connection.execute(statement(text, name, name))
