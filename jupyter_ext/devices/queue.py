"""The queue for GPUs: one order for all servers of the store.

New requests are written down, then everything that is free is looked at: who came first gets what
fits, is written down as holding it, and only then told. Whichever server hands out does so for all
of them, and they take turns by a lock that nobody waits for; SQLite has one writer anyway.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select, update

from ..errors import Conflict, PlatformError, Unavailable
from ..store.database import Store
from ..store.leases import ServerLease
from .inventory import SIGNAL
from .ledger import DeviceLedger
from .placement import Gpu
from .records import GpuRequest
from .refusals import given_up, refusal
from .rounds import BATCH, Entered, Rounds
from .ticket import Ticket

__all__ = ["GpuQueue", "Ticket"]

ROUND_SECONDS = 5.0
"""After which a round is held although nobody said that something changed."""

DEADLINE = 30.0
"""Seconds within which a request that does not wait is answered."""

COUNT_SECONDS = 1.0
"""Between two counts of the places in the queue."""

TURN_SECONDS = 0.003
"""That a server waits, more or less, while another one hands out and somebody wants an answer."""

CALM_SECONDS = 0.05
"""The same where all of its own wait: the other one serves them, too."""

_log = logging.getLogger(__name__)


class GpuQueue:
    """Hands GPUs to who asked first."""

    def __init__(self, store: Store, lease: ServerLease, ledger: DeviceLedger) -> None:
        self._store = store
        self._lease = lease
        self._ledger = ledger
        self._new: deque[Ticket] = deque()
        self._waiting: dict[int, Ticket] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._rounding = asyncio.Lock()
        self._rounds = Rounds(store, lease, ledger)

    @property
    def seconds(self) -> Sequence[float]:
        """What the last rounds' transactions took, from BEGIN to COMMIT."""
        return self._rounds.seconds

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to hold rounds."""
        if self._task is None:
            self._store.signals.on_change(SIGNAL, self.wake)
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._counting = asyncio.get_running_loop().create_task(self._count())

    async def stop(self) -> None:
        """Hold no more; who waits is taken over by the next server."""
        tasks = [task for task in (self._task, self._counting) if task is not None]
        self._task = self._counting = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Hold a round soon: something changed."""
        self._changed.set()

    # -- asking ----------------------------------------------------------------------------------

    async def take(self, ticket: Ticket) -> tuple[Gpu, ...]:
        """Wait until a request is granted, and return its GPUs.

        Whoever gives up must free what its container has by then (`DeviceLedger.free`); nothing is
        written down for it any more once this has ended.

        Raises
        ------
        Conflict
            It can't be granted at all, or not now and it does not want to wait.
        Unavailable
            Nobody could look within a time in which one who does not wait expects an answer.
        """
        self._new.append(ticket)
        self.wake()
        try:
            async with asyncio.timeout(None if ticket.wait else DEADLINE):
                return await ticket.future
        except TimeoutError:
            raise Unavailable("GPUs can't be handed out at this moment.", "Try again.") from None
        finally:
            await self._leave(ticket)

    async def resume(self, ticket: Ticket) -> tuple[Gpu, ...]:
        """Wait in place of a server that died, for what it had asked for.

        Raises
        ------
        Conflict
            The request was given up meanwhile.
        """
        async with self._store.write() as session:
            await self._lease.guard(session)
            row = await session.execute(
                update(GpuRequest)
                .where(GpuRequest.cid == ticket.cid)
                .values(server=self._lease.id)
                .returning(GpuRequest.number)
            )
            if (number := row.scalar()) is None:
                raise given_up(ticket.cid)
            # Where it is granted already, its start is this server's from now on.
            await self._ledger.keep(session, ticket.cid, self._lease.id)
        ticket.number = number
        self._waiting[ticket.cid] = ticket
        self.wake()
        try:
            return await ticket.future
        finally:
            await self._leave(ticket)

    async def _leave(self, ticket: Ticket) -> None:
        """Wait for the end of a round that may be writing something down for a request."""
        ticket.future.cancel()
        with suppress(ValueError):
            self._new.remove(ticket)
        try:
            if self._rounding.locked():
                await asyncio.shield(self._after_round())
        finally:
            self._forget(ticket)

    def _forget(self, ticket: Ticket) -> None:
        # Somebody else may wait for the same container.
        if self._waiting.get(ticket.cid) is ticket:
            del self._waiting[ticket.cid]

    async def _after_round(self) -> None:
        async with self._rounding:
            pass

    async def asked(self, cid: int) -> bool:
        """Return whether a container stands in the queue."""
        async with self._store.read() as session:
            row = select(GpuRequest.number).where(GpuRequest.cid == cid)
            return await session.scalar(row) is not None

    async def count_places(self) -> None:
        """Note for every request of this server's how many wait before it."""
        if not self._waiting:
            return
        asked = [ticket for ticket in self._waiting.values() if ticket.number]
        async with self._store.read() as session:
            rows = await session.execute(
                select(GpuRequest.cid, GpuRequest.granted).order_by(GpuRequest.number)
            )
            granted = {cid: gids is not None for cid, gids in rows}
        order = [cid for cid, done in granted.items() if not done]
        places = {cid: place for place, cid in enumerate(order, 1)}
        for ticket in asked:
            if ticket.cid in places:
                ticket.stands(places[ticket.cid])
            elif ticket.cid not in granted and not ticket.future.done():
                # Another server took this one for dead, or somebody deleted the container.
                ticket.future.set_exception(given_up(ticket.cid))

    # -- rounds ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                while not await self._round():
                    hurry = any(not ticket.wait for ticket in self._waiting.values())
                    pause = TURN_SECONDS if hurry else CALM_SECONDS
                    await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            except Conflict:
                # Somebody started a container since it looked at what is left.
                self._changed.set()
                await asyncio.sleep(CALM_SECONDS)
            except PlatformError as error:
                _log.warning("GPUs can't be handed out now: %s", error)
                self._changed.set()
                await asyncio.sleep(1)
            except Exception:
                _log.exception("GPUs can't be handed out")
                await asyncio.sleep(ROUND_SECONDS)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            try:
                await self.count_places()
            except PlatformError as error:
                _log.debug("The places in the queue can't be counted: %s", error)

    async def _round(self) -> bool:
        """Let new requests enter, and hand out; False where another server is at that."""
        async with self._rounding:
            if new := [ticket for ticket in self._new if not ticket.future.done()]:
                self._entered(await self._rounds.enter(new[:BATCH]))
            hasty = [ticket for ticket in self._waiting.values() if not ticket.wait]
            served = await self._hand_out()
            if served is not None and hasty:
                await self._turn_away(hasty, served)
            if self._waiting:
                for cid, given in (await self._rounds.granted(self._waiting)).items():
                    self._answer(cid, given)
        if self._new:
            self.wake()
        return served is not None

    async def _hand_out(self) -> list[Gpu] | None:
        """Hand out all that can be; return what there is, None where another server is at it."""
        granted = False
        try:
            while (outcome := await self._rounds.hand_out()) is not None:
                granted = granted or bool(outcome.granted)
                for cid, chosen in outcome.granted.items():
                    self._answer(cid, chosen)
                if not outcome.more:
                    return outcome.gpus
            return None
        finally:
            if granted:
                # Not within: everybody who changes something waits for a moment to say so.
                async with self._store.write() as session:
                    await self._ledger.tell(session)

    async def _turn_away(self, hasty: Sequence[Ticket], gpus: list[Gpu]) -> None:
        """Refuse those who do not wait and got nothing in a look at all that is free."""
        left = [ticket for ticket in hasty if ticket.cid in self._waiting]
        gone = await self._rounds.withdraw(left) if left else set()
        for ticket in left:
            if ticket.cid in gone:
                self._answer(ticket.cid, refusal(ticket.wish, gpus))

    def _entered(self, entered: Entered) -> None:
        for ticket, number in entered.numbers:
            ticket.number = number
            with suppress(ValueError):
                self._new.remove(ticket)
            if not ticket.future.done():
                self._waiting[ticket.cid] = ticket
        for ticket, why in entered.refused:
            with suppress(ValueError):
                self._new.remove(ticket)
            if not ticket.future.done():
                ticket.future.set_exception(why)

    def _answer(self, cid: int, given: tuple[Gpu, ...] | Conflict) -> None:
        ticket = self._waiting.pop(cid, None)
        if ticket is None or ticket.future.done():
            return
        if isinstance(given, Conflict):
            ticket.future.set_exception(given)
        else:
            ticket.future.set_result(given)
