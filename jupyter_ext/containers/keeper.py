"""Keeps records and engine in agreement: adopts what is new, forgets what is gone, tells so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, NotFound, PlatformError
from . import views
from .directory import Directory
from .docker_remake import ASIDE
from .engine_types import EngineContainer
from .image_keeper import ImageKeeper
from .known import Known, Stray
from .marks import LABELS, PART, PROBE, PROBE_NAME, Mark, read_mark
from .people import People
from .registry import Registry
from .shares import Share, share_of_detail
from .tasks import end_soon

if TYPE_CHECKING:
    from ..events.bus import Bus
    from ..store import Store
    from .engines import Engine, Engines

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
        engines: Engines,
        directory: Directory,
        people: People,
        images: ImageKeeper,
        bus: Bus,
        abandoned: set[int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._engines = engines
        self._directory = directory
        self._people = people
        self._images = images
        self._bus = bus
        self._abandoned = abandoned
        self._new: set[str] = set()
        self._gone: set[str] = set()
        self._freeing = False
        self._resized: set[str] = set()
        self._ran: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End what runs in the background."""
        await end_soon(self._task)

    # -- what the mirror says --------------------------------------------------------------------

    def changed(self, engine_id: str) -> None:
        """A container changed, came or went."""
        container = self._engines.containers.get(engine_id)
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
            if self._takes_otherwise(container) or self._given([engine_id]):
                self._ran.add(engine_id)
                self._work()
            self.tell(engine_id)
        elif not self._passing(container):
            self._new.add(engine_id)
            self._work()

    async def listed(self, engine: Engine) -> None:
        """An engine was asked for all that it has: whoever is not there may be gone.

        Only ever called after a real answer; an engine that is away takes nobody's name. What
        another server made a moment ago is in its list sooner than in this server's mirror, so
        whoever is missing is asked for by its id before its record goes.
        """
        containers = engine.mirror.containers
        known = self._registry.by_engine
        self._gone |= {
            key
            for key, record in known.items()
            if record.device == engine.did and key not in containers
        }
        self._new |= {
            key for key, each in containers.items() if key not in known and not self._passing(each)
        }
        self._directory.unsorted()
        dead = await self._registry.dead_claims(engine.did)
        if dead:
            await self._images.refresh()
        left = await self._made_for(engine, [each.cid for each in dead]) if dead else {}
        for each in dead:
            if (made := left.get(each.cid)) is None:
                await self._registry.handover.give_up(each)
                continue
            # Another server may have been faster.
            with suppress(Conflict):
                await self._registry.handover.bind(each, made)
            self._new.discard(made)
        await self._registry.holdings.heal()
        self._ran |= {key for key, each in containers.items() if self._takes_otherwise(each)}
        self._work()
        await self.settled()

    async def remove_made_for(self, known: Known) -> None:
        """Remove what a server that died made for a claim and could not write down."""
        engine = self._engines.on(known.device)
        if (made := (await self._made_for(engine, [known.cid])).get(known.cid)) is not None:
            self._new.discard(made)
            # Who made it may be tidying up, too.
            with suppress(NotFound):
                await engine.driver.remove(made, force=True, volumes=True)
            engine.mirror.drop(made)

    async def _made_for(self, engine: Engine, cids: Collection[int]) -> dict[int, str]:
        """Containers that a server made and could not write down before it died.

        The engine itself is asked: its events may not have come here yet.
        """
        found: dict[int, str] = {}
        for container in await engine.driver.list_containers(mirror=True):
            if container.id in self._registry.by_engine:
                continue
            mark = self._mark(container)
            if mark is not None and mark.home == self._store.id and mark.cid in cids:
                found[mark.cid] = container.id
        return found

    def tell(self, engine_id: str) -> None:
        """Publish how a container is now."""
        known = self._registry.by_engine[engine_id]
        if engine_id not in self._engines.containers:
            return
        item = views.container(self._directory.view(engine_id))
        self._publish(known, {"event": "changed", "container": item})

    def _publish(self, known: Known, data: dict[str, Any]) -> None:
        self._bus.publish(TOPIC, data, owner=known.owner, key=known.engine_id)

    # -- writing it down -------------------------------------------------------------------------

    async def forget(self, engine_id: str) -> None:
        """Free the name and ports of a container that was removed, before anybody is told."""
        self._engines.drop(engine_id)
        self.changed(engine_id)
        await self.settled()

    async def freed(self) -> None:
        """Wait until names and ports of containers that are gone, and in no list, are free."""
        if self._gone or self._freeing:
            await self.settled()

    async def settled(self) -> None:
        """Wait until what is known now is written down; not for long where the store is away."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=5)

    def _work(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._new or self._gone or self._resized or self._ran:
            try:
                await self._forget_gone()
                await self._adopt_new()
                await self._measure_resized()
                await self._count_running()
            except PlatformError as error:
                _log.warning("Containers could not be written down yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # What is left is looked at again with the next list.
                _log.exception("Containers could not be written down")
                await asyncio.sleep(RETRY_SECONDS)

    async def _forget_gone(self) -> None:
        gone, self._gone, self._freeing = self._gone, set(), True
        try:
            left = [
                key for key in gone if key in self._registry.by_engine and await self._left(key)
            ]
            # Asking takes a moment, in which somebody else may have written it down.
            known = [
                self._registry.by_engine[key] for key in left if key in self._registry.by_engine
            ]
            await self._registry.release([record.cid for record in known])
        except PlatformError:
            self._gone |= gone
            raise
        finally:
            self._freeing = False
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

    async def _left(self, engine_id: str) -> bool:
        """Whether the engine itself says that it has no such container any more."""
        if engine_id in self._engines.containers:
            return False
        engine = self._engines.of(engine_id)
        if engine.mirror.saw_end(engine_id):
            return True
        try:
            engine.mirror.put(await engine.driver.inspect(engine_id, mirror=True))
        except NotFound:
            return True
        return False

    async def _adopt_new(self) -> None:
        new, self._new = self._new, set()
        try:
            found = [
                container
                for container in (self._engines.containers.get(key) for key in new)
                if container is not None and container.id not in self._registry.by_engine
            ]
            if any(self._unknown_image(container) for container in found):
                await self._images.refresh()
            if any(self._unheard(container) for container in found):
                # Another server is making it, and its claim is not in memory yet.
                await self._registry.load()
                found = [each for each in found if each.id not in self._registry.by_engine]
            strays = [self._stray(item) for item in found if not self._in_the_making(item)]
            adopted = await self._registry.adopt(strays) if strays else []
        except PlatformError:
            self._new |= new
            raise
        self._directory.unsorted()
        for known in adopted:
            if known.engine_id is not None:
                self.tell(known.engine_id)
                self._ran.add(known.engine_id)
                container = self._engines.containers.get(known.engine_id)
                if container is not None and container.detail is None:
                    # A list does not tell what it takes of its owner's quotas.
                    self._engines.refresh(known.engine_id)

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

    async def _count_running(self) -> None:
        """Count what containers take of the device while they run, and give it back after."""
        ran, self._ran = self._ran, set()
        running: list[int] = []
        stopped: list[int] = []
        for key in ran:
            container = self._engines.containers.get(key)
            if container is not None and self._takes_otherwise(container):
                cid = self._registry.by_engine[key].cid
                (running if container.running else stopped).append(cid)
        try:
            for cid, uuids in self._given(ran).items():
                await self._registry.given(cid, uuids)
                running.append(cid)
            trespassing = await self._registry.holdings.running(running) if running else ()
            if stopped:
                await self._registry.holdings.stopped(stopped)
        except PlatformError:
            self._ran |= ran
            raise
        for known in trespassing:
            await self._end(known)

    def _given(self, engine_ids: Collection[str]) -> dict[int, tuple[str, ...]]:
        """GPUs of running containers that got them past this server."""
        found: dict[int, tuple[str, ...]] = {}
        for key in engine_ids:
            container, known = self._engines.containers.get(key), self._registry.by_engine.get(key)
            if container is None or known is None or container.detail is None:
                continue
            making = known.cid in self._registry.making
            if container.running and container.detail.gpus and not known.gpus and not making:
                found[known.cid] = container.detail.gpus
        return found

    async def _end(self, known: Known) -> None:
        """End a container that was started past the server, on a GPU that somebody else has."""
        _log.warning("%s was started on a GPU that somebody else has; it is ended", known.name)
        await self._engines.driver(known.engine_id or "").kill(known.engine_id or "")
        self._publish(
            known,
            {
                "event": "ended",
                "id": known.engine_id,
                "cid": known.cid,
                "name": known.name,
                "reason": f"{known.name} was started past this server while somebody else had "
                "its GPU. Start it here: it waits, or is refused.",
            },
        )

    def _takes_otherwise(self, container: EngineContainer) -> bool:
        """Whether it runs and nothing is counted, or the other way round."""
        known = self._registry.by_engine.get(container.id)
        return known is not None and self._registry.holdings.differs(
            known.cid, container.running, container.read_at
        )

    def _share_now(self, engine_id: str) -> Share | None:
        """What a container takes, where the engine says other than the record."""
        known = self._registry.by_engine.get(engine_id)
        container = self._engines.containers.get(engine_id)
        if known is None or container is None or known.cid in self._registry.resizing:
            return None
        share = share_of_detail(container.detail)
        return None if share == known.share else share

    def _unknown_image(self, container: EngineContainer) -> bool:
        """Whether labels that may be ours can't be told from the image's yet."""
        marked = all(label in container.labels for label in LABELS)
        return marked and self._images.labels(container.image_id) is None

    def _unheard(self, container: EngineContainer) -> bool:
        """Whether memory can't tell whose the number is that it has."""
        mark = self._mark(container)
        if mark is None or mark.home != self._store.id:
            return False
        known = self._registry.by_cid.get(mark.cid)
        return known is None or known.engine_id is not None

    def _mark(self, container: EngineContainer) -> Mark | None:
        return read_mark(container, self._images.labels(container.image_id))

    def _in_the_making(self, container: EngineContainer) -> bool:
        """Whether somebody is making it right now, and will write it down."""
        if container.name in self._registry.exchanged:
            return True
        mark = self._mark(container)
        if mark is None or mark.home != self._store.id:
            return False
        record = self._registry.by_cid.get(mark.cid)
        if mark.cid in self._abandoned or mark.cid in self._registry.making:
            return True
        if record is None:
            return False
        # A stopped one that is made again has a server, too.
        if record.engine_id is None or record.server is not None:
            return True
        # Another server puts it in the place of one that stands aside, or was killed while it did.
        former = self._engines.containers.get(record.engine_id)
        return former is not None and former.name == container.name + ASIDE

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
            self._engines.of(container.id).did,
        )

    def _passing(self, container: EngineContainer) -> bool:
        """Whether a container is a step on the way of something else, and gone in a moment.

        Labels alone don't say so: they may be its image's.
        """
        probes = container.name.startswith(PROBE_NAME) and PROBE in container.labels
        return probes or self._store.secrets.sealed(container.labels.get(PART, ""))
