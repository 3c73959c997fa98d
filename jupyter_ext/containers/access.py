"""What every manager of containers needs: find one for a caller, ask, say what the engine said."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from ..accounts.schemas import Account
from ..devices.records import LOCAL_DEVICE
from ..errors import Forbidden, InvalidRequest, NotFound, Unavailable
from .directory import Directory
from .engine_types import EngineContainer, EngineInfo, EngineMount
from .engines import Engines
from .fields import MEGABYTE
from .keeper import Keeper
from .looker import Looker
from .mounted import Witness
from .mounts import MountPolicy
from .people import People
from .registry import Registry
from .views import Container

FIRST_LIST_SECONDS = 4.0

T = TypeVar("T")


class Access:
    """Containers as callers reach them."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        keeper: Keeper,
        people: People,
        engines: Engines,
        mounts: MountPolicy,
        look: Looker,
    ) -> None:
        self.directory = directory
        self._registry = registry
        self._keeper = keeper
        self._people = people
        self._engines = engines
        self._mounts = mounts
        self._look = look
        self._infos: dict[int, EngineInfo] = {}
        self.working: set[asyncio.Task[Any]] = set()
        """What was begun for callers and goes on without them."""

    async def find(self, caller: Account, ref: str) -> Container:
        """The caller's container, from memory.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref` (id, short id, name or cid).
        Unavailable
            The engine was never reached.
        """
        await self.need_reached()
        return self.directory.find(caller, ref)

    async def fresh(self, caller: Account, ref: str) -> Container:
        """A container as the engine sees it now, for who is going to change it.

        Raises
        ------
        NotFound, Unavailable
            As `find`; also where the engine does not answer now.
        """
        found = await self.find(caller, ref)
        try:
            return self.seen(await self._engines.driver(found.id).inspect(found.id))
        except NotFound:
            await self._keeper.forget(found.id)
            raise NotFound("container", ref) from None

    def seen(self, engine: EngineContainer) -> Container:
        """Put the engine's answer where everybody reads it."""
        self._engines.put(engine)
        if engine.id not in self._registry.by_engine:
            raise NotFound("container", engine.id[:12])
        return self.directory.view(engine.id, engine)

    async def need_reached(self) -> None:
        """Refuse while nobody knows what the engine has.

        Raises
        ------
        Unavailable
            No engine was ever reached.
        """
        if any(engine.mirror.reached for engine in self._engines):
            return
        local = self._engines.local
        # Says what is wrong and how to mend it; where nothing is, the first list is on its way.
        await local.driver.ping()
        until = asyncio.get_running_loop().time() + FIRST_LIST_SECONDS
        while not local.mirror.reached:
            if asyncio.get_running_loop().time() > until:
                raise Unavailable("Docker has not listed its containers yet.", "Try again.")
            await asyncio.sleep(0.05)

    async def acted(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish what was begun, whoever goes away."""
        task = asyncio.get_running_loop().create_task(work)
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        return await asyncio.shield(task)

    async def owner(self, found: Container) -> Account:
        """Whose a container is."""
        return await self._people.account(self._registry.by_engine[found.id].owner)

    async def recheck(self, found: Container) -> Witness | None:
        """Look again at the folders of a container that is to be started.

        Returns
        -------
        Witness or None
            What its start is compared with (`Maker.verify`).

        Raises
        ------
        Forbidden
            One is not any more what was allowed.
        """
        if not has_folders(found.engine):
            return None
        user = found.engine.detail.user if found.engine.detail else ""
        return await self.looked_at(await self.owner(found), found.engine.mounts, user)

    async def looked_at(
        self, owner: Account, mounts: Sequence[EngineMount], user: str
    ) -> Witness | None:
        """Look at folders just before a start.

        Raises
        ------
        Forbidden
            One is not any more what was allowed.
        """
        if owner.is_admin:
            return None
        # In this order: what is swapped after the check shows against what was seen before it.
        before = await self._look(Witness.of, mounts) if self._engines.local.driver.local else None
        check = partial(self._mounts.check, remapped=await self.remapped())
        await self._look(check, owner, mounts, user)
        return before

    async def refuse_as_root(self, found: Container) -> None:
        """Keep the engine, which is root, from touching a user's folders of the host for them.

        Raises
        ------
        Forbidden
            The container has some, and its owner is no administrator.
        """
        if not has_folders(found.engine) or await self.remapped():
            return
        if not (await self.owner(found)).is_admin:
            raise Forbidden(
                f"{found.name} has folders of the host, and files of such a container are copied "
                "only by the container itself: use its terminal, or the folder."
            )

    async def check_limits(self, cpu: float | None, mem: int | None) -> None:
        """Refuse more than the machine has.

        Raises
        ------
        InvalidRequest
            Naming what is too much.
        """
        if not cpu and not mem:
            return
        info = await self.engine_info()
        problems: dict[str, str] = {}
        if cpu and cpu > info.cpus:
            problems["cpu"] = f"the machine has {info.cpus} cores"
        if mem and mem * MEGABYTE > info.memory:
            problems["mem"] = f"the machine has {info.memory // MEGABYTE} MB"
        if problems:
            raise InvalidRequest(fields=problems)

    async def engine_info(self, did: int = LOCAL_DEVICE) -> EngineInfo:
        """What a device's engine says of itself, asked once."""
        if did not in self._infos:
            self._infos[did] = await self._engines.on(did).driver.info()
            if did == LOCAL_DEVICE:
                self._mounts.protect(self._infos[did].root)
        return self._infos[did]

    async def remapped(self) -> bool:
        """Whether a container's root is nobody's on the host."""
        info = await self.engine_info()
        return info.rootless or info.user_namespaces


def has_folders(engine: EngineContainer) -> bool:
    """Whether a container has folders of the host."""
    return any(mount.kind == "bind" for mount in engine.mounts)
