"""Starts a stopped container with other GPUs: saved, and made again of what was saved."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..devices.placement import Gpu, Wish
from ..errors import Conflict, NotFound, PlatformError
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, Recovered
from . import views
from .access import Access
from .defaults import ContainerDefaults
from .docker_remake import ASIDE
from .engine_types import EngineContainer
from .engines import Engines
from .known import Known
from .maker import Maker
from .marks import CID, HOME, REFITTED
from .references import refitted_reference
from .registry import Registry
from .squash import ImageWriter
from .starting import Starter
from .views import Container

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from .keeper import Keeper

REFIT = "container.refit"

_log = logging.getLogger(__name__)


class Refitter:
    """Gives stopped containers other GPUs; number, name, ports and files stay."""

    def __init__(
        self,
        access: Access,
        operations: Operations,
        registry: Registry,
        keeper: Keeper,
        maker: Maker,
        starter: Starter,
        engines: Engines,
        defaults: ContainerDefaults,
        writer: ImageWriter,
    ) -> None:
        self._access = access
        self._operations = operations
        self._registry = registry
        self._keeper = keeper
        self._maker = maker
        self._starter = starter
        self._engines = engines
        self._defaults = defaults
        self._writer = writer
        operations.on_recovery(REFIT, self.recover)

    def fits(self, found: Container, wish: Wish | None) -> bool:
        """Whether a container has such GPUs already, so that a plain start will do."""
        if wish is None:
            return not found.gpus
        return bool(wish.gids) and set(wish.gids) == set(found.gpus)

    async def start(self, caller: Account, ref: str, wish: Wish | None) -> Running[Container]:
        """Start a stopped container with other GPUs, or without.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Conflict
            It runs, or there are no such GPUs for it now.
        QuotaExceeded
            Its owner may have no more GPUs.
        """
        found = await self._access.fresh(caller, ref)
        if found.engine.running:
            raise Conflict(
                "container", found.name, f"{found.name} runs: stop it, then give it other GPUs."
            )
        return await self._access.acted(self._begin(caller, found, wish))

    async def _begin(
        self, caller: Account, found: Container, wish: Wish | None
    ) -> Running[Container]:
        known = self._registry.by_engine[found.id]
        gpus = await self._starter.claim_other(known, wish)
        try:
            return await self._operations.start(
                caller,
                REFIT,
                found.name,
                partial(self._refit, found, known, gpus),
                input={"cid": found.cid, "before": found.id, "name": found.engine.name},
                present=views.container,
            )
        except BaseException:
            await self._registry.holdings.failed(known.cid)
            raise

    async def _refit(
        self, found: Container, known: Known, gpus: tuple[Gpu, ...], progress: Progress
    ) -> Container:
        async with self._starter.alone(known):
            try:
                made = await self._remake(found, known, gpus, progress)
            except BaseException:
                await self._registry.holdings.failed(known.cid)
                raise
            await self._registry.holdings.settle([known.cid])
        return self._access.seen(made)

    async def _remake(
        self,
        found: Container,
        known: Known,
        gpus: tuple[Gpu, ...],
        progress: Progress,
    ) -> EngineContainer:
        driver = self._engines.on(known.device).driver
        if (await driver.inspect(found.id)).running:
            raise Conflict("container", found.name, f"{found.name} was started meanwhile.")
        before = await self._access.recheck(found)
        await progress.update(message=f"Saving the files of {found.name}")
        owner = await self._access.owner(found)
        reference = refitted_reference(owner.username, owner.id, known.cid)
        # A container's number in its image would say that its labels are not its own.
        labels = {CID: "", REFITTED: str(reference)}
        image = await self._writer.write(found.id, reference, labels, progress)
        await progress.update(message=f"Making {found.name} again")
        shm_size = self._defaults.gpu_shm_size if gpus else None
        made = await driver.remake(found.id, image, [gpu.uuid for gpu in gpus], shm_size)
        try:
            now = await self._registry.handover.refitted(
                known, made.id, tuple(gpu.gid for gpu in gpus)
            )
            self._engines.put(made)
            await self._maker.verify(made, before)
        except BaseException:
            await self._put_back(known, made)
            raise
        with suppress(PlatformError):
            await driver.remove(found.id, force=True, volumes=False)
        self._engines.on(known.device).mirror.drop(found.id)
        self._keeper.changed(now.engine_id or "")
        return made

    async def _put_back(self, known: Known, made: EngineContainer) -> None:
        """Leave the container as it was."""
        engine, before = self._engines.on(known.device), known.engine_id or ""
        with suppress(NotFound):
            await engine.driver.remove(made.id, force=True, volumes=False)
        engine.mirror.drop(made.id)
        await self._registry.handover.unfitted(made.id, known)
        old = await engine.driver.inspect(before)
        if old.name == made.name + ASIDE:
            await engine.driver.rename(before, made.name)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Finish what a crash interrupted where the new container is written down, else undo it."""
        cid, before, name = int(given["cid"]), str(given["before"]), str(given["name"])
        await self._registry.load()
        known = self._registry.by_cid.get(cid)
        if known is None or known.engine_id is None:
            return "The container was deleted meanwhile."
        driver = self._engines.on(known.device).driver
        await self._writer.tidy(known.device, operation)
        if known.engine_id != before:
            with suppress(NotFound):
                await driver.remove(before, force=True, volumes=False)
            item = self._access.seen(await driver.inspect(known.engine_id))
            return Recovered(
                "It runs with its new GPUs.", succeeded=True, result=views.container(item)
            )
        for each in await driver.list_containers():
            mine = each.labels.get(CID) == str(cid) and HOME in each.labels
            if mine and each.id != before and each.name == name:
                _log.info("What was made of %s is removed", known.name)
                await driver.remove(each.id, force=True, volumes=False)
                await self._keeper.forget(each.id)
        old = await driver.inspect(before)
        # Users' own names may end so, too.
        if old.name == name + ASIDE:
            await driver.rename(before, name)
        await self._registry.holdings.failed(cid)
        return "The server stopped meanwhile; the container stands still, as before. Start it."
