"""A service of containers on an engine in memory, and the people who use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers.contents import ContainerContents
from jupyter_ext.containers.defaults import ContainerDefaults
from jupyter_ext.containers.images import ImageManager
from jupyter_ext.containers.manager import ContainerManager
from jupyter_ext.containers.service import ContainerService
from jupyter_ext.events.bus import Bus, Event
from jupyter_ext.operations.manager import Operations
from jupyter_ext.store import Store, utcnow
from jupyter_ext.store.base import Counter
from jupyter_ext.store.leases import ServerLease

from .memory_engine import MemoryEngine

ADMIN = Account("user-1", "admin", "admin")
ALICE = Account("user-2", "alice", "user")
BOB = Account("user-3", "bob", "user")


class People:
    """The accounts that there are."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = {account.username: account for account in accounts}

    async def names(self) -> dict[str, str]:
        return {account.id: account.username for account in self._accounts.values()}

    async def by_name(self, username: str) -> Account:
        return self._accounts[username]

    async def owner(self) -> Account:
        return ADMIN


async def register(store: Store, *accounts: Account) -> None:
    """Give accounts their rows, which what they use is counted by."""
    async with store.write() as session:
        # Numbers that were given by hand are not given again.
        await session.merge(Counter(name="users", value=1000))
        for account in accounts:
            await session.merge(
                UserRecord(
                    id=account.id,
                    username=account.username,
                    role=account.role,
                    enabled=True,
                    permissions=[],
                    created_at=utcnow(),
                )
            )


class Listening(Bus):
    """A bus that keeps all that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Event] = []

    def publish(
        self,
        topic: str,
        data: Any,
        *,
        owner: str | None = None,
        key: str | None = None,
        alone: bool = False,
    ) -> Event:
        event = super().publish(topic, data, owner=owner, key=key, alone=alone)
        self.told.append(event)
        return event

    def of(self, topic: str) -> list[Any]:
        return [event.data for event in self.told if event.topic == topic]


@dataclass
class World:
    """All that a test of the rules needs."""

    engine: MemoryEngine
    service: ContainerService
    store: Store
    bus: Listening
    operations: Operations
    root: Path
    defaults: ContainerDefaults

    @property
    def containers(self) -> ContainerManager:
        return self.service.containers

    @property
    def images(self) -> ImageManager:
        return self.service.images

    @property
    def contents(self) -> ContainerContents:
        return next(item for item in self.service.managers if isinstance(item, ContainerContents))

    async def settled(self) -> None:
        """Wait until the mirror has heard of all that happened."""
        for _ in range(30):
            await asyncio.sleep(0.01)
            await self.service.keeper.settled()
            task = self.service.image_keeper._task
            if task is None or task.done():
                await asyncio.sleep(0)


@pytest.fixture
def make_world(
    store: Store,
    lease: ServerLease,
    tmp_path: Path,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> Iterator[Callable[..., World]]:
    """Start a service: ``make_world(engine=…)``; a second one is the same server started again."""
    made: list[World] = []

    def make(engine: MemoryEngine | None = None, **more: Any) -> World:
        engine = engine or MemoryEngine()
        root = tmp_path / "notebooks"
        root.mkdir(exist_ok=True)
        bus = Listening()
        defaults = ContainerDefaults()

        async def begin() -> World:
            await register(store, ADMIN, ALICE, BOB)
            operations = Operations(store, bus, lease)
            service = ContainerService(
                store,
                bus,
                operations,
                People(ADMIN, ALICE, BOB),
                lease,
                cast(Any, engine),
                notebook_root=root,
                home=tmp_path / "state",
                defaults=defaults,
                **more,
            )
            world = World(engine, service, store, bus, operations, root, defaults)
            made.append(world)
            await service.start()
            await world.settled()
            return world

        return jp_asyncio_loop.run_until_complete(begin())

    yield make
    for world in made:
        jp_asyncio_loop.run_until_complete(world.service.stop())
        jp_asyncio_loop.run_until_complete(world.operations.stop())


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A service with one image, ``busybox:latest``."""
    engine = MemoryEngine()
    engine.add_image()
    return make_world(engine)
