"""How a container becomes another one: its name, its limits, its restart policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..errors import InvalidRequest
from .access import Access, has_folders
from .engine_types import ContainerDetail, ContainerUpdate
from .fields import MEGABYTE
from .marks import HOME
from .references import engine_name
from .registry import Registry
from .schemas import ContainerChange
from .shares import share_of_limits
from .views import Container

if TYPE_CHECKING:
    from .engines import Engines


class Changing:
    """Changes containers for callers."""

    def __init__(self, access: Access, registry: Registry, engines: Engines) -> None:
        self._access = access
        self._registry = registry
        self._engines = engines

    async def update(self, caller: Account, ref: str, body: ContainerChange) -> Container:
        """Check, and change what the body names."""
        found = await self._access.fresh(caller, ref)
        await self._access.check_limits(body.cpu, body.mem)
        if body.restart_policy not in (None, "no") and has_folders(found.engine):
            owner = await self._access.owner(found)
            if not owner.is_admin:
                raise InvalidRequest(
                    fields={"restart_policy": "must be no for a container with host folders"}
                )
        if body.restart_policy not in (None, "no") and self._registry.by_engine[found.id].gpus:
            # The engine would start it without asking who has the GPU by then.
            raise InvalidRequest(fields={"restart_policy": "must be no for a container with GPUs"})
        return await self._access.acted(self._updated(found, body))

    async def _updated(self, found: Container, body: ContainerChange) -> Container:
        if body.cpu is not None or body.mem is not None or body.restart_policy is not None:
            info = await self._access.engine_info(found.device)
            change = ContainerUpdate(
                # The engine takes no "no limit" for a container that has one: all there is, then.
                cpu=(body.cpu or float(info.cpus)) if body.cpu is not None else None,
                memory=(body.mem * MEGABYTE or info.memory) if body.mem is not None else None,
                restart_policy=body.restart_policy,
            )
            await self._limit(found, change)
        if body.name is not None and body.name != found.name:
            await self._rename(found, body.name)
        return self._access.seen(await self._engines.driver(found.id).inspect(found.id))

    async def _limit(self, found: Container, change: ContainerUpdate) -> None:
        """Claim what other limits take of the owner's quotas, then ask the engine for them."""
        known, detail = self._registry.by_engine[found.id], found.engine.detail or ContainerDetail()
        share = share_of_limits(
            detail.cpu if change.cpu is None else change.cpu,
            detail.memory if change.memory is None else change.memory,
        )
        self._registry.resizing.add(known.cid)
        try:
            if share != known.share:
                await self._registry.resize({known.cid: share})
            try:
                self._engines.put(await self._engines.driver(found.id).update(found.id, change))
            except BaseException:
                await self._registry.resize({known.cid: known.share}, refuse=False)
                # An engine that did not answer may have done it all the same.
                self._engines.refresh(found.id)
                raise
        finally:
            self._registry.resizing.discard(known.cid)

    async def _rename(self, found: Container, name: str) -> None:
        await self._registry.rename(found.cid, name)
        ours = HOME in found.engine.labels
        try:
            new = engine_name(found.owner, name) if ours else name
            await self._engines.driver(found.id).rename(found.id, new)
        except BaseException:
            await self._registry.rename(found.cid, found.name)
            raise
