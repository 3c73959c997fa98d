"""Everything about idle containers, put together: what the application starts and stops."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..accounts.quota_limits import QuotaLimits
from ..containers.service import ContainerService
from ..devices.watch import GpuWatch
from ..events.bus import Bus
from ..store.database import Store
from ..store.leases import ServerLease
from ..store.types import utcnow
from .clocks import Clocks
from .manager import IdleManager
from .measures import Measures
from .notices import Notices
from .settings import IdleThresholds
from .watch import IdleWatch


class IdleService:
    """Idle containers of one server.

    Parameters
    ----------
    now
        The time, which tests set.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        lease: ServerLease,
        limits: QuotaLimits,
        containers: ContainerService,
        gpus: GpuWatch,
        thresholds: IdleThresholds | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        thresholds = thresholds or IdleThresholds()
        self.watch = IdleWatch(
            store,
            limits,
            Clocks(store, lease),
            Measures(store, containers, gpus, thresholds),
            containers,
            Notices(containers, bus),
            thresholds.interval,
            now,
        )
        self.manager = IdleManager(self.watch, containers)

    def start(self) -> None:
        """Begin to look at containers."""
        self.watch.start()

    async def stop(self) -> None:
        """Look no more."""
        await self.watch.stop()
