"""Starts containers: what they take of the device first, then the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ..devices.placement import Gpu, Wish
from ..devices.queue import GpuQueue
from ..devices.ticket import Ticket
from ..errors import Conflict, Unavailable
from .known import Known, port_taken
from .registry import Registry

if TYPE_CHECKING:
    from ..operations.running import Progress
    from .engines import Engines

TELL_SECONDS = 1.0
"""Between two looks at the place in the queue."""

PLACE_SECONDS = 0.05
"""For each place that somebody stands behind the first, until they hear of another one: what is
told is written down, and a place far behind changes with every grant."""


class Starter:
    """Starts containers that are made already, and asks for the GPUs of new ones."""

    def __init__(self, registry: Registry, engines: Engines, queue: GpuQueue) -> None:
        self._registry = registry
        self._holdings = registry.holdings
        self._engines = engines
        self._queue = queue
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def alone(self, known: Known) -> asyncio.Lock:
        """A lock that whoever starts a container holds: of two starts the second finds it run."""
        return self._locks.setdefault(known.cid, asyncio.Lock())

    async def start(self, known: Known) -> bool:
        """Start a stopped container with what it had before; False where it ran already.

        Raises
        ------
        Conflict
            The device is full, a GPU of it is taken, or a port.
        QuotaExceeded
            Its owner may have no more GPUs.
        Unavailable
            The engine does not answer.
        """
        async with self.alone(known):
            return await self._start(known)

    async def restart(self, known: Known, stop: Callable[[], Awaitable[None]]) -> bool:
        """Stop a running container and start it, without anybody else getting what it takes.

        Raises
        ------
        Conflict, QuotaExceeded, Unavailable
            As `start`; also what `stop` raises.
        """
        async with self.alone(known):
            kept = await self._holdings.keep(known)
            try:
                await stop()
            except BaseException:
                if kept:
                    await self.settle(known)
                raise
            return await self._start(known)

    async def _start(self, known: Known) -> bool:
        engine_id = known.engine_id or ""
        await self.claim(known)
        try:
            changed = await self._engines.driver(engine_id).start(engine_id)
        except Unavailable:
            # It may run all the same; what the engine says when it is back decides.
            await self._holdings.settle([known.cid])
            raise
        except BaseException as error:
            await self._holdings.failed(known.cid)
            if isinstance(error, Conflict) and error.kind == "port":
                raise port_taken(error.name) from None
            raise
        await self.settle(known)
        return changed

    async def gpus(self, known: Known, wish: Wish) -> tuple[Gpu, ...]:
        """Take GPUs for a claimed container at once.

        Raises
        ------
        Conflict
            There are none for it now.
        """
        share = known.share
        return await self._queue.take(Ticket(known.cid, wish, False, share.cpu, share.memory))

    async def wait(
        self, known: Known, wish: Wish, progress: Progress, *, stands: bool = False
    ) -> tuple[Gpu, ...]:
        """Wait in the queue until there are GPUs for a claimed container, telling its place.

        Parameters
        ----------
        stands
            Whether it stands in the queue already, in the name of a server that died.
        """
        ticket = Ticket(known.cid, wish, True, known.share.cpu, known.share.memory)
        begun = self._queue.resume(ticket) if stands else self._queue.take(ticket)
        taking = asyncio.ensure_future(begun)
        told, again = 0, 0.0
        try:
            while not (await asyncio.wait([taking], timeout=TELL_SECONDS))[0]:
                now = time.monotonic()
                if ticket.place and ticket.place != told and now >= again:
                    told, again = ticket.place, now + ticket.place * PLACE_SECONDS
                    await progress.update(message=place_text(ticket), details=place_facts(ticket))
            return taking.result()
        finally:
            taking.cancel()
            # Only now nothing is written down for it any more.
            await asyncio.wait([taking])

    async def asked(self, cid: int) -> bool:
        """Return whether a container stands in the queue for GPUs."""
        return await self._queue.asked(cid)

    async def claim(self, known: Known) -> None:
        """Take what a container had before it stopped, for whoever starts it.

        Raises
        ------
        Conflict, QuotaExceeded
            As `start`.
        """
        if await self._holdings.keep(known):
            # It runs, or has ended a moment ago: what it had is still its own.
            return
        if not known.gpus:
            await self._holdings.reserve(known)
            return
        await self._holdings.ask_gpus(known, len(known.gpus))
        try:
            await self.gpus(known, Wish(gids=known.gpus))
        except BaseException:
            await self._holdings.failed(known.cid)
            raise

    async def claim_other(self, known: Known, wish: Wish | None) -> tuple[Gpu, ...]:
        """Take other GPUs for a stopped container than it had, on its device, or none.

        Raises
        ------
        Conflict
            There are none for it now, or the device is full.
        QuotaExceeded
            Its owner may have no more GPUs.
        """
        if wish is None:
            await self._holdings.reserve(known)
            return ()
        await self._holdings.ask_gpus(known, wish.number)
        try:
            return await self.gpus(known, replace(wish, devices=(known.device,)))
        except BaseException:
            await self._holdings.failed(known.cid)
            raise

    async def settle(self, known: Known) -> None:
        """Leave it to the engine's word, and ask for it: it may have ended in the meantime."""
        await self._holdings.settle([known.cid])
        self._engines.refresh(known.engine_id or "")


def place_text(ticket: Ticket) -> str:
    """Say where somebody stands in the queue, for people."""
    ahead = ticket.place - 1
    place = f"{ahead} before you in the queue" if ahead else "You are next"
    if (seconds := ticket.estimate) is None:
        return f"Waiting for a GPU. {place}."
    minutes = round(seconds / 60)
    return (
        f"Waiting for a GPU. {place}, about {f'{minutes} minutes' if minutes > 1 else 'a minute'}."
    )


def place_facts(ticket: Ticket) -> dict[str, Any]:
    """Say the same for programs."""
    return {"place": ticket.place, "estimate_seconds": ticket.estimate}
