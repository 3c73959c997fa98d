"""Everything of containers and images, put together: what the application starts and stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..accounts.quota_ledger import QuotaLedger
from ..addresses import AddressGuard
from ..devices.host import cpu_name
from ..devices.ledger import DeviceLedger
from ..devices.queue import GpuQueue
from ..devices.records import LOCAL_DEVICE
from ..devices.threads import in_a_thread
from ..errors import PlatformError, Unavailable
from ..system.schemas import Problem
from .access import Access
from .belongings import ContainerBelongings
from .building import ImageBuilder
from .connections import ContainerConnections
from .contents import ContainerContents
from .creation import Creation
from .defaults import ContainerDefaults
from .directory import Directory
from .doors import Doors
from .engine_types import Sample
from .engine_watch import EngineWatch
from .engines import Engine, Engines
from .exchanging import Exchanger
from .hosts import Hosts
from .image_keeper import ImageKeeper
from .image_sharing import ImageSharing
from .images import ImageManager
from .keeper import Keeper
from .looker import Looker
from .maker import Maker
from .manager import ContainerManager
from .matrix import MatrixContainers
from .mirror import Mirror
from .mounts import MountPolicy, Roots
from .people import Accounts, People
from .placing import Placer
from .preparing import Preparer
from .provision import Provisioner
from .refitting import Refitter
from .registry import SIGNAL, Registry
from .saving import ImageSaver
from .shares import ContainerHolder
from .squash import ImageWriter
from .starting import Starter
from .statistics import Sampler
from .swarm import Swarm
from .tasks import end_soon
from .usage import ContainerUsage

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..operations.manager import Operations
    from ..store import Store
    from ..store.leases import ServerLease
    from .docker_address import EngineAddress
    from .docker_driver import DockerDriver

FIRST_TRY_SECONDS = 2.0
"""That a start waits for the engine's first answer, so that the first page is not an empty one."""

HEAL_SECONDS = 30.0
"""Between two looks for what other servers of the store left behind."""

_log = logging.getLogger(__name__)


