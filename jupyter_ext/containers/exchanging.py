"""Puts a container's files back: one like it is made of an image, and takes its place.

The new one is made beside the old one, which stops only then and stays aside until the new one
runs. Where that fails the old one is as it was.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Conflict, NotFound, PlatformError, Unavailable
from .access import Access
from .docker_remake import ASIDE
from .engine_types import EngineContainer
from .engines import Engines
from .known import Known
from .maker import Maker
from .registry import Registry
from .starting import Starter
from .views import Container

if TYPE_CHECKING:
    from .keeper import Keeper

PUT_BACK_TRIES = 30
PUT_BACK_PAUSE = 1.0
"""Seconds between two tries to have the old one as it was."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Former:
    """The container whose place is to be taken, for whoever goes on after a crash.

    Parameters
    ----------
    name
        The engine's name of it.
    """

    id: str
    name: str
    runs: bool


class Exchanger:
    """Exchanges containers; number, name, ports, GPUs and all that is mounted stay."""

    def __init__(
        self,
        access: Access,
        registry: Registry,
        keeper: Keeper,
        maker: Maker,
        starter: Starter,
        engines: Engines,
        stop_timeout: int,
    ) -> None:
        self._access = access
        self._registry = registry
        self._keeper = keeper
        self._maker = maker
        self._starter = starter
        self._engines = engines
        self._stop_timeout = stop_timeout

    def former(self, found: Container) -> Former:
        """Return what has to be known of a container whose place is to be taken.

        Raises
        ------
        Conflict
            The engine would remove it as soon as it stops.
        """
        if found.engine.detail is not None and found.engine.detail.passing:
            raise Conflict(
                "container",
                found.name,
                f"{found.name} was made with --rm: it would be gone as soon as it stops, before "
                "another one is in its place. Stop it, and restore it then.",
            )
        return Former(found.id, found.engine.name, found.engine.running)

    async def exchange(self, found: Container, image: str, *, runs: bool) -> None:
        """Put one that is made of an image in a container's place.

        Parameters
        ----------
        runs
            Whether it is started.

        Raises
        ------
        PlatformError
            It can't be made or started; the old one is as it was, or the log tells.
        """
        former, known = self.former(found), self._registry.by_engine[found.id]
        async with self._starter.alone(known):
            self._registry.exchanged.add(former.name)
            try:
                made = await self._in_place(found, former, known, image, runs=runs)
            finally:
                self._registry.exchanged.discard(former.name)
        driver = self._engines.on(known.device).driver
        with suppress(PlatformError):
            await driver.remove(former.id, force=True)
        self._engines.on(known.device).mirror.drop(former.id)
        self._keeper.changed(made)

    async def finish(self, known: Known, former: Former) -> bool:
        """Finish or undo what a crash interrupted; whether the new one is in its place."""
        driver = self._engines.on(known.device).driver
        if known.engine_id != former.id:
            with suppress(NotFound):
                await driver.remove(former.id, force=True)
            return True
        old = await driver.inspect(former.id)
        if old.name == former.name + ASIDE:
            for each in await driver.list_containers():
                if each.name == former.name:
                    _log.info("What was made of %s is removed", known.name)
                    await driver.remove(each.id, force=True)
                    await self._keeper.forget(each.id)
            await driver.rename(former.id, former.name)
        if former.runs and not old.running:
            await self._start_again(known, former)
        return False

    # -- inside --------------------------------------------------------------------------------

    async def _in_place(
        self, found: Container, former: Former, known: Known, image: str, *, runs: bool
    ) -> str:
        driver = self._engines.on(known.device).driver
        made = await driver.put_beside(former.id, image)
        try:
            await self._change_over(found, known, made, runs=runs)
        except BaseException:
            await asyncio.shield(self._put_back(known, former, made.id))
            raise
        return made.id

    async def _change_over(
        self, found: Container, known: Known, made: EngineContainer, *, runs: bool
    ) -> None:
        driver, holdings = self._engines.on(known.device).driver, self._registry.holdings
        # Nothing is stopped that could not be started again.
        await self._access.recheck(found)
        # Nobody else gets what it has while it stands still.
        kept = await holdings.keep(known)
        await driver.stop(known.engine_id or "", self._stop_timeout)
        # Which took as long as the container liked.
        before = await self._access.recheck(found) if runs else None
        if runs:
            if not kept:
                await self._starter.claim(known)
            await driver.start(made.id)
        now = await self._registry.handover.refitted(known, made.id, known.gpus)
        started = await driver.inspect(made.id)
        self._engines.put(started)
        if runs:
            await self._maker.verify(started, before)
        if runs or kept:
            await self._starter.settle(now)

    async def _put_back(self, known: Known, former: Former, made: str) -> None:
        """Have the old one as it was, as soon as the engine lets that be done."""
        for _ in range(PUT_BACK_TRIES):
            try:
                await self._undo(known, former, made)
            except Unavailable as error:
                _log.warning("%s could not be put back yet: %s", known.name, error)
                await asyncio.sleep(PUT_BACK_PAUSE)
            except PlatformError as error:
                _log.warning("%s stands still: %s", known.name, error)
                await self._registry.holdings.failed(known.cid)
                return
            else:
                return
        _log.error("%s stands still, as %s at the engine", known.name, former.name + ASIDE)

    async def _undo(self, known: Known, former: Former, made: str) -> None:
        engine = self._engines.on(known.device)
        with suppress(NotFound):
            await engine.driver.remove(made, force=True)
        engine.mirror.drop(made)
        await self._registry.handover.unfitted(made, known)
        old = await engine.driver.inspect(former.id)
        if old.name == former.name + ASIDE:
            await engine.driver.rename(former.id, former.name)
        if former.runs and not old.running:
            await self._start_again(known, former)
        elif former.runs:
            await self._starter.settle(known)
        else:
            await self._registry.holdings.failed(known.cid)
        self._engines.put(await engine.driver.inspect(former.id))

    async def _start_again(self, known: Known, former: Former) -> None:
        driver = self._engines.on(known.device).driver
        old = self._access.seen(await driver.inspect(former.id))
        before = await self._access.recheck(old)
        await self._starter.claim(known)
        await driver.start(former.id)
        await self._starter.settle(known)
        await self._maker.verify(await driver.inspect(former.id), before)
