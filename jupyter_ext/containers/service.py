"""Everything of containers and images, put together: what the application starts and stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..accounts.quota_ledger import QuotaLedger
from ..addresses import AddressGuard
from ..errors import PlatformError, Unavailable
from ..system.schemas import Problem
from .access import Access
from .belongings import ContainerBelongings
from .contents import ContainerContents
from .creation import Creation
from .defaults import ContainerDefaults
from .directory import Directory
from .engine_watch import EngineWatch
from .image_keeper import ImageKeeper
from .images import ImageManager
from .keeper import Keeper
from .looker import Looker
from .maker import Maker
from .manager import ContainerManager
from .mirror import Mirror
from .mounts import MountPolicy, Roots
from .people import Accounts, People
from .registry import SIGNAL, Registry
from .shares import ContainerHolder
from .statistics import Sampler
from .tasks import end_soon
from .usage import ContainerUsage

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..operations.manager import Operations
    from ..store import Store
    from ..store.leases import ServerLease
    from .docker_driver import DockerDriver

FIRST_TRY_SECONDS = 2.0
"""That a start waits for the engine's first answer, so that the first page is not an empty one."""

_log = logging.getLogger(__name__)


class ContainerService:
    """Containers and images of one engine.

    Parameters
    ----------
    driver
        The engine.
    notebook_root
        The folder that Jupyter serves.
    home
        The folder of all state, which no user's container may see.
    allowed_mounts
        Folders of the host that may be used, or a function of the account; None is the default.
    guard
        Of addresses that users name; whoever made it closes it.
    quotas
        Where what containers take is counted.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        operations: Operations,
        accounts: Accounts,
        lease: ServerLease,
        driver: DockerDriver,
        *,
        notebook_root: Path,
        home: Path,
        allowed_mounts: Roots | None = None,
        defaults: ContainerDefaults | None = None,
        guard: AddressGuard | None = None,
        quotas: QuotaLedger | None = None,
    ) -> None:
        defaults = defaults or ContainerDefaults()
        self._store = store
        self._driver = driver
        self.mirror = Mirror(driver)
        self.people = People(store, accounts)
        quotas = quotas or QuotaLedger(store)
        quotas.register(ContainerHolder())
        self.registry = Registry(store, lease, quotas)
        self.image_keeper = ImageKeeper(store, bus, self.people, driver)
        self.images = ImageManager(
            self.image_keeper,
            operations,
            driver,
            self.mirror,
            defaults,
            guard or AddressGuard(),
        )
        self.directory = Directory(self.registry, self.mirror, self.people, self.image_keeper)
        self.sampler = Sampler(driver, self.mirror)
        self.mounts = MountPolicy(notebook_root, allowed_mounts, [str(home)])
        self._look = Looker()
        maker = Maker(
            self.registry, driver, self.mirror, self.people, defaults, self._home, self._look
        )
        self.keeper = Keeper(
            store,
            self.registry,
            self.mirror,
            self.directory,
            self.people,
            self.image_keeper,
            bus,
            maker.abandoned,
        )
        self.access = Access(
            self.registry,
            self.directory,
            self.keeper,
            self.people,
            driver,
            self.mirror,
            self.mounts,
            self._look,
        )
        self.creation = Creation(
            self.access,
            operations,
            self.people,
            self.registry,
            self.keeper,
            maker,
            self.images,
            driver,
            self.mirror,
            self.mounts,
            self._look,
            defaults,
        )
        self.containers = ContainerManager(
            self.access,
            self.creation,
            self.registry,
            self.keeper,
            maker,
            driver,
            self.mirror,
            defaults,
        )
        self.usage = ContainerUsage(self.access, self.registry, self.sampler, bus)
        self.watch = EngineWatch(self.mirror, bus, self.mounts)
        contents = ContainerContents(self.access, driver, defaults)
        self.belongings = ContainerBelongings(
            self.registry, self.keeper, self.images, driver, self.mirror
        )
        self.managers: list[object] = [
            self.containers,
            self.images,
            contents,
            self.usage,
            self.watch,
        ]
        self.images.container_names = self.directory.names
        self.mirror.on_change.append(self.keeper.changed)
        self.mirror.on_images.append(self.image_keeper.changed)
        self.mirror.on_engine.append(self._engine_changed)
        self._following: list[asyncio.Future[None]] = []
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    def _home(self) -> str:
        return self._store.id

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the store and begin to follow the engine; an engine that is away holds up nobody.

        Raises
        ------
        Unavailable
            The store does not answer.
        """
        await self.people.load()
        self.people.watch()
        await self.registry.load()
        await self.image_keeper.start()
        if not self._store.is_sqlite:
            self._store.signals.on_change(SIGNAL, self._reload)
        self._protect_engine()
        self._following = [
            asyncio.ensure_future(work)
            for work in (self.mirror.run(), self.sampler.run(), self.usage.run())
        ]
        await self.mirror.first_try(FIRST_TRY_SECONDS)

    async def stop(self) -> None:
        """Let go of the engine; what runs on it runs on."""
        self._stopped = True
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await end_soon(*self._tasks, *self.access.working)
        await self.keeper.stop()
        await self.image_keeper.stop()
        await self.people.stop()
        self._look.close()
        await self._driver.close()

    def probe(self) -> tuple[str, Problem | None]:
        """The engine's state, from memory."""
        return self.watch.probe()

    async def awaits(self, username: str) -> bool:
        """Whether an account of this name would be given a folder that is there already.

        Raises
        ------
        Unavailable
            The file system does not answer.
        """
        return await self._look(self.mounts.awaits, username)

    # -- inside ----------------------------------------------------------------------------------

    def _engine_changed(self, problem: Unavailable | None) -> None:
        if problem is None:
            self._spawn(self._listed())

    async def _listed(self) -> None:
        try:
            await self.keeper.listed()
        except PlatformError as error:
            _log.warning("Containers could not be compared with the store: %s", error)

    def _reload(self) -> None:
        """Another server of the store changed something."""
        # The store goes on telling until it is closed.
        if not self._stopped:
            self._spawn(self._loaded())

    async def _loaded(self) -> None:
        try:
            await self.registry.load()
        except PlatformError as error:
            _log.warning("Containers could not be read again: %s", error)
        self.directory.unsorted()

    def _protect_engine(self) -> None:
        try:
            address = self._driver.link.address
        except PlatformError:
            # An address that can't be understood is said by the first call.
            return
        if address.local:
            self.mounts.protect(address.path)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
