"""Restored clusters that are left beside the live one, to be looked into."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy import delete, select

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Forbidden, NotFound
from ..operations.running import Progress
from ..store.database import Store
from ..store.types import utcnow
from . import some_databases
from .archiving import Archiving
from .backup_schemas import DeletedSide, SideQuery
from .backup_schemas import SideCluster as View
from .beside import Beside
from .connections import connected
from .owned_files import on_disk
from .pgbackrest import PgBackRest
from .place import Place
from .records import SideRecord
from .restore_plan import Goal
from .roles import Roles
from .steps import to_the_end

HOST = "127.0.0.1"
"""At which they listen, wherever the live one does."""


class SideRestore:
    """Makes, lists and removes them; they are the administrators'."""

    def __init__(self, store: Store, archiving: Archiving, beside: Beside, roles: Roles) -> None:
        self._store = store
        self._archiving = archiving
        self._beside = beside
        self._roles = roles

    async def list(self, caller: Account, query: SideQuery) -> Page[View]:
        """List restored clusters that were left beside, newest first.

        Raises
        ------
        Forbidden
            The caller is no administrator.
        """
        _administrators_only(caller)
        async with self._store.read() as session:
            rows = await session.scalars(select(SideRecord).order_by(SideRecord.created_at.desc()))
            records = rows.all()
        shown = records[query.offset : query.offset + query.limit]
        items: list[View] = []
        if shown:
            place = await self._archiving.cluster.need()
            items = await on_disk(lambda: [self._view(place, each) for each in shown])
        return Page(items, len(records), query.limit, query.offset, "restores")

    async def delete(self, caller: Account, id: str) -> DeletedSide:
        """Stop a restored cluster and remove all of it.

        Raises
        ------
        Forbidden
            The caller is no administrator.
        NotFound
            There is none of this id.
        """
        _administrators_only(caller)
        if (plan := await self._plan(id)) is None:
            raise NotFound("restore", id)
        await to_the_end(self._remove(id, plan))
        return DeletedSide(id=id)

    async def restore(
        self,
        driver: PgBackRest,
        backup: str,
        target: Goal,
        plan: Mapping[str, Any],
        databases: tuple[str, ...],
        progress: Progress,
    ) -> View:
        """Restore beside, prove, and let the superuser in."""
        side = self._beside.at(driver.place, plan)
        try:
            await some_databases.recover(
                self._beside, side, driver, target, databases, progress.report, progress.enter
            )
            async with connected(side.place) as connection:
                login = await self._roles.superuser_in(connection)
            await side.serve(HOST, to=login.role)
            record = SideRecord(
                id=str(plan["name"]),
                port=side.place.port,
                backup=backup,
                moment=target.moment,
                created_at=utcnow(),
            )
            view = await on_disk(partial(self._view, driver.place, record))
            async with self._store.write() as session:
                session.add(record)
        except BaseException:
            if not progress.interrupted:
                await asyncio.shield(side.discard())
            raise
        user, password = quote(login.role, safe=""), quote(login.password, safe="")
        url = f"postgresql://{user}:{password}@{HOST}:{view.port}/postgres"
        return view.model_copy(update={"connection_url": url, "running": True})

    async def recover(self, plan: Mapping[str, Any]) -> bool:
        """Remove what a crash left half made; return whether it was complete."""
        if await self._plan(str(plan["name"])) is not None:
            return True
        await self._beside.discard(await self._archiving.cluster.need(), plan)
        return False

    # -- inside --------------------------------------------------------------------------------

    async def _plan(self, id: str) -> Mapping[str, Any] | None:
        async with self._store.read() as session:
            record = await session.get(SideRecord, id)
            return {"name": record.id, "port": record.port} if record is not None else None

    async def _remove(self, id: str, plan: Mapping[str, Any]) -> None:
        await self._beside.discard(await self._archiving.cluster.need(), plan)
        async with self._store.write() as session:
            await session.execute(delete(SideRecord).where(SideRecord.id == id))

    def _view(self, place: Place, record: SideRecord) -> View:
        side = self._beside.at(place, {"name": record.id, "port": record.port})
        return View(
            id=record.id,
            backup=record.backup,
            target_time=record.moment,
            host=HOST,
            port=record.port,
            running=side.find() is not None,
            created_at=record.created_at,
        )


def _administrators_only(caller: Account) -> None:
    if not caller.is_admin:
        raise Forbidden("Restored clusters that were left beside are the administrators'.")
