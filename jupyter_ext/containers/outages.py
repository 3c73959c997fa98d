"""Makes a container for which somebody waited, however long its device's engine is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import Away, Conflict, Unavailable
from ..operations.running import Progress
from .engine_types import EngineContainer
from .maker import ABANDONED_SECONDS, Draft, Maker

if TYPE_CHECKING:
    from .engines import Engines
    from .keeper import Keeper

LOOK_SECONDS = 1.0
"""Between two looks whether the engine is back."""


class OutageMaker:
    """Tries again until the engine has answered; what was granted stays granted meanwhile."""

    def __init__(self, maker: Maker, engines: Engines, keeper: Keeper) -> None:
        self._maker = maker
        self._engines = engines
        self._keeper = keeper

    async def make(
        self,
        draft: Draft,
        make: Callable[[Draft, Callable[[BaseException], bool]], Awaitable[EngineContainer]],
        progress: Progress,
    ) -> EngineContainer:
        """Make it, and again after every try of which the engine did not say what became of it.

        Parameters
        ----------
        make
            One try. It asks what it is given about an error, and leaves the claims where that is
            true; of an error that it does not ask about they are given back.

        Raises
        ------
        PlatformError
            What the engine said against it, or its device was removed meanwhile.
        """
        unsure, kept = 0.0, False

        def again(error: BaseException) -> bool:
            nonlocal kept
            if isinstance(error, Conflict):
                # An earlier try may come out of the engine late, under the same name.
                kept = error.kind == "container" and time.monotonic() < unsure
            else:
                kept = isinstance(error, Away) or progress.interrupted
            return kept

        while True:
            kept = False
            try:
                return await make(draft, again)
            except (Away, Conflict) as error:
                if not kept:
                    raise
                if isinstance(error, Away):
                    unsure = time.monotonic() + ABANDONED_SECONDS
            try:
                await self._until_back(draft, progress)
            except BaseException:
                if not progress.interrupted:
                    await asyncio.shield(self._maker.abandon(draft))
                raise

    async def _until_back(self, draft: Draft, progress: Progress) -> None:
        device = draft.known.device
        away = f"The engine of device {device} does not answer. {draft.body.name} waits for it."
        await progress.update(message=away)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._engines.on(device).mirror.fresh:
                continue
            with suppress(Unavailable):
                await self._keeper.remove_made_for(draft.known)
                await progress.update(message=f"Starting {draft.body.name}")
                return
