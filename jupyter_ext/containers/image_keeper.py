"""Keeps records and images of the engine in agreement, and tells what has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import PlatformError
from . import views
from .image_index import ImageIndex
from .image_registry import SIGNAL, ImageRegistry, KnownImage, Origin
from .image_types import EngineImage
from .people import People
from .references import PRIVATE_NAMESPACE
from .tasks import end_soon
from .views import Image

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..store import Store
    from .docker_driver import DockerDriver

TOPIC = "images"

_log = logging.getLogger(__name__)


class ImageKeeper:
    """Images of the engine, mirrored in memory, with their owners."""

    def __init__(self, store: Store, bus: Bus, people: People, driver: DockerDriver) -> None:
        self._store = store
        self._bus = bus
        self._people = people
        self._driver = driver
        self.registry = ImageRegistry(store)
        self.index = ImageIndex(self.registry, people)
        self._refreshing = asyncio.Lock()
        self._wanted = self._stale = self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._pulled: dict[str, str] = {}

    async def start(self) -> None:
        """Read the store; the images themselves come when the engine is reached."""
        await self.registry.load()
        if not self._store.is_sqlite:
            self._store.signals.on_change(SIGNAL, self._reload)
        self.changed()

    async def stop(self) -> None:
        """End what runs in the background."""
        self._wanted, self._stopped = False, True
        await end_soon(self._task, self._reloading)

    # -- what others ask -------------------------------------------------------------------------

    async def need_filled(self) -> None:
        """Wait for the first list; raises what the engine's absence raises."""
        if not self.index.filled:
            await self.refresh()

    def iid(self, engine_id: str) -> int | None:
        """An image's number."""
        known = self.registry.by_engine.get(engine_id)
        return known.iid if known else None

    def labels(self, engine_id: str) -> Mapping[str, str] | None:
        """An image's labels, None where the engine has not listed it."""
        image = self.index.images.get(engine_id)
        return image.labels if image else None

    async def came(self, engine_id: str, puller: str | None) -> None:
        """Take in what a pull ended with.

        Parameters
        ----------
        puller
            Whose pull it was, where the image was not here before.
        """
        if puller is not None:
            self._pulled.setdefault(engine_id, puller)
        try:
            await self.refresh()
            known = self.registry.by_engine.get(engine_id)
            brought = self._pulled.get(engine_id)
            if known is not None and known.puller is None and brought is not None:
                # The engine's event was faster than the end of the pull.
                await self.registry.credit(engine_id, brought)
        finally:
            self._pulled.pop(engine_id, None)

    # -- the engine and the store ----------------------------------------------------------------

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
