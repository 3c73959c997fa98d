"""What running containers take of their device: written through to the store, kept in memory.

A server that starts a container holds its part under its own name; once the container runs, what
the engine says decides when it is given back.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..devices.ledger import DeviceLedger, Taken
from ..store.leases import ServerLease
from .claims import Claims
from .known import Known

if TYPE_CHECKING:
    from .registry import Registry

GIVEN_BACK = "-"
"""In place of a server: it takes nothing of its device any more."""


class Holdings:
    """Who takes something of the device.

    Attributes
    ----------
    reading
        While everything is read again: what was changed meanwhile, which counts more.
    """

    def __init__(
        self, registry: Registry, lease: ServerLease, claims: Claims, devices: DeviceLedger
    ) -> None:
        self._registry = registry
        self._lease = lease
        self._claims = claims
        self._devices = devices
        self._servers: dict[int, str | None] = {}
        self._settled: dict[int, float] = {}
        self.reading: dict[int, str | None] | None = None

    # -- in memory -------------------------------------------------------------------------------

    def differs(self, cid: int, running: bool, read_at: float) -> bool:
        """Whether a container runs and nothing is counted, or the other way round.

        Parameters
        ----------
        read_at
            When the engine was asked, on the monotonic clock: what it said before the last start
            says nothing of it.
        """
        if cid in self._registry.making or self._servers.get(cid) is not None:
            # It is being started at this moment.
            return False
        if read_at < self._settled.get(cid, 0.0):
            return False
        return running != (cid in self._servers)

    def read(self, found: Mapping[int, str | None]) -> None:
        """Take what the store says."""
        self._servers = {cid: server for cid, server in found.items() if server != GIVEN_BACK}

    def hold(self, cids: Collection[int], server: str | None) -> None:
        """Note that containers take something; `server` is starting them."""
        self._servers |= dict.fromkeys(cids, server)
        if self.reading is not None:
            self.reading |= dict.fromkeys(cids, server)

    def give_back(self, cids: Collection[int]) -> None:
        """Note that containers take nothing any more."""
        for cid in cids:
            self._servers.pop(cid, None)
            self._settled.pop(cid, None)
        if self.reading is not None:
            self.reading |= dict.fromkeys(cids, GIVEN_BACK)

    # -- written down ----------------------------------------------------------------------------

    async def set_device(
        self, did: int, cpu: int, memory: int, cpu_name: str, engine: str = ""
    ) -> bool:
        """Write down what a device has, in thousandths of a processor and bytes.

        Parameters
        ----------
        engine
            Its engine's own id.

        Returns
        -------
        bool
            Whether no other device has that engine.
        """
        async with self._registry.changing() as session:
            await self._devices.set_device(session, did, cpu, memory, cpu_name)
            return await self._devices.set_engine(session, did, engine)

    async def reconcile(self) -> None:
        """Set the device's sums to what is written down one by one."""
        async with self._registry.changing() as session:
            await self._devices.reconcile(session)

    async def reserve(self, known: Known) -> None:
        """Take the device's processors and memory for a container that is about to start.

        Raises
        ------
        Conflict
            The device has not enough left.
        """
        async with self._registry.changing() as session:
            await self._devices.reserve(session, _taken(known, self._lease.id))
        self._begin(known.cid)

    async def ask_gpus(self, known: Known, count: int) -> None:
        """Count the GPUs that a stopped container is about to ask the queue for.

        Raises
        ------
        QuotaExceeded, Conflict
            As the claims say.
        """
        async with self._registry.changing() as session:
            await self._claims.ask_gpus(session, known, count, self._lease.id)
        self._registry.making.add(known.cid)

    async def keep(self, known: Known) -> bool:
        """Hold on to what a container takes, or took a moment ago, while it is started again."""
        async with self._registry.changing() as session:
            kept = await self._devices.keep(session, known.cid, self._lease.id)
        if kept:
            self._begin(known.cid)
        return kept

    async def settle(self, cids: Collection[int]) -> None:
        """They run, or ran: what the engine says from now on decides what they take.

        Also where the store can't be told: what this server holds it may give back at any time.
        """
        try:
            async with self._registry.changing() as session:
                await self._claims.settle(session, cids)
        finally:
            self.settled(cids)

    def settled(self, cids: Collection[int]) -> None:
        """Note that containers have been started."""
        self._registry.making.difference_update(cids)
        self._settled |= dict.fromkeys(cids, time.monotonic())
        self.hold(cids, None)

    async def running(self, cids: Collection[int]) -> list[Known]:
        """Count containers that run and that no server started; as `Claims.running`."""
        known = [self._registry.by_cid[cid] for cid in cids if cid in self._registry.by_cid]
        async with self._registry.changing() as session:
            trespassing = await self._claims.running(session, known)
        self.hold({each.cid for each in known} - {each.cid for each in trespassing}, None)
        return trespassing

    async def stopped(self, cids: Collection[int]) -> None:
        """Give back what containers took that have ended."""
        async with self._registry.changing() as session:
            ended = await self._claims.stopped(session, cids, self._lease.id)
        self.give_back(ended)

    async def failed(self, cid: int) -> None:
        """Give back what was taken for a start that came to nothing."""
        self.settled([cid])
        await self.stopped([cid])

    async def heal(self) -> None:
        """Leave to the engine's word what a server was starting when it died."""
        alive = await self._registry.alive()
        async with self._registry.changing() as session:
            dead = await self._claims.dead_starts(session, alive)
        if dead:
            await self.settle(dead)

    def _begin(self, cid: int) -> None:
        self._registry.making.add(cid)
        self.hold([cid], self._lease.id)


def _taken(known: Known, server: str | None) -> Taken:
    return Taken(known.cid, known.device, known.share.cpu, known.share.memory, server)
