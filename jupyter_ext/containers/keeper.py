"""Keeps records and engine in agreement: adopts what is new, forgets what is gone, tells so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..errors import PlatformError
from . import views
from .directory import Directory
from .engine_types import EngineContainer
from .image_keeper import ImageKeeper
from .known import Known, Stray
from .marks import LABELS, Mark, read_mark
from .people import People
from .registry import Registry
from .shares import Share, share_of_detail
from .tasks import end_soon

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..store import Store
    from .mirror import Mirror

TOPIC = "containers"
RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Keeper:
    """Follows the mirror.

    Parameters
    ----------
    abandoned
        Numbers whose making was given up; the driver removes what comes of it.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        mirror: Mirror,
        directory: Directory,
        people: People,
        images: ImageKeeper,
        bus: Bus,
        abandoned: set[int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._mirror = mirror
        self._directory = directory
        self._people = people
        self._images = images
        self._bus = bus
        self._abandoned = abandoned
        self._new: set[str] = set()
        self._gone: set[str] = set()
        self._resized: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End what runs in the background."""
        await end_soon(self._task)

    # -- what the mirror says --------------------------------------------------------------------

    def changed(self, engine_id: str) -> None:
        """A container changed, came or went."""
        container = self._mirror.containers.get(engine_id)
        if container is None:
            self._directory.unsorted()
            self._new.discard(engine_id)
            if engine_id in self._registry.by_engine:
                self._gone.add(engine_id)
                self._work()
        elif engine_id in self._registry.by_engine:
            self._directory.noticed(engine_id)
            self._directory.healthy(container)
            if self._share_now(engine_id) is not None:
                self._resized.add(engine_id)
                self._work()
            self.tell(engine_id)
        else:
            self._new.add(engine_id)
            self._work()

    async def listed(self) -> None:
        """The engine was asked for all that it has: whoever is not there is gone.

        Only ever called after a real answer; an engine that is away takes nobody's name.
        """
        containers = self._mirror.containers
        known = self._registry.by_engine
        self._gone |= {key for key in known if key not in containers}
        self._new |= {key for key in containers if key not in known}
        self._directory.unsorted()
        dead = await self._registry.dead_claims()
        if dead:
            await self._images.refresh()
        left = self._made_for(dead)
        for cid in dead:
            if cid in left:
                await self._registry.bind(cid, left[cid])
                self._new.discard(left[cid])
        await self._registry.release([cid for cid in dead if cid not in left])
        self._work()
        await self.settled()

    def _made_for(self, cids: Collection[int]) -> dict[int, str]:
        """Containers that a server made and could not write down before it died."""
        found: dict[int, str] = {}
        for container in self._mirror.containers.values():
            if container.id in self._registry.by_engine:
                continue
            mark = self._mark(container)
            if mark is not None and mark.home == self._store.id and mark.cid in cids:
                found[mark.cid] = container.id
        return found

    def tell(self, engine_id: str) -> None:
        """Publish how a container is now."""
        known = self._registry.by_engine[engine_id]
        if engine_id not in self._mirror.containers:
            return
        item = views.container(self._directory.view(engine_id))
        self._publish(known, {"event": "changed", "container": item})

    def _publish(self, known: Known, data: dict[str, Any]) -> None:
        self._bus.publish(TOPIC, data, owner=known.owner, key=known.engine_id)

    # -- writing it down -------------------------------------------------------------------------

    async def forget(self, engine_id: str) -> None:
        """Free the name and ports of a container that was removed, before anybody is told."""
        self._mirror.drop(engine_id)
        self.changed(engine_id)
        await self.settled()

    async def settled(self) -> None:
        """Wait until what is known now is written down; not for long where the store is away."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=5)

    def _work(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._new or self._gone or self._resized:
            try:
                await self._forget_gone()
                await self._adopt_new()
                await self._measure_resized()
            except PlatformError as error:
                _log.warning("Containers could not be written down yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _forget_gone(self) -> None:
        gone, self._gone = self._gone, set()
        known = [
            self._registry.by_engine[key]
            for key in gone
            if key in self._registry.by_engine and key not in self._mirror.containers
        ]
        try:
            await self._registry.release([record.cid for record in known])
        except PlatformError:
            self._gone |= gone
            raise
        for record in known:
            self._directory.timelines.pop(record.engine_id or "", None)
            self._publish(
                record,
                {
                    "event": "removed",
                    "id": record.engine_id,
                    "cid": record.cid,
                    "name": record.name,
                },
            )

    async def _adopt_new(self) -> None:
        new, self._new = self._new, set()
        try:
            found = [
                container
                for container in (self._mirror.containers.get(key) for key in new)
                if container is not None and container.id not in self._registry.by_engine
            ]
            if any(self._unknown_image(container) for container in found):
                await self._images.refresh()
            strays = [self._stray(item) for item in found if not self._in_the_making(item)]
            adopted = await self._registry.adopt(strays) if strays else []
        except PlatformError:
            self._new |= new
            raise
        self._directory.unsorted()
        for known in adopted:
            if known.engine_id is not None:
                self.tell(known.engine_id)
                container = self._mirror.containers.get(known.engine_id)
                if container is not None and container.detail is None:
                    # A list does not tell what it takes of its owner's quotas.
                    self._mirror.refresh(known.engine_id)

    async def _measure_resized(self) -> None:
        """Count what containers take that somebody changed at the engine itself."""
        resized, self._resized = self._resized, set()
        shares = {
            self._registry.by_engine[key].cid: share
            for key in resized
            if (share := self._share_now(key)) is not None
        }
        if not shares:
            return
        try:
            await self._registry.resize(shares, refuse=False)
        except PlatformError:
            self._resized |= resized
            raise

    def _share_now(self, engine_id: str) -> Share | None:
        """What a container takes, where the engine says other than the record."""
        known = self._registry.by_engine.get(engine_id)
        container = self._mirror.containers.get(engine_id)
        if known is None or container is None or known.cid in self._registry.resizing:
            return None
        share = share_of_detail(container.detail)
        return None if share == known.share else share

    def _unknown_image(self, container: EngineContainer) -> bool:
        """Whether labels that may be ours can't be told from the image's yet."""
        marked = all(label in container.labels for label in LABELS)
        return marked and self._images.labels(container.image_id) is None

    def _mark(self, container: EngineContainer) -> Mark | None:
        return read_mark(container, self._images.labels(container.image_id))

    def _in_the_making(self, container: EngineContainer) -> bool:
        """Whether somebody is making it right now, and will write it down."""
        mark = self._mark(container)
        if mark is None or mark.home != self._store.id:
            return False
        record = self._registry.by_cid.get(mark.cid)
        return mark.cid in self._abandoned or (record is not None and record.engine_id is None)

    def _stray(self, container: EngineContainer) -> Stray:
        """Whose a container is that no record belongs to: its mark's, or the administrator's."""
        mark = self._mark(container)
        owner = self._people.id(mark.owner) if mark else None
        ours = mark is not None and owner is not None
        return Stray(
            container.id,
            owner or self._people.owner,
            mark.name if mark is not None and ours else container.name[:128] or container.id[:12],
            container.image,
            container.created_at,
            container.ports,
            mark.cid if mark is not None and ours else None,
            share_of_detail(container.detail) or Share(),
        )
