"""Servers in this process on the session's real engine, whose clock a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.accounts.quota_ledger import QuotaLedger
from jupyter_ext.accounts.quota_limits import role_subject
from jupyter_ext.accounts.quota_schemas import RULES
from jupyter_ext.accounts.records import QuotaRecord
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.replies import IdleItem
from jupyter_ext.containers.schemas import NewContainer
from jupyter_ext.containers.service import ContainerService
from jupyter_ext.containers.views import Container
from jupyter_ext.devices.nvml import Nvml
from jupyter_ext.devices.watch import GpuWatch
from jupyter_ext.idle.schemas import Keep
from jupyter_ext.idle.service import IdleService
from jupyter_ext.idle.settings import IdleThresholds
from jupyter_ext.operations.manager import Operations
from jupyter_ext.store import Store, utcnow
from jupyter_ext.store.leases import ServerLease

from ..containers.conftest import ADMIN, ALICE, BOB, Listening, People, register
from ..engines.dockerd import Dockerd
from ..engines.stores import MakeStore

STEP = timedelta(minutes=2)
"""Between two looks; five minutes without a measure would not count as idle."""


HOUR = {"idle_minutes": 60, "idle_warning_minutes": 10}


class Time:
    """What servers take for the time."""

    def __init__(self) -> None:
        self.now = utcnow()

    def __call__(self) -> datetime:
        return self.now


class Server:
    """One server of a store."""

    def __init__(self, store: Store, engine: Dockerd, folder: Path, time: Time) -> None:
        self.store = store
        self.time = time
        self.bus = Listening()
        self.lease = ServerLease(store)
        self.operations = Operations(store, self.bus, self.lease)
        quotas = QuotaLedger(store)
        self.service = ContainerService(
            store,
            self.bus,
            self.operations,
            People(ADMIN, ALICE, BOB),
            self.lease,
            DockerDriver(address=engine.url),
            notebook_root=folder,
            home=folder / "state",
            quotas=quotas,
        )
        self.idle = IdleService(
            store,
            self.bus,
            self.lease,
            quotas.limits,
            self.service,
            GpuWatch(store, self.service.devices, Nvml()),
            # The tests' measures are so short that a container's first packets would be traffic.
            IdleThresholds(interval=100, network=100_000),
            time,
        )

    async def start(self) -> None:
        await self.lease.start()
        await self.service.start()

    async def stop(self) -> None:
        await self.idle.stop()
        await self.service.stop()
        await self.operations.stop()
        await self.lease.stop()

    async def run(
        self, name: str, command: str = "sleep 1000", who: Account = ALICE, **more: Any
    ) -> Container:
        """Make a container of alice's."""
        password = more.pop("password", None)
        body = {"name": name, "image": "busybox:latest", "command": ["sh", "-c", command], **more}
        made = await self.service.creation.create(who, NewContainer.model_validate(body), password)
        assert isinstance(made, Container)
        return made

    async def measure(self) -> None:
        """Measure all containers twice, a moment apart."""
        await self.service.sampler.sweep()
        await asyncio.sleep(0.15)
        await self.service.sampler.sweep()

    async def look(self) -> None:
        await self.measure()
        await self.idle.watch.look()

    async def spend(self, minutes: float) -> None:
        """Let time go by, with a look every two minutes."""
        end = self.time.now + timedelta(minutes=minutes)
        while self.time.now < end:
            self.time.now = min(end, self.time.now + STEP)
            await self.look()

    async def keep(self, name: str, who: Account = ALICE, minutes: int | None = None) -> Container:
        return await self.idle.manager.keep(who, name, Keep(minutes=minutes))

    def idle_of(self, made: Container) -> IdleItem | None:
        return self.service.directory.view(made.id).idle

    def status(self, made: Container) -> str:
        return self.service.mirror.containers[made.id].status

    def told(self, event: str) -> list[Any]:
        """Return the events of a kind, without when."""
        return [data for data in self.bus.of("containers") if data["event"] == event]

    def warned(self) -> list[str]:
        return [data["name"] for data in self.told("idle_warning")]

    def stopped(self) -> list[tuple[str, str]]:
        return [(data["name"], data["reason"]) for data in self.told("idle_stopped")]


MakeServers = Callable[[], Server]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make_idle_server(
    make_store: MakeStore,
    docker_engine: Dockerd,
    busybox_image: str,
    tmp_path: Path,
    time: Time,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> Iterator[MakeServers]:
    """Make a server of the store that is not started; what it has is let go of in the end."""
    docker_engine.clean()
    made: list[Server] = []

    def make() -> Server:
        store = make_store()

        async def build() -> Server:
            await register(store, ADMIN, ALICE, BOB)
            return Server(store, docker_engine, tmp_path, time)

        made.append(jp_asyncio_loop.run_until_complete(build()))
        return made[-1]

    yield make
    for server in made:
        jp_asyncio_loop.run_until_complete(server.stop())
    docker_engine.clean()


@pytest.fixture
def server(make_idle_server: MakeServers, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Server:
    server = make_idle_server()
    jp_asyncio_loop.run_until_complete(server.start())
    return server


async def rule(store: Store, **minutes: float) -> None:
    """Set rules of everybody in the role of alice and bob."""
    async with store.write() as session:
        for name, value in minutes.items():
            amount = RULES[name].parse(value)
            await session.merge(
                QuotaRecord(subject=role_subject("user"), resource=name, amount=amount)
            )


def moment(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text).astimezone(UTC)
