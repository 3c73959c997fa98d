"""Rules of containers: who may do what to which, and in what order."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..api.route import Change, Page
from ..errors import Conflict, NotFound, PlatformError, Unavailable
from ..operations.running import Running
from ..store import utcnow
from . import views
from .access import Access
from .changing import Changing
from .connection import new_password
from .creation import Creation
from .defaults import ContainerDefaults
from .keeper import Keeper
from .maker import Maker
from .marks import REFITTED
from .mounted import Witness
from .references import is_refitted
from .registry import Registry
from .replies import Removed
from .schemas import (
    ContainerChange,
    ContainerQuery,
    DeleteQuery,
    NewContainer,
    StopOptions,
)
from .starting import Starter
from .views import Container

if TYPE_CHECKING:
    from .engines import Engines

_log = logging.getLogger(__name__)


class ContainerManager:
    """Containers of everybody: listed, made, started, stopped, changed, deleted."""

    def __init__(
        self,
        access: Access,
        creation: Creation,
        registry: Registry,
        keeper: Keeper,
        maker: Maker,
        starter: Starter,
        engines: Engines,
        defaults: ContainerDefaults,
    ) -> None:
        self._access = access
        self._creation = creation
        self._changing = Changing(access, registry, engines)
        self._registry = registry
        self._keeper = keeper
        self._maker = maker
        self._starter = starter
        self._engines = engines
        self._defaults = defaults

    # -- reading ---------------------------------------------------------------------------------

    async def list(self, caller: Account, query: ContainerQuery) -> Page[Container]:
        """The caller's containers, newest first; an administrator's list is everybody's.

        Raises
        ------
        Unavailable
            The engine was never reached.
        """
        await self._access.need_reached()
        ids = self._access.directory.seen(caller, query.status)
        part = ids[query.offset : query.offset + query.limit]
        return Page(
            [self._access.directory.view(key) for key in part],
            len(ids),
            query.limit,
            query.offset,
            "containers",
            extra={"stale_since": views.moment(self._engines.local.mirror.stale_since)},
        )

    async def all(self, caller: Account) -> Sequence[Container]:
        """All containers of the caller, newest first.

        Raises
        ------
        Unavailable
            The engine was never reached.
        """
        await self._access.need_reached()
        directory = self._access.directory
        return [directory.view(key) for key in directory.seen(caller, None)]

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """All containers of the caller, for a subscription."""
        page = await self.list(caller, ContainerQuery(limit=1000))
        return {"items": [views.container(item) for item in page.items], **page.extra}

    async def get(self, caller: Account, ref: str) -> Container:
        """A container with everything that is known of it.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref` (id, short id, name or cid).
        """
        found = await self._access.find(caller, ref)
        if found.engine.detail is not None:
            return found
        try:
            return self._access.seen(await self._engines.of(found.id).mirror.detailed(found.id))
        except NotFound:
            await self._keeper.forget(found.id)
            raise NotFound("container", ref) from None
        except Unavailable:
            # What the last list said is better than nothing.
            return found

    async def create(self, caller: Account, body: NewContainer) -> Container | Running[Container]:
        """Make a container and start it; an image that is missing is pulled first.

        Returns
        -------
        Container or Running[Container]
            Long work only where the image has to be pulled.

        Raises
        ------
        InvalidRequest
            A folder, port or limit can't be, or is missing where the caller has a quota.
        QuotaExceeded
            A quota of the caller's would be passed.
        Forbidden
            A folder or image is not allowed.
        NotFound
            The image is somebody else's, or can't be pulled.
        Conflict
            The name or a port is taken.
        Unavailable
            The engine does not answer.
        """
        password = new_password() if body.connect else None
        return await self._creation.create(caller, body, password)

    async def made(self, caller: Account, result: Mapping[str, Any]) -> Container:
        """What `create` returns, by what is kept of its operation.

        Raises
        ------
        NotFound
            It was deleted since, or this server has not heard of it yet.
        """
        return await self.get(caller, str(result["cid"]))

    # -- acting ----------------------------------------------------------------------------------

    async def start(self, caller: Account, ref: str) -> Change[Container]:
        """Start a stopped container; a running one stays as it is.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Forbidden
            A folder of it is not any more what was allowed.
        Conflict
            A port that it publishes or a GPU of it is taken, or the device is full.
        QuotaExceeded
            Its owner may have no more GPUs.
        Unavailable
            The engine does not answer.
        """
        found = await self._access.fresh(caller, ref)
        if found.engine.status in ("running", "restarting"):
            return Change(found, changed=False)
        if found.engine.status == "paused":
            driver = self._engines.driver(found.id)
            await driver.unpause(found.id)
            return Change(self._access.seen(await driver.inspect(found.id)), changed=True)
        before = await self._access.recheck(found)
        starting = self._starter.start(self._registry.by_engine[found.id])
        return await self._access.acted(self._started(found, starting, lambda: before))

    async def _started(
        self,
        found: Container,
        starting: Awaitable[bool],
        before: Callable[[], Witness | None],
    ) -> Change[Container]:
        began, at = time.monotonic(), utcnow()
        changed = await starting
        now = await self._engines.driver(found.id).inspect(found.id)
        await self._maker.verify(now, before())
        seconds = round(time.monotonic() - began, 4)
        self._access.directory.timelines[found.id] = [
            {"step": "start", "at": views.moment(at), "seconds": seconds}
        ]
        return Change(self._access.seen(now), changed)

    async def stop(
        self, caller: Account, ref: str, query: StopOptions, body: StopOptions
    ) -> Change[Container]:
        """Stop a running container; a stopped one stays as it is.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Unavailable
            The engine does not answer.
        """
        found = await self._access.fresh(caller, ref)
        if not found.engine.running:
            return Change(found, changed=False)
        return await self._access.acted(self._stopped(found, self._patience(query, body)))

    async def _stopped(self, found: Container, timeout: int) -> Change[Container]:
        driver = self._engines.driver(found.id)
        changed = await driver.stop(found.id, timeout)
        now = self._access.seen(await driver.inspect(found.id))
        # What it took is free before anybody is told that it has ended.
        await self._keeper.settled()
        return Change(now, changed)

    async def restart(
        self, caller: Account, ref: str, query: StopOptions, body: StopOptions
    ) -> Change[Container]:
        """Stop a container where it runs, and start it.

        Raises
        ------
        NotFound, Forbidden, Conflict, Unavailable
            As `start`.
        """
        found = await self._access.fresh(caller, ref)
        # Nothing is stopped that could not be started again.
        before = await self._access.recheck(found)

        async def act() -> Change[Container]:
            if not found.engine.running:
                starting = self._starter.start(self._registry.by_engine[found.id])
                return Change((await self._started(found, starting, lambda: before)).value, True)
            seen = before

            async def stop() -> None:
                nonlocal seen
                await self._engines.driver(found.id).stop(found.id, self._patience(query, body))
                # Which took as long as the container liked.
                seen = await self._access.recheck(found)

            known = self._registry.by_engine[found.id]
            restarting = self._starter.restart(known, stop)
            return Change((await self._started(found, restarting, lambda: seen)).value, True)

        return await self._access.acted(act())

    def _patience(self, *options: StopOptions) -> int:
        given = (option.timeout for option in options if option.timeout is not None)
        return next(given, self._defaults.stop_timeout)

    async def update(self, caller: Account, ref: str, body: ContainerChange) -> Container:
        """Change a container's name, limits or restart policy.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        InvalidRequest
            The machine has less.
        QuotaExceeded
            A quota of its owner's would be passed.
        Conflict
            The name is taken.
        """
        return await self._changing.update(caller, ref, body)

    async def delete(self, caller: Account, ref: str, query: DeleteQuery) -> Removed:
        """Delete a container: a running one is stopped first, killed or refused, as `force` says.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Conflict
            It runs, and ``force=false`` was asked for.
        Unavailable
            The engine does not answer.
        """
        found = await self._access.fresh(caller, ref)
        if found.engine.running and query.force is False:
            raise Conflict(
                "container",
                found.name,
                f"{found.name} is running. Stop it first, or delete it without force=false.",
            )
        await self._access.acted(self._deleted(found, query))
        return {"id": found.id}

    async def _deleted(self, found: Container, query: DeleteQuery) -> None:
        driver = self._engines.driver(found.id)
        try:
            if found.engine.running and not query.force:
                await driver.stop(found.id, self._defaults.stop_timeout)
            # By force also without being asked: a restart policy may have been faster.
            force = query.force is not False
            await driver.remove(found.id, force=force, volumes=query.volumes)
        except NotFound:
            _log.debug("%s was gone already", found.name)
        await self._keeper.forget(found.id)
        image = found.engine.labels.get(REFITTED, "")
        if is_refitted(image, found.cid):
            # Nobody else's container was made of it; images that were are kept by the engine.
            with suppress(PlatformError):
                await driver.remove_image(image)