class ContainerService:
    """Containers and images of all devices.

    Parameters
    ----------
    driver
        The machine's own engine.
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
    make_driver
        Makes what drives the engine of another device; by default as `driver` is.
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
        make_driver: Callable[[EngineAddress], DockerDriver] | None = None,
    ) -> None:
        self.defaults = defaults = defaults or ContainerDefaults()
        self._store = store
        self.people = People(store, accounts)
        quotas = quotas or QuotaLedger(store)
        quotas.register(ContainerHolder())
        self.devices = DeviceLedger(store)
        self.queue = GpuQueue(store, lease, self.devices)
        self.registry = Registry(store, lease, quotas, self.devices)
        self.mirror = Mirror(driver)
        self.sampler = Sampler(driver, self.mirror)
        local = Engine(LOCAL_DEVICE, driver, self.mirror, self.sampler, defaults.bind_address)
        self.engines = engines = Engines(self.registry, local)
        self.image_keeper = ImageKeeper(store, bus, self.people, engines)
        self.image_keeper.index.shared = bool(defaults.registry)
        self.images = ImageManager(
            self.image_keeper,
            operations,
            engines,
            defaults,
            guard or AddressGuard(),
        )
        self.directory = Directory(self.registry, engines, self.people, self.image_keeper)
        self.mounts = MountPolicy(notebook_root, allowed_mounts, [str(home)])
        self._look = Looker()
        self._maker = maker = Maker(
            self.registry, engines, self.people, defaults, self._home, self._look
        )
        self.keeper = Keeper(
            store,
            self.registry,
            engines,
            self.directory,
            self.people,
            self.image_keeper,
            bus,
            maker.abandoned,
        )
        starter = Starter(self.registry, engines, self.queue)
        self.access = Access(
            self.registry,
            self.directory,
            self.keeper,
            self.people,
            engines,
            self.mounts,
            self._look,
        )
        self.doors = Doors(self.access, self.registry, engines, store)
        self.creation = Creation(
            self.access,
            operations,
            self.people,
            self.registry,
            self.keeper,
            maker,
            starter,
            store.secrets,
            self.images,
            Preparer(
                self.registry,
                starter,
                self.images,
                Placer(store, engines, self.image_keeper.index),
                Provisioner(engines, self.image_keeper, defaults.registry),
                store.secrets,
                defaults,
            ),
            engines,
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
            starter,
            engines,
            defaults,
        )
        self.usage = ContainerUsage(self.access, self.registry, engines, bus)
        self.watch = EngineWatch(self.mirror, bus, self.mounts)
        self.contents = ContainerContents(self.access, engines, defaults)
        self.belongings = ContainerBelongings(self.registry, self.keeper, self.images, engines)
        writer = ImageWriter(engines, defaults, store.secrets)
        self.saver = saver = ImageSaver(self.access, operations, self.image_keeper, writer)
        refitter = Refitter(
            self.access,
            operations,
            self.registry,
            self.keeper,
            maker,
            starter,
            engines,
            defaults,
            writer,
        )
        self.exchanger = Exchanger(
            self.access,
            self.registry,
            self.keeper,
            maker,
            starter,
            engines,
            defaults.stop_timeout,
        )
        connections = ContainerConnections(self.containers, self.registry, store.secrets, engines)
        matrix = MatrixContainers(
            self.containers,
            self.images,
            saver,
            self.registry,
            self.devices,
            store,
            engines,
            refitter,
            connections,
        )
        self.managers: list[object] = [
            self.containers,
            connections,
            saver,
            matrix,
            self.images,
            ImageSharing(store, self.image_keeper),
            ImageBuilder(operations, self.images, self.image_keeper, driver, defaults),
            self.contents,
            self.usage,
            self.watch,
        ]
        self.images.container_names = self.directory.names
        self._listeners: list[Callable[[list[Sample]], None]] = []
        self._attach(local)
        self.hosts = Hosts(
            store,
            self.devices,
            engines,
            self.registry,
            operations,
            make_driver or (lambda address: type(driver)().at(address)),
            self._begin,
            self._leave,
            self.keeper.tell,
            defaults.probe_image,
        )
        self.swarm = Swarm(store, self.devices, engines, self.hosts, defaults)
        self._following: dict[int, list[asyncio.Future[None]]] = {}
        self._chores: list[asyncio.Future[None]] = []
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
        await self.registry.holdings.reconcile()
        self.queue.start()
        self._protect_engine()
        self._chores = [asyncio.ensure_future(work) for work in (self.usage.run(), self._heal())]
        self._follow(self.engines.local)
        await self.hosts.start()
        self.swarm.start()
        await self.mirror.first_try(FIRST_TRY_SECONDS)

    async def stop(self) -> None:
        """Let go of the engine; what runs on it runs on."""
        self._stopped = True
        await self.swarm.stop()
        await self.hosts.stop()
        for engine in self.engines:
            await self._leave(engine)
        await _cancel(self._chores)
        await end_soon(*self._tasks, *self.access.working)
        await self.queue.stop()
        await self._maker.stop()
        await self.keeper.stop()
        await self.image_keeper.stop()
        await self.people.stop()
        self._look.close()
        for engine in self.engines:
            await engine.driver.close()

    @property
    def local(self) -> bool:
        """Whether device 1 is this machine's engine."""
        try:
            return self.engines.local.driver.local
        except PlatformError:
            # An address that can't be understood is said by the first call.
            return False

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

    def hear(self, listener: Callable[[list[Sample]], None]) -> None:
        """Call `listener` with all that is measured, on every device."""
        self._listeners.append(listener)
        for engine in self.engines:
            engine.sampler.on_samples.append(listener)

    def _attach(self, engine: Engine) -> None:
        """Have everybody hear of what happens at an engine."""
        engine.sampler.on_samples.extend(self._listeners)
        engine.mirror.on_change.append(self.keeper.changed)
        engine.mirror.on_images.append(self.image_keeper.changed)
        engine.mirror.on_engine.append(partial(self._engine_changed, engine))
        self.usage.follow(engine)

    def _begin(self, engine: Engine) -> None:
        self._attach(engine)
        self._follow(engine)
        self.directory.unsorted()

    def _follow(self, engine: Engine) -> None:
        self._following[engine.did] = [
            asyncio.ensure_future(work) for work in (engine.mirror.run(), engine.sampler.run())
        ]

    async def _leave(self, engine: Engine) -> None:
        await _cancel(self._following.pop(engine.did, []))

    def _engine_changed(self, engine: Engine, problem: Unavailable | None) -> None:
        if problem is None:
            self._spawn(self._listed(engine))

    async def _listed(self, engine: Engine) -> None:
        for work in (self._measure_device, self.keeper.listed):
            try:
                await work(engine)
            except PlatformError as error:
                _log.warning("Containers could not be compared with the store: %s", error)

    async def _measure_device(self, engine: Engine) -> None:
        info = await self.access.engine_info(engine.did)
        name = await in_a_thread(cpu_name, "cpu name") if engine.driver.local else ""
        alone = await self.registry.holdings.set_device(
            engine.did, info.cpus * 1000, info.memory, name, info.id
        )
        if not alone:
            _log.warning(
                "Device %s has an engine that another device has, too: remove one of them",
                engine.did,
            )

    async def _heal(self) -> None:
        """Look now and then for what another server was doing when it died."""
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            for engine in self.engines:
                if engine.mirror.reached and engine.mirror.fresh:
                    await self._listed(engine)

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
            address = self.engines.local.driver.link.address
        except PlatformError:
            # An address that can't be understood is said by the first call.
            return
        if address.local:
            self.mounts.protect(address.path)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
