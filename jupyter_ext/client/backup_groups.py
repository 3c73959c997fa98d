"""The calls of `backup_calls`, grouped as `groups` does the others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import quote

from ..errors import Forbidden
from . import backup_calls as calls
from .call import OnProgress
from .database_calls import database_connection
from .groups import AsyncGroup, AsyncMethod, Group, Method
from .things import Thing

SYSTEM = "postgres"
"""The database that every cluster has; an administrator's way into it is its superuser's."""


class Backups(Group):
    """Backups of databases that you may use."""

    list = Method(calls.backup_list)
    get = Method(calls.backup_get)
    create = Method(calls.backup_create)
    verify = Method(calls.backup_verify)
    delete = Method(calls.backup_delete)
    sides = Method(calls.side_list)
    delete_side = Method(calls.side_delete)

    def restore(
        self,
        id: str,
        *,
        to: datetime | str | None = None,
        timeline: int | None = None,
        databases: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        side: bool = False,
        dry_run: bool = False,
        progress: OnProgress | None = None,
    ) -> Thing:
        """Bring databases back to a moment; what was there before is kept.

        Parameters
        ----------
        to
            Any moment since the backup, with a time zone; without: the end of the backup.
        timeline
            On which the moment is, where the whole cluster was restored before; without: the
            newest.
        databases
            Which; without: those that the backup was taken for. An empty list is the whole
            cluster, which only an administrator restores; with `files` it is no database.
        files
            Which of those that you had kept with it, as they were then, whatever the moment;
            without: all; an empty list: none.
        side
            Leave the restored cluster beside the live one, and change nothing (administrators).
        dry_run
            Only tell what would happen.
        progress
            Called at each step.

        Returns
        -------
        Thing
            What was restored, or would be: `databases`, `target_time`, `seconds`, `bytes`, `kept`;
            `files`, `kept_files`;
            with `side` also where it listens, with its superuser's `connection_url`.
        """
        made = self._client.call(
            calls.backup_restore(
                id,
                to=to,
                timeline=timeline,
                databases=databases,
                files=files,
                side=side,
                dry_run=dry_run,
                progress=progress,
            )
        )
        # An operation that was followed has no password in its result.
        if _lacks_address(made):
            with suppress(Forbidden):  # a key may restore databases and not connect to them
                return _addressed(made, self._client.call(database_connection(SYSTEM)))
        return made


class AsyncBackups(AsyncGroup):
    """Backups of databases that you may use."""

    list = AsyncMethod(calls.backup_list)
    get = AsyncMethod(calls.backup_get)
    create = AsyncMethod(calls.backup_create)
    verify = AsyncMethod(calls.backup_verify)
    delete = AsyncMethod(calls.backup_delete)
    sides = AsyncMethod(calls.side_list)
    delete_side = AsyncMethod(calls.side_delete)

    async def restore(
        self,
        id: str,
        *,
        to: datetime | str | None = None,
        timeline: int | None = None,
        databases: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        side: bool = False,
        dry_run: bool = False,
        progress: OnProgress | None = None,
    ) -> Thing:
        """Bring databases back to a moment; as `Backups.restore`, awaited."""
        made = await self._client.call(
            calls.backup_restore(
                id,
                to=to,
                timeline=timeline,
                databases=databases,
                files=files,
                side=side,
                dry_run=dry_run,
                progress=progress,
            )
        )
        if _lacks_address(made):
            with suppress(Forbidden):
                return _addressed(made, await self._client.call(database_connection(SYSTEM)))
        return made


def _lacks_address(made: Thing) -> bool:
    side = made.get("side")
    return side is not None and not side.get("connection_url")


def _addressed(made: Thing, login: Thing) -> Thing:
    """Return it with the superuser's address: they log in beside as to the live cluster."""
    user, password = quote(login["user"], safe=""), quote(login["password"], safe="")
    side = made.side
    url = f"postgresql://{user}:{password}@{side.host}:{side.port}/{SYSTEM}"
    # A copy: the operation, which whoever watches has too, holds no password.
    return Thing({**made, "side": {**side, "connection_url": url}})
