"""The engine's containers in memory, as fresh as its events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..errors import NotFound, PlatformError, Unavailable
from .engine_types import EngineContainer, EngineEvent

if TYPE_CHECKING:
    from .docker_driver import DockerDriver

_log = logging.getLogger(__name__)

#: Inspects under way at once.
INSPECTS = 16
#: Ids of removed containers that are remembered, so that a late answer does not bring one back.
TOMBSTONES = 4096


class Mirror:
    """What the engine has, without asking it.

    It subscribes to the engine's events, then lists, then applies: each event causes one inspect of
    its id, at once where none is under way, and one more where something happened meanwhile. Of two
    answers the one that was asked for later counts, whoever asked.

    Parameters
    ----------
    driver
        The engine.
    on_change
        Called with the id of each container that came, changed or went (then it is not in
        `containers` any more), on the loop; it must not wait.
    on_images
        Called when the engine's images have changed, and whenever the engine is reached again.
    on_engine
        Called with None when the engine is reached, and with why it is not when it is lost.
    on_event
        Called with each event; what an inspect does not tell (``oom``) is only there.
    ping_every, list_every
        Seconds between two signs of life and two lists.
    """

    def __init__(
        self,
        driver: DockerDriver,
        on_change: Callable[[str], None] | None = None,
        *,
        on_images: Callable[[], None] | None = None,
        on_engine: Callable[[Unavailable | None], None] | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
        ping_every: float = 5.0,
        list_every: float = 60.0,
    ) -> None:
        self._driver = driver
        self.on_change = [on_change] if on_change else []
        self.on_images = [on_images] if on_images else []
        self.on_engine = [on_engine] if on_engine else []
        self.on_event = [on_event] if on_event else []
        self._ping_every = ping_every
        self._list_every = list_every
        self.containers: dict[str, EngineContainer] = {}
        #: Since when what is here may be old; None while it is fresh.
        self.stale_since: datetime | None = datetime.now(UTC)
        #: Since when it is; None before the first time.
        self.fresh_since: datetime | None = None
        #: Whether the engine was ever listed.
        self.reached = False
        #: Why the engine can't be reached now; None while it is, and before the first try.
        self.problem: Unavailable | None = None
        self._contact = datetime.now(UTC)
        self._tried = asyncio.Event()
        self._gone: dict[str, None] = {}
        self._again: set[str] = set()
        self._inspecting: dict[str, asyncio.Task[None]] = {}
        self._inspects = asyncio.Semaphore(INSPECTS)

    @property
    def fresh(self) -> bool:
        """Whether the engine is reached now."""
        return self.stale_since is None

    # -- its life

    async def run(self) -> None:
        """Follow the engine until cancelled, and come back to it whenever it is lost."""
        try:
            while True:
                try:
                    await self._session()
                except PlatformError as error:
                    self._lost(error)
                except Exception:
                    _log.exception("The mirror of the engine starts anew.")
                    self._lost(Unavailable("Docker's answers can't be understood."))
                await asyncio.sleep(1)
        finally:
            tasks = list(self._inspecting.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def first_try(self, timeout: float = 5.0) -> None:
        """Wait until it is known whether the engine can be reached, at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._tried.wait()

    async def _session(self) -> None:
        """Follow the engine from one connection to its loss."""
        await self._driver.ping()
        subscribed = asyncio.Event()
        reader = asyncio.ensure_future(self._read(subscribed))
        try:
            waiting = asyncio.ensure_future(subscribed.wait())
            await asyncio.wait((reader, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not reader.done():
                await self._list(keep=False)
                self._found()
                await self._watch(reader)
            await reader
            # Why it ended is best said by what it says now.
            await self._driver.ping()
            raise Unavailable("Docker closed its stream of events.", "It may be restarting.")
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _watch(self, reader: asyncio.Future[None]) -> None:
        """Look after a session until its events end: signs of life, and a list now and then."""
        listed = time.monotonic()
        while not reader.done():
            await asyncio.wait((reader,), timeout=self._ping_every)
            if reader.done():
                return
            await self._driver.ping()
            self._contact = datetime.now(UTC)
            if time.monotonic() - listed >= self._list_every:
                await self._list(keep=True)
                listed = time.monotonic()

    async def _read(self, subscribed: asyncio.Event) -> None:
        events = self._driver.events()
        async with contextlib.aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if subscribed.is_set():
                    self._contact = datetime.now(UTC)
                    self._take(event)
                subscribed.set()

    def _found(self) -> None:
        self._contact = datetime.now(UTC)
        if self.stale_since is not None:
            self.fresh_since = self._contact
        self.reached, self.stale_since, self.problem = True, None, None
        self._tried.set()
        _call(self.on_engine, None)
        _call(self.on_images)

    def _lost(self, error: PlatformError) -> None:
        problem = error if isinstance(error, Unavailable) else Unavailable(error.message)
        first = self.problem is None
        self.problem = problem
        if self.stale_since is None:
            self.stale_since = self._contact
        self._tried.set()
        if first:
            _log.warning("%s", problem)
            _call(self.on_engine, problem)

    # -- what happens

    def _take(self, event: EngineEvent) -> None:
        _call(self.on_event, event)
        if event.kind == "image" or event.action == "commit":
            _call(self.on_images)
        elif event.kind == "network":
            # A container that starts is connected on the way, and its start is told too.
            known = self.containers.get(event.attributes.get("container", ""))
            if known is not None and known.running:
                self.refresh(known.id)
        elif event.action == "destroy":
            self.drop(event.id)
        elif event.kind == "container":
            self.refresh(event.id)

    def refresh(self, container: str) -> None:
        """Inspect a container soon; all who want it while one is under way share the next one."""
        if container in self._inspecting:
            self._again.add(container)
        elif container not in self._gone:
            task = asyncio.get_running_loop().create_task(self._inspect(container))
            self._inspecting[container] = task

    async def _inspect(self, container: str) -> None:
        try:
            wanted = True
            while wanted:
                async with self._inspects:
                    self._again.discard(container)
                    try:
                        self.put(await self._driver.inspect(container, mirror=True))
                    except NotFound:
                        self.drop(container)
                    except PlatformError as error:
                        # The next list tells what this would have told.
                        _log.debug("%s could not be inspected: %s", container[:12], error)
                wanted = container in self._again
        finally:
            self._again.discard(container)
            self._inspecting.pop(container, None)

    async def detailed(self, container: str) -> EngineContainer:
        """Return a container with its details, which are read once and kept until it changes.

        Raises
        ------
        NotFound
            It is gone.
        Unavailable
            Its details were never read, and the engine does not answer.
        """
        known = self.containers.get(container)
        if known is not None and known.detail is not None:
            return known
        found = await self._driver.inspect(container)
        self.put(found)
        return self.containers.get(container, found)

    # -- what is known

    def put(self, container: EngineContainer) -> EngineContainer:
        """Take an answer of the engine's in, unless a newer one is here; return what counts."""
        if container.id in self._gone:
            return container
        before = self.containers.get(container.id)
        if before is not None and before.read_at > container.read_at:
            return before
        self.containers[container.id] = container
        if before != container:
            _call(self.on_change, container.id)
        return container

    def drop(self, container: str) -> None:
        """Forget a container that is gone; its id never comes back."""
        self._gone[container] = None
        if len(self._gone) > TOMBSTONES:
            del self._gone[next(iter(self._gone))]
        if self.containers.pop(container, None) is not None:
            _call(self.on_change, container)

    def saw_end(self, container: str) -> bool:
        """Whether the engine said that a container is gone."""
        return container in self._gone

    async def _list(self, *, keep: bool) -> None:
        """List all containers and apply it; `keep`: events were followed since the last one."""
        asked = time.monotonic()
        listed = await self._driver.list_containers(mirror=True)
        for number, container in enumerate(listed):
            self._apply(container, keep=keep)
            if number % 200 == 199:
                await asyncio.sleep(0)
        present = {container.id for container in listed}
        for id_ in self._missing(present, asked):
            self.drop(id_)

    def _missing(self, present: Iterable[str], asked: float) -> list[str]:
        # One that was seen after the list was asked for is younger than the list.
        absent = self.containers.keys() - present
        return [id_ for id_ in absent if self.containers[id_].read_at < asked]

    def _apply(self, listed: EngineContainer, *, keep: bool) -> None:
        before = self.containers.get(listed.id)
        if before is None or before.detail is None:
            self.put(listed)
            return
        if before.read_at > listed.read_at or listed.id in self._gone:
            return
        if _differs(before, listed):
            self.put(listed)
            self.refresh(listed.id)
        elif not keep:
            # Events were missed: the list agrees, but what it does not tell may have changed.
            self.containers[listed.id] = replace(listed, image=before.image)


def _differs(before: EngineContainer, listed: EngineContainer) -> bool:
    # A listing shows an id where the image's name has moved on; the name it was started by stays.
    return replace(before, detail=None, image="") != replace(listed, image="")


def _call(callbacks: Iterable[Callable[..., None]], *args: object) -> None:
    for callback in list(callbacks):
        try:
            callback(*args)
        except Exception:
            # One who listens badly must not keep the others, or the mirror, from hearing.
            _log.exception("A listener of the mirror failed.")
