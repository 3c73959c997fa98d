"""The way of a new container: checked, claimed, its image pulled where it is missing, made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..errors import InvalidRequest, NotFound, Unavailable
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, Recovered
from . import views
from .access import Access
from .defaults import ContainerDefaults
from .engine_types import EngineContainer
from .images import ImageManager
from .keeper import Keeper
from .known import Known
from .looker import Looker
from .maker import Draft, Maker
from .mounts import Grant, MountPolicy
from .people import People
from .ports import Ports
from .references import parse_reference
from .registry import Registry
from .schemas import NewContainer
from .shares import limits_of, share_of_limits
from .views import Container

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from .docker_driver import DockerDriver
    from .mirror import Mirror

CREATE = "container.create"


class Creation:
    """Makes containers for callers."""

    def __init__(
        self,
        access: Access,
        operations: Operations,
        people: People,
        registry: Registry,
        keeper: Keeper,
        maker: Maker,
        images: ImageManager,
        driver: DockerDriver,
        mirror: Mirror,
        mounts: MountPolicy,
        look: Looker,
        defaults: ContainerDefaults,
    ) -> None:
        self._access = access
        self._operations = operations
        self._people = people
        self._registry = registry
        self._keeper = keeper
        self._maker = maker
        self._images = images
        self._driver = driver
        self._mirror = mirror
        self._mounts = mounts
        self._look = look
        self._defaults = defaults
        operations.on_recovery(CREATE, self.recover)

    async def create(self, caller: Account, body: NewContainer) -> Container | Running[Container]:
        """Check, claim, and make at once or, where the image is missing, as an operation."""
        self._people.learn(caller)
        await self._access.need_reached()
        self._defaults.ports.check(body.ports)
        await self._access.check_limits(body.cpu, body.mem)
        grant = await self._grant(caller, body)
        image = await self._images.find(caller, body.image)
        argument = self._images.index.argument(caller, body.image)
        self._defaults.check_image(caller, [argument, *(image.tags if image else ())])
        if image is None:
            await self._images.admit(caller, parse_reference(argument))
        # From the claim on nobody who goes away cancels anything.
        return await self._access.acted(
            self._claim_and_make(caller, body, grant, argument, pull=image is None)
        )

    async def _claim_and_make(
        self, caller: Account, body: NewContainer, grant: Grant, image: str, *, pull: bool
    ) -> Container | Running[Container]:
        known, ports = await self._claim(caller, body, body.ports)
        draft = Draft(caller, body, known, ports, grant, image)
        return await (self._make_by_pulling(draft) if pull else self._make_at_once(draft))

    async def _claim(self, owner: Account, body: NewContainer, ports: Ports) -> tuple[Known, Ports]:
        share = share_of_limits(*limits_of(body, self._defaults))
        return await self._registry.claim(
            owner.id, body.name, body.image, ports, self._defaults.ports, share
        )

    async def _make_at_once(self, draft: Draft) -> Container | Running[Container]:
        try:
            return self._finished(draft, await self._make(draft))
        except NotFound as error:
            if error.kind != "image" or draft.image.startswith("sha256:"):
                raise
        # Somebody removed the image since it was listed.
        self._images.vanished()
        known, ports = await self._claim(draft.owner, draft.body, draft.ports)
        again = Draft(draft.owner, draft.body, known, ports, draft.grant, draft.image)
        return await self._make_by_pulling(again)

    async def _make_by_pulling(self, draft: Draft) -> Running[Container]:
        cid = draft.known.cid
        reference = parse_reference(draft.image)

        async def work(progress: Progress) -> Container:
            try:
                await draft.step("pull", self._images.fetch(draft.owner, reference, progress))
            except BaseException:
                await asyncio.shield(self._registry.release([cid]))
                raise
            await progress.update(message=f"Starting {draft.body.name}")
            return self._finished(draft, await self._make(draft))

        try:
            return await self._operations.start(
                draft.owner,
                CREATE,
                draft.body.name,
                work,
                input={"cid": cid},
                # Without its environment, which may hold secrets: an operation is kept.
                present=views.container,
            )
        except BaseException:
            await self._registry.release([cid])
            raise

    async def _make(self, draft: Draft) -> EngineContainer:
        return await self._maker.make(draft, self._images.index.visible, self._look_again)

    async def _look_again(self, draft: Draft) -> None:
        if draft.grant.mounts:
            draft.before = await self._access.looked_at(
                draft.owner, draft.grant.mounts, draft.grant.user
            )

    def _finished(self, draft: Draft, made: EngineContainer) -> Container:
        self._access.directory.timelines[made.id] = list(draft.steps)
        # The engine's event may have come before its number was written down, and told nobody.
        self._keeper.changed(made.id)
        return self._access.seen(made)

    async def _grant(self, caller: Account, body: NewContainer) -> Grant:
        if not body.volumes:
            return Grant()
        if not caller.is_admin and (body.restart_policy or self._defaults.restart_policy) != "no":
            # The engine would start it again without anybody looking at the folder.
            raise InvalidRequest(
                fields={"restart_policy": "must be no for a container with folders of the host"}
            )
        grant = partial(self._mounts.grant, remapped=await self._access.remapped())
        return await self._look(grant, caller, body.volumes)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Finish or undo a container whose making a crash interrupted."""
        if not self._mirror.reached:
            await self._driver.ping()
            raise Unavailable("The containers are not listed yet.")
        cid = int(given["cid"])
        known = self._registry.by_cid.get(cid)
        if known is not None and known.engine_id is None and cid not in self._registry.making:
            await self._keeper.listed()
            known = self._registry.by_cid.get(cid)
        if known is None or known.engine_id not in self._mirror.containers:
            return "The server stopped before the container was made. Make it again."
        item = self._access.seen(await self._driver.inspect(known.engine_id))
        if not item.engine.running:
            # Much time may have passed since its folders were looked at.
            before = await self._access.recheck(item)
            await self._driver.start(item.id)
            item = self._access.seen(await self._driver.inspect(item.id))
            await self._maker.verify(item.engine, before)
        return Recovered("The container runs.", succeeded=True, result=views.container(item))
