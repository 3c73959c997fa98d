"""Follows the devices of the store: reaches the engine of each, and tells which are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ..devices.inventory import Found
from ..devices.ledger import DeviceLedger
from ..devices.nodes import HELD_BACK, LEFT
from ..devices.records import LOCAL_DEVICE, DeviceRecord
from ..devices.refusals import or_cancel
from ..errors import Conflict, PlatformError, Unavailable
from ..store.types import utcnow
from .docker_address import EngineAddress
from .docker_sockets import in_thread
from .engine_types import EngineContainer, EngineInfo
from .engines import Engine, Engines
from .gpu_probe import find_gpus
from .known import Known
from .mirror import Mirror
from .registry import Registry
from .statistics import Sampler

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from ..store import Store
    from .docker_driver import DockerDriver

SIGNAL = "devices"
"""Raised where a device was added, changed or removed."""

LOST_SECONDS = 8.0
"""Without a sign of life, after which what runs on a device is shown as lost."""

LOOK_SECONDS = 1.0

FIRST_TRY_SECONDS = 10.0
"""That whoever adds a device waits, so that what it has is known when it is told of."""

_log = logging.getLogger(__name__)


class Hosts:
    """Engines of other machines.

    Parameters
    ----------
    make
        Makes the driver of an address.
    begin, end
        Begin to follow an engine, and end it.
    tell
        Tells everybody how a container is now, by the engine's id.
    probe_image
        Of the container that looks for GPUs.
    """

    def __init__(
        self,
        store: Store,
        ledger: DeviceLedger,
        engines: Engines,
        registry: Registry,
        operations: Operations,
        make: Callable[[EngineAddress], DockerDriver],
        begin: Callable[[Engine], None],
        end: Callable[[Engine], Awaitable[None]],
        tell: Callable[[str], None],
        probe_image: str,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._engines = engines
        self._registry = registry
        self._operations = operations
        self._make = make
        self._begin = begin
        self._end = end
        self._tell = tell
        self._probe_image = probe_image
        self._addresses: dict[int, tuple[EngineAddress, str]] = {}
        self.missing: dict[int, str] = {}
        """By device that has no engine here, why it has none."""
        self._syncing = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to follow all devices; one that is away holds up nobody."""
        self._store.signals.on_change(SIGNAL, self._wanted.set)
        await self.sync()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch()), loop.create_task(self._follow())]

    async def stop(self) -> None:
        """Follow no more; the engines are left by who began them."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what the store says ---------------------------------------------------------------------

    async def sync(self) -> None:
        """Reach what is new, leave what is gone."""
        async with self._syncing:
            async with self._store.read() as session:
                rows = list(await session.scalars(select(DeviceRecord)))
            there = {row.did for row in rows}
            for engine in self._engines:
                if engine.did not in there and engine.did != LOCAL_DEVICE:
                    await self._leave(engine.did)
            for row in rows:
                await self._take(row)

    async def _take(self, row: DeviceRecord) -> None:
        if row.did != LOCAL_DEVICE:
            await self._reach(row)
        if row.did == LOCAL_DEVICE or row.address:
            engine = self._engines.on(row.did)
            engine.draining = row.draining_since is not None or row.node_state in HELD_BACK
            engine.node = row.node if row.node_state != LEFT else None

    async def _reach(self, row: DeviceRecord) -> None:
        if not row.address:
            # A node of a swarm, until somebody says where its engine is.
            await self._leave(row.did)
            return
        way = address_of(row), row.bind_address
        if self._addresses.get(row.did) != way:
            await self._leave(row.did)
            self._join(row.did, *way)
            self._addresses[row.did] = way

    def _join(self, did: int, address: EngineAddress, bind_address: str) -> None:
        driver = self._make(address)
        mirror = Mirror(driver)
        engine = Engine(did, driver, mirror, Sampler(driver, mirror), bind_address, lost=True)
        self._remember(engine)
        self._engines.add(engine)
        self._begin(engine)

    def _remember(self, engine: Engine) -> None:
        """Show what was there when the device was seen last, until it says more."""
        ports: dict[int, dict[str, int | None]] = {}
        for (did, port, protocol), cid in self._registry.ports.items():
            if did == engine.did:
                ports.setdefault(cid, {})[f"{port}/{protocol}"] = port
        for known in self._registry.by_cid.values():
            if known.device == engine.did and known.engine_id:
                engine.mirror.containers[known.engine_id] = EngineContainer(
                    known.engine_id,
                    known.name,
                    "lost",
                    known.image,
                    "",
                    known.created_at,
                    ports.get(known.cid, {}),
                )

    async def _leave(self, did: int) -> None:
        self._addresses.pop(did, None)
        engine = self._engines.remove(did)
        if engine is not None:
            await self._end(engine)
            await engine.driver.close()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.sync()
            except PlatformError as error:
                _log.warning("The devices could not be read: %s", error)
                self._wanted.set()
                await asyncio.sleep(LOOK_SECONDS)

    # -- health ----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for engine in self._engines:
                if engine.did == LOCAL_DEVICE or engine.lost == _lost(engine):
                    continue
                engine.lost = not engine.lost
                try:
                    await self._note(engine)
                except PlatformError as error:
                    engine.lost = not engine.lost
                    _log.warning("The state of device %s is not written: %s", engine.did, error)
                    continue
                for key in list(engine.mirror.containers):
                    if key in self._registry.by_engine:
                        self._tell(key)

    async def _note(self, engine: Engine) -> None:
        """Write down that a device is lost or reached, and let those who wait for GPUs look."""
        now = utcnow()
        values = {"lost_since": now} if engine.lost else {"lost_since": None, "reached_at": now}
        async with self._store.write() as session:
            await session.execute(
                update(DeviceRecord).where(DeviceRecord.did == engine.did).values(**values)
            )
            await self._ledger.tell(session)
        _log.warning("Device %s %s", engine.did, "is lost" if engine.lost else "is reached")

    def problem(self, did: int) -> tuple[str, datetime | None] | None:
        """Return why a device can't be reached now, and since when."""
        if did in self.missing:
            return self.missing[did], None
        for engine in self._engines:
            if engine.did == did and engine.mirror.problem is not None:
                return str(engine.mirror.problem), engine.mirror.stale_since
            if engine.did == did and engine.lost and engine.mirror.reached:
                # Its containers are shown as lost until everybody is told.
                return "It has just come back.", engine.mirror.stale_since
        return None

    def reached(self, did: int) -> datetime | None:
        """Return since when this server reaches a device; None where it never did."""
        return self._engines.on(did).mirror.fresh_since

    async def join(self, did: int) -> None:
        """Follow a device that was added, and wait for its engine's first answer."""
        await self.sync()
        await self._engines.on(did).mirror.first_try(FIRST_TRY_SECONDS)

    async def find_gpus(self, did: int) -> Sequence[Found]:
        """Look which GPUs a device has.

        Raises
        ------
        Unavailable
            Its engine does not answer.
        """
        return await find_gpus(self._engines.on(did).driver, self._probe_image)

    async def forget(self, did: int) -> None:
        """Give back all that containers of a device have claimed.

        Raises
        ------
        Conflict
            One is being made there now: who makes it would leave something behind.
        """
        here = await self._here(did)
        making = [known for known in here if known.engine_id is None]
        if making:
            alive = await self._registry.alive()
            if any(known.server in alive for known in making):
                waiting = await self.making(did)
                raise Conflict(
                    "device",
                    did,
                    "Containers are being made on the device, or wait for it. Drain it, and try "
                    f"again when they are made{or_cancel(waiting)}.",
                    details={"operations": waiting},
                )
        await self._registry.release([known.cid for known in here])

    async def making(self, did: int) -> Sequence[str]:
        """Return the operations that make containers on a device, or wait to."""
        cids = {known.cid for known in await self._here(did) if known.engine_id is None}
        return await self._operations.active_about("cid", cids) if cids else []

    async def _here(self, did: int) -> list[Known]:
        # What another server of the store has there may not be in memory yet.
        await self._registry.load()
        return [known for known in self._registry.by_cid.values() if known.device == did]

    # -- before a device is added ----------------------------------------------------------------

    async def look(self, address: EngineAddress) -> EngineInfo:
        """Ask an engine at an address what it is.

        Raises
        ------
        Unavailable
            It can't be reached; the text says why.
        """
        driver = self._make(address)
        try:
            await driver.ping()
            return await driver.info()
        finally:
            await driver.close()

    async def host_key(self, address: EngineAddress) -> tuple[str, str]:
        """Return the public key that an ssh host shows, and its fingerprint.

        Raises
        ------
        Unavailable
            Nobody answers there.
        """
        from .docker_ssh import offered_key

        try:
            return await in_thread(lambda: offered_key(address.url))
        except OSError as error:
            raise Unavailable(
                f"No ssh server answers at {address.host}: {error}.",
                "Is the address right, and port 22 open?",
            ) from error


def address_of(row: DeviceRecord) -> EngineAddress:
    """Return how a device's engine is reached."""
    folder = Path(row.certificates) if row.certificates else None
    return EngineAddress(row.address, folder, host_key=row.host_key)


def _lost(engine: Engine) -> bool:
    mirror = engine.mirror
    if mirror.stale_since is None:
        return False
    silent = (utcnow() - mirror.stale_since).total_seconds()
    # One that was never reached was never there.
    return engine.lost or (mirror.problem is not None and silent > LOST_SECONDS)
