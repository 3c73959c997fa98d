"""Rules of images: who sees them, who may delete them, how they come here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Conflict, Forbidden, NotFound, PlatformError
from ..operations.running import Progress, Running
from . import views
from .defaults import ContainerDefaults
from .engine_types import EngineImage, PullProgress
from .image_index import ImageIndex, missing, parsed, title
from .image_registry import ImageRegistry, KnownImage, Origin
from .people import People
from .pulls import Pulls
from .references import PRIVATE_NAMESPACE, ImageReference, parse_reference
from .replies import Removed
from .schemas import ImageDeleteQuery, PageQuery, PullBody
from .tasks import end_soon
from .views import Image

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..operations.manager import Operations
    from ..store import Store
    from .docker_driver import DockerDriver
    from .mirror import Mirror

TOPIC = "images"
PULL = "image.pull"

_log = logging.getLogger(__name__)


class ImageManager:
    """Images of the engine, mirrored in memory, with their owners.

    Parameters
    ----------
    mirror
        Of the containers, which knows whether the engine was reached.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        operations: Operations,
        people: People,
        driver: DockerDriver,
        mirror: Mirror,
        defaults: ContainerDefaults,
    ) -> None:
        self._bus = bus
        self._operations = operations
        self._people = people
        self._driver = driver
        self._mirror = mirror
        self._defaults = defaults
        self._store = store
        self.registry = ImageRegistry(store)
        self.index = ImageIndex(self.registry, people)
        self._refreshing = asyncio.Lock()
        self._wanted = self._stale = self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._pulls = Pulls(self._pull_from)
        self._pulled: dict[str, str] = {}
        self.container_names: Callable[[Account, Iterable[str]], list[str]] = lambda *_: []
        """Names of those containers that a caller may know of."""

    async def start(self) -> None:
        """Read the store; the images themselves come when the engine is reached."""
        await self.registry.load()
        operations, store = self._operations, self._store
        operations.on_recovery(PULL, _recovered)
        if not store.is_sqlite:
            store.signals.on_change("images", self._reload)
        self.changed()

    async def stop(self) -> None:
        """End what runs in the background."""
        self._wanted, self._stopped = False, True
        await end_soon(self._task, self._reloading)

    # -- the mirror ------------------------------------------------------------------------------

    def changed(self) -> None:
        """Read the engine's images soon; called for each of its events, and when it returns."""
        if self._stopped:
            return
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._refresh_while_wanted())

    async def _refresh_while_wanted(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self.refresh()
            except PlatformError as error:
                # The mirror says that the engine is gone, and calls again when it is back.
                _log.debug("Images could not be listed: %s", error)

    async def refresh(self) -> None:
        """Make memory, store and engine agree, and tell what has changed."""
        async with self._refreshing:
            listed = {image.id: image for image in await self._driver.list_images()}
            new = [image for image in listed.values() if image.id not in self.registry.by_engine]
            await self.registry.adopt({image.id: self._origin(image) for image in new})
            # Only now, since an image without a record is nobody's to see.
            before = self.index.images
            self.index.fill(listed)
            gone = [key for key in self.registry.by_engine if key not in listed]
            removed = [self.registry.by_engine[key] for key in gone]
            await self.registry.release(gone)
        for known in removed:
            self._publish(known, {"event": "removed", "id": known.engine_id, "iid": known.iid})
        for image in listed.values():
            if before.get(image.id) != image:
                self._tell(self.index.view(image))

    def _origin(self, image: EngineImage) -> Origin:
        """Whose an image is that no record belongs to: one in a user's namespace is theirs."""
        for tag in image.tags:
            parts = tag.rpartition(":")[0].split("/")
            if PRIVATE_NAMESPACE in parts[:-2]:
                return Origin(self._people.id(parts[-2]) or self._people.owner, public=False)
        return Origin(puller=self._pulled.get(image.id))

    def _tell(self, image: Image) -> None:
        known = self.registry.by_engine.get(image.engine.id)
        if known is not None:
            self._publish(known, {"event": "changed", "image": views.image(image)})

    def _publish(self, known: KnownImage, data: Mapping[str, Any]) -> None:
        owner = None if known.public else known.owner
        self._bus.publish(TOPIC, dict(data), owner=owner, key=known.engine_id)

    def _reload(self) -> None:
        """Another server of the store changed something."""
        # The store goes on telling until it is closed.
        if self._stopped:
            return
        self._stale = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._load_again())

    async def _load_again(self) -> None:
        while self._stale:
            self._stale = False
            try:
                await self.registry.load()
            except PlatformError as error:
                _log.warning("Images could not be read again: %s", error)
        self.changed()

    # -- what others ask -------------------------------------------------------------------------

    async def list(self, caller: Account, query: PageQuery) -> Page[Image]:
        """Public images and the caller's own, newest first.

        Raises
        ------
        Unavailable
            The engine was never reached.
        """
        await self._need_reached()
        seen = self.index.seen(caller)
        part = seen[query.offset : query.offset + query.limit]
        return Page(
            [self.index.view(image) for image in part],
            len(seen),
            query.limit,
            query.offset,
            "images",
            extra={"stale_since": views.moment(self._mirror.stale_since)},
        )

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """All images of the caller, for a subscription."""
        page = await self.list(caller, PageQuery(limit=1000))
        return {"items": [views.image(item) for item in page.items], **page.extra}

    def iid(self, engine_id: str) -> int | None:
        """An image's number."""
        known = self.registry.by_engine.get(engine_id)
        return known.iid if known else None

    def labels(self, engine_id: str) -> Mapping[str, str] | None:
        """An image's labels, None where the engine has not listed it."""
        image = self.index.images.get(engine_id)
        return image.labels if image else None

    async def find(self, caller: Account, name: str) -> EngineImage | None:
        """The image that a name, tag, digest or id means to the caller.

        Returns
        -------
        EngineImage or None
            None where the engine doesn't have it and it can be pulled.

        Raises
        ------
        NotFound
            It is somebody else's, or can't be pulled.
        """
        await self._need_reached()
        found = self.index.find(caller, name)
        if found is not None:
            return found
        reference = parsed(name)
        if name.startswith("sha256:") or reference is None or reference.private:
            raise missing(name)
        if self.index.has(reference):
            # It is here, and somebody else's.
            raise missing(name)
        try:
            # Memory may be a moment behind the engine.
            image = await self._driver.inspect_image(str(reference))
        except NotFound:
            return None
        await self.refresh()
        if not self.index.visible(caller, image.id):
            raise missing(name)
        return image

    async def pull(self, caller: Account, body: PullBody) -> Running[Image]:
        """Pull an image; whoever asks for the same one meanwhile waits for the same pull.

        Raises
        ------
        NotFound
            The name is one of a committed image, which are never pulled.
        Forbidden
            The administrator does not allow it.
        Unavailable
            The engine does not answer.
        """
        reference = parse_reference(body.reference)
        if reference.private:
            raise missing(str(reference))
        self._defaults.check_image(caller, [str(reference)])
        await self._need_reached()
        return await self._operations.start(
            caller,
            PULL,
            str(reference),
            lambda progress: self.fetch(caller, reference, progress),
            input={"image": str(reference)},
            present=views.image,
        )

    async def fetch(self, caller: Account, reference: ImageReference, progress: Progress) -> Image:
        """Pull within an operation.

        Raises
        ------
        NotFound
            The registry doesn't have it, or it can't be reached; the text says what to do.
        """
        present = set(self.index.images)
        await self._pulls.join(reference, progress)
        image = await self._driver.inspect_image(str(reference))
        if image.id not in present:
            self._pulled.setdefault(image.id, caller.id)
        try:
            await self.refresh()
            known = self.registry.by_engine.get(image.id)
            puller = self._pulled.get(image.id)
            if known is not None and known.puller is None and puller is not None:
                # The engine's event was faster than the end of the pull.
                await self.registry.credit(image.id, puller)
        finally:
            self._pulled.pop(image.id, None)
        if not self.index.visible(caller, image.id):
            raise missing(str(reference))
        return self.index.view(image)

    def _pull_from(self, reference: ImageReference) -> AsyncIterator[PullProgress]:
        return self._driver.pull(reference.repository, reference.digest or reference.tag or "")

    async def delete(self, caller: Account, ref: str, query: ImageDeleteQuery) -> Removed:
        """Delete an image, or take one of its several names away.

        Raises
        ------
        NotFound
            No image of this name or number is the caller's to see.
        Forbidden
            Somebody else pulled it.
        Conflict
            Containers are based on it.
        """
        await self._need_reached()
        image = self.index.by_ref(caller, ref)
        known = self.registry.by_engine.get(image.id)
        mine = known is not None and caller.id in (known.owner, known.puller)
        if not (caller.is_admin or mine):
            raise Forbidden(
                f"{title(image)} was not pulled by you. Who pulled it, or an administrator, may "
                "delete it."
            )
        reference = parsed(ref)
        named = str(reference) if reference is not None and str(reference) in image.tags else None
        if named is None or len(image.tags) <= 1:
            self._refuse_used(caller, image)
        several = named is None and len(image.tags) > 1
        if several and not query.force:
            raise Conflict(
                "image",
                ref,
                f"{title(image)} has several names ({', '.join(image.tags)}). Delete one of "
                "them, or all with force.",
            )
        await self._driver.remove_image(named or image.id, force=several)
        await self.refresh()
        return {"id": image.id}

    def _refuse_used(self, caller: Account, image: EngineImage) -> None:
        users = [item for item in self._mirror.containers.values() if item.image_id == image.id]
        if not users:
            return
        names = sorted(self.container_names(caller, [item.id for item in users]))
        hidden = len(users) - len(names)
        others = f"{hidden} of other users" if hidden else ""
        raise Conflict(
            "image",
            title(image),
            f"{title(image)} is used by containers: {', '.join([*names, others]).strip(', ')}. "
            "Delete them first.",
        )

    # -- inside ----------------------------------------------------------------------------------

    async def _need_reached(self) -> None:
        """Wait for the first list; raises what the engine's absence raises."""
        if not self.index.filled:
            await self.refresh()


async def _recovered(operation: Any, given: Mapping[str, Any]) -> str:
    """The engine throws half a pull away by itself, and keeps its finished layers."""
    return f"The server stopped while {given.get('image', 'it')} was pulled. Pull it again."
