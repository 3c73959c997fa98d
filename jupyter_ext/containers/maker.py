"""Makes containers: claims first, then the engine, and nothing is left behind where it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ..accounts.schemas import Account
from ..devices.placement import Gpu, Wish
from ..errors import Conflict, Forbidden, NotFound, PlatformError, Unavailable
from ..store import utcnow
from .connection import PASSWORD_VARIABLE
from .defaults import ContainerDefaults
from .docker_networks import overlay_name
from .engine_types import ContainerSpec, EngineContainer, EnginePort
from .image_types import EngineImage
from .known import Known, port_taken
from .looker import Looker
from .marks import HOME, Mark
from .mounted import Witness, mounted_elsewhere
from .mounts import Grant
from .people import People
from .ports import Ports
from .references import engine_name
from .registry import Registry
from .replies import Step
from .schemas import NewContainer
from .shares import limits_of
from .tasks import end_soon
from .views import moment

if TYPE_CHECKING:
    from .engines import Engine, Engines

T = TypeVar("T")

ABANDONED_SECONDS = 30.0
"""After which the driver has removed what an engine made that had not answered in time."""

_log = logging.getLogger(__name__)


@dataclass
class Draft:
    """A container that is claimed and not made yet.

    Parameters
    ----------
    image
        What the engine is asked for: a name with its tag or digest, or an id.
    before
        How the ways to its folders were just before the start.
    password
        That lets its owner in.
    wanted
        The image, where a device had it when it was asked for.
    wish
        The GPUs that it waits for, and the devices that will do.
    placed
        Whether its device is known, so that its ports are claimed there.
    """

    owner: Account
    body: NewContainer
    known: Known
    ports: Ports
    grant: Grant
    image: str
    gpus: tuple[Gpu, ...] = ()
    steps: list[Step] = field(default_factory=list)
    before: Witness | None = None
    password: str | None = None
    wanted: EngineImage | None = None
    wish: Wish | None = None
    placed: bool = True

    async def step(self, name: str, work: Awaitable[T]) -> T:
        """Do a part, and write down when it began and how long it took."""
        began, at = time.monotonic(), utcnow()
        result = await work
        self.steps.append(
            {"step": name, "at": moment(at), "seconds": round(time.monotonic() - began, 4)}
        )
        return result


class Maker:
    """Makes and starts what was claimed.

    Parameters
    ----------
    home
        The store's id, written to each container.
    """

    def __init__(
        self,
        registry: Registry,
        engines: Engines,
        people: People,
        defaults: ContainerDefaults,
        home: Callable[[], str],
        look: Looker,
    ) -> None:
        self._registry = registry
        self._engines = engines
        self._people = people
        self._defaults = defaults
        self._home = home
        self._look = look
        self._networks: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._later: set[asyncio.Task[None]] = set()
        self.abandoned: set[int] = set()
        """Numbers of containers whose making nobody knows the end of; nobody adopts them."""

    async def make(
        self,
        draft: Draft,
        visible: Callable[[Account, str], bool],
        look: Callable[[Draft], Awaitable[None]],
        again: Callable[[BaseException], bool] = lambda error: False,
    ) -> EngineContainer:
        """Make, start, and verify a container; give its claims back where that fails.

        Parameters
        ----------
        visible
            Whether the owner may see an image, asked again of the one that the engine took.
        look
            Looks once more at its folders, and refuses what is not allowed any more.
        again
            Whether somebody tries once more, or another server goes on with it, after the engine or
            a cancellation ended it so: its claims stay. Asked of nothing that was made already,
            but for a cancellation.
        """
        cid = draft.known.cid
        try:
            made = await draft.step("start", self._run(draft, look))
        except (Unavailable, asyncio.CancelledError) as error:
            # Nobody knows whether the engine still makes it; the driver removes what comes of it.
            self.abandoned.add(cid)
            if not again(error):
                await self.abandon(draft)
            raise
        except BaseException as error:
            if again(error):
                raise
            await self._registry.handover.give_up(draft.known)
            if isinstance(error, Conflict) and error.kind == "port":
                raise port_taken(error.name) from None
            raise
        try:
            if not visible(draft.owner, made.image_id):
                raise NotFound("image", draft.body.image)
            await self._registry.handover.bind(draft.known, made.id)
            self.abandoned.discard(cid)
            self._engines.put(made)
            await self.verify(made, draft.before)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and again(error):
                raise
            await self._undo(draft.known, made.id)
            raise
        return made

    async def stop(self) -> None:
        """Give back later nothing any more: the next start does."""
        await end_soon(*self._later)

    async def abandon(self, draft: Draft) -> None:
        """Give its claims back; GPUs not before what the engine may still make of it is removed."""
        if not draft.gpus:
            await self._registry.handover.give_up(draft.known)
            return

        async def later() -> None:
            while True:
                await asyncio.sleep(ABANDONED_SECONDS)
                try:
                    await self._registry.handover.give_up(draft.known)
                except PlatformError as error:
                    _log.warning("What %s has claimed is kept: %s", draft.known.name, error)
                else:
                    return

        task = asyncio.get_running_loop().create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _run(self, draft: Draft, look: Callable[[Draft], Awaitable[None]]) -> EngineContainer:
        engine = self._engines.on(draft.known.device)
        wanted = self._defaults.network_of(draft.owner, owner=draft.owner.id == self._people.owner)
        network = await self._network(engine, wanted) if wanted else None
        spec = self._spec(draft, engine.bind_address, network)
        # Last, since much may have happened to them while an image was pulled.
        await look(draft)
        try:
            return await engine.driver.run(spec)
        except NotFound as error:
            if error.kind != "network" or wanted is None:
                raise
            # Somebody removed it since; it is made again.
            for key in [key for key in self._networks if key[1] == network]:
                del self._networks[key]
            await self._network(engine, wanted)
            return await engine.driver.run(spec)

    async def _network(self, engine: Engine, name: str) -> str:
        """Make a network once, whoever asks, and return its name; one that is there is good.

        A swarm's is made by its manager, and reaches over all nodes.
        """
        overlay = self._defaults.overlay and self._engines.in_swarm(engine)
        if overlay:
            engine, name = self._engines.local, overlay_name(name)
        task = self._networks.get((engine.did, name))
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            encrypted = self._defaults.overlay_encrypted
            task = asyncio.ensure_future(
                engine.driver.ensure_overlay(name, encrypted=encrypted)
                if overlay
                else engine.driver.ensure_network(name)
            )
            self._networks[engine.did, name] = task
        await asyncio.shield(task)
        return name

    def _spec(self, draft: Draft, address: str, network: str | None) -> ContainerSpec:
        body, known, defaults = draft.body, draft.known, self._defaults
        cpu, memory = limits_of(body, defaults)
        folders = any(mount.kind == "bind" for mount in draft.grant.mounts)
        hardened = folders and not draft.owner.is_admin
        uuids = tuple(gpu.uuid for gpu in draft.gpus)
        return ContainerSpec(
            name=engine_name(draft.owner.username, known.name),
            image=draft.image,
            command=tuple(body.command) if body.command else None,
            environment={
                **defaults.environment_of(draft.owner),
                **body.environment,
                # Last, so that nothing asks a GPU runtime for what was not granted.
                "NVIDIA_VISIBLE_DEVICES": ",".join(uuids) or "void",
                **({PASSWORD_VARIABLE: draft.password} if draft.password else {}),
            },
            ports={key: EnginePort(port, address) for key, port in draft.ports.items()},
            mounts=draft.grant.mounts,
            tmpfs=draft.grant.tmpfs,
            labels=Mark(draft.owner.username, known.name, known.cid, self._home()).labels(),
            cpu=cpu or None,
            memory=memory or None,
            pids_limit=defaults.pids_limit or None,
            gpus=uuids,
            shm_size=defaults.gpu_shm_size if uuids else None,
            # The engine would start it again without asking who has the GPU by then.
            restart_policy="no" if uuids else body.restart_policy or defaults.restart_policy,
            user=draft.grant.user,
            network=network,
            security_options=("no-new-privileges",) if hardened else (),
            init=defaults.init,
            log_max_size=defaults.log_max_size,
            log_max_files=defaults.log_max_files,
        )

    async def verify(self, started: EngineContainer, before: Witness | None) -> None:
        """See that a container that just started has the folders that were allowed.

        Parameters
        ----------
        before
            What was seen before its start, for one that has ended by now.

        Raises
        ------
        Forbidden
            One was swapped between the look at it and the start, or that can't be ruled out; the
            container is killed.
        """
        folders = [mount for mount in started.mounts if mount.kind == "bind"]
        # What the plain docker command made is its maker's affair, links in its paths included.
        if not folders or HOME not in started.labels:
            return
        if not self._engines.driver(started.id).local:
            return
        pid = started.detail.pid if started.detail else 0
        known = self._registry.by_engine.get(started.id)
        owner = await self._people.account(known.owner) if known else None
        trusted = owner is not None and owner.is_admin
        compare = partial(mounted_elsewhere, before=before, trusted=trusted)
        target = await self._look(compare, folders, pid)
        if target is not None:
            with suppress(PlatformError):
                await self._engines.driver(started.id).kill(started.id)
            _log.warning(
                "The container %s was ended: its folder for %s may have been swapped",
                started.name,
                target,
            )
            raise Forbidden(
                f"The folder for {target} was replaced while the container started, or that can't "
                "be ruled out; it was killed. Try again while nothing beside the folder changes."
            )

    async def _undo(self, known: Known, engine_id: str) -> None:
        """Remove what could not be started; the claims stay with it where it can't be removed."""
        try:
            await self._engines.driver(engine_id).remove(engine_id, force=True, volumes=True)
        except NotFound:
            pass
        except PlatformError as error:
            _log.warning("The container %s is left behind: %s", engine_id[:12], error)
            self._registry.making.discard(known.cid)
            return
        self._engines.drop(engine_id)
        await self._registry.handover.give_up(known, engine_id)
