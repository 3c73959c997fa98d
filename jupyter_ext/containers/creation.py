"""The way of a new container: checked, claimed, its image pulled where it is missing, made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..devices.placement import Wish
from ..errors import InvalidRequest, NotFound, Unavailable
from ..operations.running import Progress, Resumed, Running
from ..operations.schemas import Operation, Recovered
from . import views
from .access import Access
from .defaults import ContainerDefaults
from .engine_types import EngineContainer
from .image_types import EngineImage
from .images import ImageManager
from .keeper import Keeper
from .known import Known
from .looker import Looker
from .maker import Draft, Maker
from .mounts import Grant, MountPolicy
from .outages import OutageMaker
from .people import People
from .preparing import Preparer
from .references import parse_reference
from .registry import CREATE, Registry
from .schemas import NewContainer
from .starting import Starter
from .views import Container

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from ..store.secrets import Secrets
    from .engines import Engines

NOT_MADE = "The server stopped before the container was made. Make it again."


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
        starter: Starter,
        secrets: Secrets,
        images: ImageManager,
        preparer: Preparer,
        engines: Engines,
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
        self._outages = OutageMaker(maker, engines, keeper)
        self._starter = starter
        self._secrets = secrets
        self._images = images
        self._preparer = preparer
        self._engines = engines
        self._mounts = mounts
        self._look = look
        self._defaults = defaults
        operations.on_recovery(CREATE, self.recover)

    async def create(
        self,
        caller: Account,
        body: NewContainer,
        password: str | None = None,
        again: Grant | None = None,
    ) -> Container | Running[Container]:
        """Check, claim, and make at once or, where the image is missing, as an operation.

        Parameters
        ----------
        password
            That lets its owner in, where the image knows what to do with it.
        again
            Volumes and folders in memory that it had before, beside the folders of the host.
        """
        self._people.learn(caller)
        await self._access.need_reached()
        await self._keeper.freed()
        self._defaults.ports.check(body.ports)
        await self._access.check_limits(body.cpu, body.mem)
        grant = await self._grant(caller, body)
        if again is not None:
            grant = replace(grant, mounts=(*grant.mounts, *again.mounts), tmpfs=again.tmpfs)
        image = await self._images.find(caller, body.image)
        argument = self._images.index.argument(caller, body.image)
        self._defaults.check_image(caller, [argument, *(image.tags if image else ())])
        if image is None:
            await self._images.admit(caller, parse_reference(argument))
        # From the claim on nobody who goes away cancels anything.
        return await self._access.acted(
            self._claim_and_make(caller, body, grant, (argument, image), password)
        )

    async def _claim_and_make(
        self,
        caller: Account,
        body: NewContainer,
        grant: Grant,
        image: tuple[str, EngineImage | None],
        password: str | None,
    ) -> Container | Running[Container]:
        draft = await self._preparer.claim(caller, body, grant, image, password)
        pull = self._preparer.needs_image(draft)
        if pull or body.waits:
            return await self._make_as_operation(draft, pull=pull)
        ports = draft.ports
        try:
            return self._finished(draft, await self._make_at_once(draft))
        except NotFound as error:
            if error.kind != "image" or draft.image.startswith("sha256:"):
                raise
        # Somebody removed the image since it was listed.
        self._images.vanished()
        again = await self._preparer.claim(
            caller, body, grant, (draft.image, None), password, ports
        )
        return await self._make_as_operation(again, pull=True)

    async def _make_at_once(self, draft: Draft) -> EngineContainer:
        try:
            await self._preparer.take_gpus(draft)
        except BaseException:
            await asyncio.shield(self._registry.handover.give_up(draft.known))
            raise
        return await self._make(draft)

    async def _make_as_operation(self, draft: Draft, *, pull: bool) -> Running[Container]:
        cid = draft.known.cid
        try:
            return await self._operations.start(
                draft.owner,
                CREATE,
                draft.body.name,
                partial(self._prepare_and_make, draft, pull),
                # Who waits is taken over; before it stands in the queue only this tells of it.
                input={"cid": cid} | ({"request": self._kept(draft)} if draft.body.waits else {}),
                # Without its environment, which may hold secrets: an operation is kept.
                present=views.container,
            )
        except BaseException:
            await self._registry.handover.give_up(draft.known)
            raise

    async def _prepare_and_make(self, draft: Draft, pull: bool, progress: Progress) -> Container:
        """Pull the image and wait for GPUs, where that is needed, then make it."""
        prepare, waits = self._preparer, draft.body.waits
        try:
            if not waits:
                await prepare.take_gpus(draft)
            if early := pull and draft.placed:
                await draft.step("pull", prepare.bring_image(draft, progress))
            if waits:
                waiting = prepare.wait_for_gpus(draft, progress)
                await draft.step("wait", waiting)
        except BaseException:
            # Who waits in the queue goes on waiting at the server that takes over.
            if not (progress.interrupted and waits):
                await asyncio.shield(self._registry.handover.give_up(draft.known))
            raise
        await progress.update(message=f"Starting {draft.body.name}", details={})
        if not waits:
            return self._finished(draft, await self._make(draft))

        async def ready() -> None:
            if not early and prepare.needs_image(draft):
                await draft.step("pull", prepare.bring_image(draft, progress))

        return await self._make_for_waiter(draft, ready, progress)

    async def _make_for_waiter(
        self, draft: Draft, ready: Callable[[], Awaitable[None]], progress: Progress
    ) -> Container:
        """Make it once its GPUs were granted, which stay its own while its engine is away.

        Parameters
        ----------
        ready
            What has to be done before.
        """

        async def attempt(draft: Draft, again: Callable[[BaseException], bool]) -> EngineContainer:
            try:
                await ready()
            except BaseException as error:
                if not again(error):
                    await asyncio.shield(self._registry.handover.give_up(draft.known))
                raise
            return await self._make(draft, again)

        return self._finished(draft, await self._outages.make(draft, attempt, progress))

    def _kept(self, draft: Draft) -> str:
        """What another server needs to make it; encrypted, since it may hold secrets."""
        kept = {
            "body": draft.body.model_dump(mode="json"),
            "ports": draft.ports,
            "image": draft.image,
            "wanted": draft.wanted.id if draft.wanted else None,
            "wish": draft.wish.kept() if draft.wish else None,
            "placed": draft.placed,
        }
        return self._secrets.encrypt(json.dumps(kept))

    def _draft(self, owner: Account, known: Known, kept: str) -> Draft:
        read = json.loads(self._secrets.decrypt(kept))
        password = self._secrets.decrypt(known.password) if known.password is not None else None
        return Draft(
            owner,
            NewContainer.model_validate(read["body"]),
            known,
            read["ports"],
            Grant(),
            read["image"],
            password=password,
            wanted=self._images.index.images.get(read["wanted"])
            or self._images.index.find(owner, read["image"]),
            wish=Wish.read(read["wish"]) if read["wish"] else None,
            placed=read["placed"],
        )

    async def _make(
        self, draft: Draft, again: Callable[[BaseException], bool] = lambda error: False
    ) -> EngineContainer:
        self._preparer.settle_image(draft)
        visible = self._images.index.visible
        return await self._maker.make(draft, visible, self._look_again, again)

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

    def _wait_on(self, known: Known, kept: str) -> Resumed[Container]:
        """Wait in the place of a server that died while it did, however long the engine is away."""
        self._registry.making.add(known.cid)

        async def work(progress: Progress) -> Container:
            claimed = known
            try:
                claimed = await self._registry.handover.take_over(known)
                if claimed.engine_id is not None:
                    return await self._inspected(claimed.engine_id)
                owner = await self._people.account(known.owner)
                draft = self._draft(owner, claimed, kept)
                stands = await self._starter.asked(known.cid)
                waiting = self._preparer.wait_for_gpus(draft, progress, stands=stands)
                await draft.step("wait", waiting)
            except BaseException:
                if not progress.interrupted:
                    await asyncio.shield(self._registry.handover.give_up(claimed))
                raise

            async def ready() -> None:
                await self._access.need_reached()
                draft.grant = await self._grant(owner, draft.body)
                # The other server may have come as far as the engine.
                await self._keeper.remove_made_for(draft.known)
                if self._preparer.needs_image(draft):
                    await draft.step("pull", self._preparer.bring_image(draft, progress))

            return await self._make_for_waiter(draft, ready, progress)

        return Resumed(work, views.container)

    async def recover(
        self, operation: Operation, given: Mapping[str, Any]
    ) -> str | Recovered | Resumed[Container]:
        """Finish or undo a container whose making a crash interrupted."""
        cid = int(given["cid"])
        known = self._registry.by_cid.get(cid)
        kept = given.get("request")
        if known is None or (kept is None and known.engine_id is None):
            # What the other server wrote last may not be in memory yet.
            await self._registry.load()
            known = self._registry.by_cid.get(cid)
        if known is not None and known.engine_id is None and kept is not None:
            return self._wait_on(known, kept)
        if known is not None:
            engine = self._engines.on(known.device)
            if not engine.mirror.reached:
                await engine.driver.ping()
                raise Unavailable("The containers are not listed yet.")
            if known.engine_id is None and cid not in self._registry.making:
                await self._keeper.listed(engine)
                known = self._registry.by_cid.get(cid)
        if known is None or known.engine_id is None:
            return NOT_MADE
        try:
            item = await self._inspected(known.engine_id)
        except NotFound:
            return NOT_MADE
        if not item.engine.running:
            # Much time may have passed since its folders were looked at.
            before = await self._access.recheck(item)
            await self._starter.start(known)
            item = await self._inspected(item.id)
            await self._maker.verify(item.engine, before)
        return Recovered("The container runs.", succeeded=True, result=views.container(item))

    async def _inspected(self, engine_id: str) -> Container:
        return self._access.seen(await self._engines.driver(engine_id).inspect(engine_id))
