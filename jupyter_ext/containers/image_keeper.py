"""Keeps records and images of the engines in agreement, and tells what has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, PlatformError
from . import views
from .image_index import ImageIndex
from .image_registry import SIGNAL, ImageRegistry, KnownImage, Origin
from .image_shares import readers_of
from .image_types import EngineImage
from .marks import HOME, NOTEBOOK, OWNER, PART
from .people import People
from .references import PRIVATE_NAMESPACE, ImageReference
from .tasks import end_soon
from .views import Image

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..store import Store
    from .engines import Engine, Engines

TOPIC = "images"

_log = logging.getLogger(__name__)


class ImageKeeper:
    """Images of all engines, mirrored in memory, with their owners."""

    def __init__(self, store: Store, bus: Bus, people: People, engines: Engines) -> None:
        self._store = store
        self._bus = bus
        self._people = people
        self._engines = engines
        self._lists: dict[int, dict[str, EngineImage]] = {}
        self.registry = ImageRegistry(store)
        self.index = ImageIndex(self.registry, people, store.secrets)
        self._refreshing = asyncio.Lock()
        self._sharing = asyncio.Lock()
        self._wanted = self._stale = self._stale_shares = self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._reloading_shares: asyncio.Task[None] | None = None
        self._pulled: dict[str, str] = {}

    async def start(self) -> None:
        """Read the store; the images themselves come when the engine is reached."""
        await self.registry.load()
        await self.follow_shares()
        if not self._store.is_sqlite:
            self._store.signals.on_change(SIGNAL, self._reload)
        # Shares go with the users.
        self._store.signals.on_change("accounts", self._reload_shares)
        self.changed()

    async def stop(self) -> None:
        """End what runs in the background."""
        self._wanted, self._stopped = False, True
        await end_soon(self._task, self._reloading, self._reloading_shares)

    # -- what others ask -------------------------------------------------------------------------

    async def need_filled(self) -> None:
        """Wait for the first list; raises what the engine's absence raises.

        A device that was reached a moment ago is waited for, too: what it has is not missing.
        """
        if not self.index.filled:
            await self.refresh()
        elif any(each.mirror.fresh and each.did not in self._lists for each in self._engines):
            with suppress(PlatformError):
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

    async def saved(self, engine_id: str, origin: Origin) -> Image:
        """Take in an image that was made here, whatever the engine's event made of it meanwhile."""
        await self.refresh()
        await self.registry.own(engine_id, origin)
        image = self.index.images.get(engine_id)
        if image is None:
            raise NotFound("image", engine_id[:19])
        self._tell(image)
        return self.index.view(image)

    async def built(self, engine_id: str, name: ImageReference) -> Image:
        """Take in the notebook image that was just built, under its name and its number."""
        # In one go: an image that loses the name to this one must not get a number before it has.
        async with self._refreshing:
            driver = self._engines.local.driver
            await driver.tag(engine_id, name.repository, name.tag or "latest")
            await self.registry.put_notebook(engine_id)
        await self.refresh()
        image = self.index.images.get(engine_id)
        if image is None:
            raise NotFound("image", engine_id[:19])
        self._tell(image)
        return self.index.view(image)

    async def follow_shares(self) -> None:
        """Take in who may use which image by now, and tell those for whom it is news."""
        # One after the other, so that what was read first is not what stays.
        async with self._sharing:
            async with self._store.read() as session:
                readers = await readers_of(session)
            for before, now in self.registry.shared(readers):
                for reader in before.readers - now.readers:
                    self._publish_to(reader, now, _removed(now))
                self.tell(now.engine_id)

    def tell(self, engine_id: str) -> None:
        """Show an image as it is now to all who see it."""
        image = self.index.images.get(engine_id)
        if image is not None:
            self._tell(image)

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
            await self._list()
            listed = merged(self._lists)
            new = [image for image in listed.values() if image.id not in self.registry.by_engine]
            await self.registry.adopt({image.id: self._origin(image) for image in new}, self._home)
            # Only now, since an image without a record is nobody's to see.
            before = self.index.images
            self.index.fill(listed, self._lists)
            # What is only on a device that was not reached yet is not gone.
            gone = [
                key
                for key, known in self.registry.by_engine.items()
                if key not in listed and known.device in self._lists
            ]
            removed = [self.registry.by_engine[key] for key in gone]
            await self.registry.release(gone)
        for known in removed:
            for reader in known.readers:
                self._publish_to(reader, known, _removed(known))
            self._publish(known, _removed(known))
        for image in listed.values():
            if before.get(image.id) != image:
                self._tell(image)

    async def _list(self) -> None:
        """Ask every engine that answers; what the others said last stays."""
        there = {engine.did for engine in self._engines}
        self._lists = {did: found for did, found in self._lists.items() if did in there}
        local = self._engines.local

        async def ask(engine: Engine) -> None:
            try:
                found = await engine.driver.list_images()
            except PlatformError:
                # Its mirror calls again when it is back.
                if engine is local:
                    raise
            else:
                self._lists[engine.did] = {image.id: image for image in found}

        others = [engine for engine in self._engines if engine is not local and engine.mirror.fresh]
        await asyncio.gather(*(ask(engine) for engine in (local, *others)))

    def _home(self, engine_id: str) -> int:
        """Return the device that an image was first seen on."""
        return next(did for did in sorted(self._lists) if engine_id in self._lists[did])

    def _origin(self, image: EngineImage) -> Origin:
        """Whose an image is that no record belongs to: one in a user's namespace is theirs."""
        for tag in image.tags:
            parts = tag.rpartition(":")[0].split("/")
            if PRIVATE_NAMESPACE in parts[:-2]:
                return Origin(self._people.id(parts[-2]) or self._people.owner, public=False)
        if image.labels.get(HOME) == self._store.id:
            # Made of a container of ours a moment ago, and not named yet.
            owner = self._people.id(image.labels.get(OWNER, ""))
            return Origin(owner or self._people.owner, public=False)
        if image.labels.get(PART) and not (image.tags or image.digests):
            # Of whichever server of this engine: it has all files of somebody's container.
            return Origin(self._people.owner, public=False)
        if NOTEBOOK in image.labels and not image.tags:
            # One that is being built, or was replaced and still has containers: nobody's to choose.
            return Origin(self._people.owner, public=False)
        return Origin(puller=self._pulled.get(image.id))

    def _tell(self, image: EngineImage) -> None:
        known = self.registry.by_engine.get(image.id)
        if known is None or self.index.hidden(image):
            return
        for reader in known.readers:
            shown = views.image(self.index.view(image, reader))
            self._publish_to(reader, known, {"event": "changed", "image": shown})
        # Last, since an administrator whom it is shared with hears of both.
        shown = views.image(self.index.view(image))
        self._publish(known, {"event": "changed", "image": shown})

    def _publish(self, known: KnownImage, data: Mapping[str, Any]) -> None:
        owner = None if known.public else known.owner
        self._bus.publish(TOPIC, dict(data), owner=owner, key=known.engine_id)

    def _publish_to(self, reader: str, known: KnownImage, data: Mapping[str, Any]) -> None:
        self._bus.publish(TOPIC, dict(data), owner=reader, key=known.engine_id, alone=True)

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
                await self.follow_shares()
            except PlatformError as error:
                _log.warning("Images could not be read again: %s", error)
        self.changed()

    def _reload_shares(self) -> None:
        if self._stopped:
            return
        self._stale_shares = True
        if self._reloading_shares is None or self._reloading_shares.done():
            self._reloading_shares = asyncio.get_running_loop().create_task(self._share_again())

    async def _share_again(self) -> None:
        while self._stale_shares:
            self._stale_shares = False
            try:
                await self.follow_shares()
            except PlatformError as error:
                _log.warning("Shares of images could not be read again: %s", error)


def _removed(known: KnownImage) -> Mapping[str, Any]:
    return {"event": "removed", "id": known.engine_id, "iid": known.iid}


def merged(lists: Mapping[int, Mapping[str, EngineImage]]) -> dict[str, EngineImage]:
    """Put the images of all devices together: of one that several have, with all its names."""
    images: dict[str, EngineImage] = {}
    for did in sorted(lists):
        for key, image in lists[did].items():
            before = images.get(key)
            if before is None:
                images[key] = image
            elif (before.tags, before.digests) != (image.tags, image.digests):
                images[key] = replace(
                    before,
                    tags=tuple(dict.fromkeys((*before.tags, *image.tags))),
                    digests=tuple(dict.fromkeys((*before.digests, *image.digests))),
                )
    return images
