"""The calls of `database_calls`, grouped as `groups` does the others, and connections by them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import Forbidden, Unavailable
from . import database_calls as calls
from .call import OnProgress
from .groups import AsyncGroup, AsyncMethod, Group, Method
from .things import Thing

if TYPE_CHECKING:
    from types import ModuleType

    from psycopg import AsyncConnection, Connection


class Databases(Group):
    """Databases that you may use."""

    list = Method(calls.database_list)
    get = Method(calls.database_get)
    clone = Method(calls.database_clone)
    delete = Method(calls.database_delete)
    connection = Method(calls.database_connection)

    def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        template: str | None = None,
        extensions: Sequence[str] | None = None,
        progress: OnProgress | None = None,
    ) -> Thing:
        """Make a database.

        Parameters
        ----------
        name
            Anything that can be printed, 63 bytes at most.
        owner
            Whose it is: you, unless an administrator says another user, or ``dba``, the cluster's
            own role.
        template
            A database with whose content it begins, and in which nobody is.
        extensions
            Of PostgreSQL, to be there at the beginning: ``["pg_trgm"]``.
        progress
            Called at each step.

        Returns
        -------
        Thing
            The database; with `connection_url`, which holds the password, where you made it for
            yourself.
        """
        made = self._client.call(
            calls.database_create(
                name, owner=owner, template=template, extensions=extensions, progress=progress
            )
        )
        # An operation that was followed has no password in its result.
        if owner is None and not made.get("connection_url"):
            with suppress(Forbidden):  # a key may make databases and not connect to them
                made["connection_url"] = self.connection(name)["url"]
        return made

    def connect(self, name: str, **options: Any) -> Connection[Any]:
        """Connect to a database by psycopg, which the extra ``postgres`` brings.

        Parameters
        ----------
        options
            Of `psycopg.connect`: ``autocommit=True``, ``row_factory=psycopg.rows.dict_row``.

        Raises
        ------
        Unavailable
            psycopg is not installed.
        """
        psycopg = _psycopg()
        connection: Connection[Any] = psycopg.connect(
            **{**_login(self.connection(name)), **options}
        )
        return connection


class AsyncDatabases(AsyncGroup):
    """Databases that you may use."""

    list = AsyncMethod(calls.database_list)
    get = AsyncMethod(calls.database_get)
    clone = AsyncMethod(calls.database_clone)
    delete = AsyncMethod(calls.database_delete)
    connection = AsyncMethod(calls.database_connection)

    async def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        template: str | None = None,
        extensions: Sequence[str] | None = None,
        progress: OnProgress | None = None,
    ) -> Thing:
        """Make a database; as `Databases.create`, awaited."""
        made = await self._client.call(
            calls.database_create(
                name, owner=owner, template=template, extensions=extensions, progress=progress
            )
        )
        if owner is None and not made.get("connection_url"):
            with suppress(Forbidden):
                made["connection_url"] = (await self.connection(name))["url"]
        return made

    async def connect(self, name: str, **options: Any) -> AsyncConnection[Any]:
        """Connect to a database by psycopg; as `Databases.connect`, awaited."""
        psycopg = _psycopg()
        login = _login(await self.connection(name))
        connection: AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
            **{**login, **options}
        )
        return connection


def _login(found: Thing) -> dict[str, Any]:
    login = {part: found[part] for part in ("host", "port", "user", "password")}
    return {**login, "dbname": found["database"]}


def _psycopg() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise Unavailable(
            "To connect needs psycopg, which is not installed here.",
            "Install it: `pip install 'jupyter-ext[postgres]'`.",
        ) from error
    return psycopg
