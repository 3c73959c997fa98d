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
from ..errors import Conflict, Forbidden, NotFound, PlatformError, Unavailable
from ..store import utcnow
from .defaults import ContainerDefaults
from .engine_types import ContainerSpec, EngineContainer, EnginePort
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
from .views import moment

if TYPE_CHECKING:
    from .docker_driver import DockerDriver
    from .mirror import Mirror

T = TypeVar("T")

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
    """

    owner: Account
    body: NewContainer
    known: Known
    ports: Ports
    grant: Grant
    image: str
    steps: list[Step] = field(default_factory=list)
    before: Witness | None = None

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
        driver: DockerDriver,
        mirror: Mirror,
        people: People,
        defaults: ContainerDefaults,
        home: Callable[[], str],
        look: Looker,
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._mirror = mirror
        self._people = people
        self._defaults = defaults
        self._home = home
        self._look = look
        self._networks: dict[str, asyncio.Task[None]] = {}
        self.abandoned: set[int] = set()
        """Numbers of containers whose making nobody knows the end of; nobody adopts them."""

    async def make(
        self,
        draft: Draft,
        visible: Callable[[Account, str], bool],
        look: Callable[[Draft], Awaitable[None]],
    ) -> EngineContainer:
        """Make, start, and verify a container; give its claims back where that fails.

        Parameters
        ----------
        visible
            Whether the owner may see an image, asked again of the one that the engine took.
        look
            Looks once more at its folders, and refuses what is not allowed any more.
        """
        cid = draft.known.cid
        try:
            made = await draft.step("start", self._run(draft, look))
        except Unavailable:
            # Nobody knows whether the engine still makes it; the driver removes what comes of it.
            self.abandoned.add(cid)
            await self._registry.release([cid])
            raise
        except BaseException as error:
            await self._registry.release([cid])
            if isinstance(error, Conflict) and error.kind == "port":
                raise port_taken(error.name) from None
            raise
        try:
            if not visible(draft.owner, made.image_id):
                raise NotFound("image", draft.body.image)
            await self._registry.bind(cid, made.id)
            self._mirror.put(made)
            await self.verify(made, draft.before)
        except BaseException:
            await self._undo(cid, made.id)
            raise
        return made

    async def _run(self, draft: Draft, look: Callable[[Draft], Awaitable[None]]) -> EngineContainer:
        network = self._defaults.network_of(draft.owner, owner=draft.owner.id == self._people.owner)
        if network:
            await self._network(network)
        spec = self._spec(draft, network)
        # Last, since much may have happened to them while an image was pulled.
        await look(draft)
        try:
            return await self._driver.run(spec)
        except NotFound as error:
            if error.kind != "network" or network is None:
                raise
            # Somebody removed it since; it is made again.
            self._networks.pop(network, None)
            await self._network(network)
            return await self._driver.run(spec)

    async def _network(self, name: str) -> None:
        """Make a network once, whoever asks; one that is there already is good."""
        task = self._networks.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(self._driver.ensure_network(name))
            self._networks[name] = task
        await asyncio.shield(task)

    def _spec(self, draft: Draft, network: str | None) -> ContainerSpec:
        body, known, defaults = draft.body, draft.known, self._defaults
        cpu, memory = limits_of(body, defaults)
        hardened = bool(draft.grant.mounts) and not draft.owner.is_admin
        return ContainerSpec(
            name=engine_name(draft.owner.username, known.name),
            image=draft.image,
            command=tuple(body.command) if body.command else None,
            environment={
                **defaults.environment_of(draft.owner),
                **body.environment,
                # Last, so that nothing asks a GPU runtime for what was not granted.
                "NVIDIA_VISIBLE_DEVICES": "void",
            },
            ports={
                key: EnginePort(port, defaults.bind_address) for key, port in draft.ports.items()
            },
            mounts=draft.grant.mounts,
            labels=Mark(draft.owner.username, known.name, known.cid, self._home()).labels(),
            cpu=cpu or None,
            memory=memory or None,
            pids_limit=defaults.pids_limit or None,
            restart_policy=body.restart_policy or defaults.restart_policy,
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
        if not folders or not self._driver.local or HOME not in started.labels:
            return
        pid = started.detail.pid if started.detail else 0
        known = self._registry.by_engine.get(started.id)
        owner = await self._people.account(known.owner) if known else None
        trusted = owner is not None and owner.is_admin
        compare = partial(mounted_elsewhere, before=before, trusted=trusted)
        target = await self._look(compare, folders, pid)
        if target is not None:
            with suppress(PlatformError):
                await self._driver.kill(started.id)
            _log.warning(
                "The container %s was ended: its folder for %s may have been swapped",
                started.name,
                target,
            )
            raise Forbidden(
                f"The folder for {target} was replaced while the container started, or that can't "
                "be ruled out; it was killed. Try again while nothing beside the folder changes."
            )

    async def _undo(self, cid: int, engine_id: str) -> None:
        """Remove what could not be started; the claims stay with it where it can't be removed."""
        try:
            await self._driver.remove(engine_id, force=True, volumes=True)
        except NotFound:
            pass
        except PlatformError as error:
            _log.warning("The container %s is left behind: %s", engine_id[:12], error)
            self._registry.making.discard(cid)
            return
        self._mirror.drop(engine_id)
        await self._registry.release([cid])
