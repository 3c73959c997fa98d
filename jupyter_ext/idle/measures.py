"""Whether a container was used: its processors, network, GPUs, terminals and kernels together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select

from ..containers.connection import JUPYTER
from ..containers.engine_types import EngineContainer
from ..containers.known import Known
from ..containers.service import ContainerService
from ..devices.records import GpuRecord
from ..devices.watch import GpuWatch
from ..errors import PlatformError
from ..store.database import Store
from ..store.types import utcnow
from .kernels import Kernels, KernelUse
from .meter import Meter
from .rules import Use
from .settings import IdleThresholds

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


class Measures:
    """What is known of the use of containers.

    Parameters
    ----------
    gpus
        Has read the GPUs of this machine; those of other machines are not known.
    """

    def __init__(
        self,
        store: Store,
        containers: ContainerService,
        gpus: GpuWatch,
        thresholds: IdleThresholds,
    ) -> None:
        self._store = store
        self._containers = containers
        self._gpus = gpus
        self._thresholds = thresholds
        self._meter = Meter()
        self._kernels = Kernels()
        self._uuids: Mapping[int, str] = {}
        self._told: dict[str, datetime] = {}
        self._ended: Collection[str] = ()
        containers.hear(self._meter.add)

    async def close(self) -> None:
        """Close what is open."""
        await self._kernels.close()

    async def begin(self, gids: Collection[int]) -> None:
        """Prepare a look at containers that have these GPUs."""
        self._ended = self._containers.contents.sessions.take_ended()
        if not set(gids) <= self._uuids.keys():
            async with self._store.read() as session:
                rows = await session.execute(select(GpuRecord.gid, GpuRecord.uuid))
                self._uuids = {gid: uuid for gid, uuid in rows}

    def use(self, known: Known, engine: EngineContainer) -> Use:
        """Return whether a container was used since this last told.

        One thing above its threshold is use, whatever is not known of the others.
        """
        since = self._told.setdefault(engine.id, utcnow())
        found = [self._terminals(engine), self._machine(engine)]
        found += [self._gpu(gid, since) for gid in known.gpus]
        if Use.BUSY not in found and Use.UNKNOWN in found:
            return Use.UNKNOWN
        self._told[engine.id] = utcnow()
        self._meter.forget(engine.id)
        return Use.BUSY if Use.BUSY in found else Use.QUIET

    def keep_only(self, engine_ids: Collection[str]) -> None:
        """Forget all others, which have ended."""
        self._told = {key: at for key, at in self._told.items() if key in engine_ids}

    def has_terminal(self, engine: EngineContainer) -> bool:
        """Whether somebody has a terminal in it now."""
        return self._containers.contents.sessions.has(engine.id)

    async def kernels(self, known: Known, engine: EngineContainer) -> KernelUse | None:
        """Ask the container's JupyterLab, where it is on this machine and its token is known."""
        port = engine.ports.get(JUPYTER)
        if not port or known.password is None or engine.status != "running":
            return None
        host = self._containers.engines.of(engine.id)
        if not host.driver.local:
            # The token would go over the network as it is.
            return None
        try:
            token = self._store.secrets.decrypt(known.password)
        except PlatformError:
            return None
        address = host.bind_address
        return await self._kernels.use(EVERYWHERE.get(address, address), port, token)

    # -- inside ----------------------------------------------------------------------------------

    def _terminals(self, engine: EngineContainer) -> Use:
        used = engine.id in self._ended or self.has_terminal(engine)
        return Use.BUSY if used else Use.QUIET

    def _machine(self, engine: EngineContainer) -> Use:
        measured = self._meter.mean(engine.id)
        if measured is None:
            return Use.UNKNOWN
        if measured.cpu >= self._thresholds.cpu or measured.network >= self._thresholds.network:
            return Use.BUSY
        # What goes over the machine's own network is nobody's.
        return Use.UNKNOWN if "host" in engine.networks else Use.QUIET

    def _gpu(self, gid: int, since: datetime) -> Use:
        past = self._gpus.past(self._uuids.get(gid, ""))
        rates = [each.reading.utilization for each in past if each.at > since]
        if any(rate is not None and rate >= self._thresholds.gpu for rate in rates):
            return Use.BUSY
        return Use.UNKNOWN if not rates or None in rates else Use.QUIET
