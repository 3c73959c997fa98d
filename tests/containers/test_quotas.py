"""Containers count against quotas from their claim to their end, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from jupyter_ext.accounts.quota_ledger import QuotaLedger
from jupyter_ext.accounts.quota_limits import user_subject
from jupyter_ext.accounts.records import QuotaRecord, QuotaUseRecord
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers.records import ContainerRecord, PortClaim
from jupyter_ext.containers.registry import Registry
from jupyter_ext.containers.schemas import ContainerChange, DeleteQuery, NewContainer
from jupyter_ext.containers.shares import ContainerHolder, Share
from jupyter_ext.containers.views import Container
from jupyter_ext.devices.ledger import DeviceLedger
from jupyter_ext.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PlatformError,
    QuotaExceeded,
    Unavailable,
)
from jupyter_ext.operations.running import Running
from jupyter_ext.store import Store
from jupyter_ext.store.leases import ServerLease

from ..store.test_database import reopened
from .conftest import ADMIN, ALICE, BOB, World
from .memory_engine import MemoryEngine

MB = 1 << 20


async def make(world: World, name: str, who: Account = ALICE, **more: object) -> Container:
    body = NewContainer.model_validate({"name": name, "image": "busybox", **more})
    made = await world.containers.create(who, body)
    assert isinstance(made, Container)
    return made


async def limit(store: Store, **amounts: int) -> None:
    async with store.write() as session:
        for resource, amount in amounts.items():
            await session.merge(
                QuotaRecord(subject=user_subject(ALICE.id), resource=resource, amount=amount)
            )


async def used(store: Store, who: Account = ALICE) -> dict[str, int]:
    async with store.read() as session:
        rows = await session.scalars(
            select(QuotaUseRecord).where(QuotaUseRecord.user_id == who.id, QuotaUseRecord.used > 0)
        )
        return {row.resource: row.used for row in rows}


async def nothing_is_left(world: World) -> None:
    assert await used(world.store) == {}
    assert world.engine.containers == {}
    async with world.store.read() as session:
        assert not (await session.scalars(select(ContainerRecord))).all()
        assert not (await session.scalars(select(PortClaim))).all()


async def test_a_refused_container_leaves_nothing_behind(world: World) -> None:
    await limit(world.store, containers=2)
    await make(world, "one")
    await make(world, "two")
    with pytest.raises(QuotaExceeded) as caught:
        await make(world, "three", ports={"80/tcp": 8080})
    assert caught.value.details == {
        "resource": "containers",
        "limit": 2,
        "used": 2,
        "requested": 1,
        "by": ["two", "one"],
    }
    assert len(world.engine.containers) == 2
    # Its name and port are nobody's, and other people have limits of their own.
    await make(world, "three", BOB, ports={"80/tcp": 8080})
    await world.containers.delete(ALICE, "one", DeleteQuery())
    await make(world, "three")
    assert await used(world.store) == {"containers": 2}


async def test_a_stopped_container_counts(world: World) -> None:
    await limit(world.store, cpu=1000)
    made = await make(world, "one", cpu=1)
    await world.engine.stop(made.id)
    await world.settled()
    with pytest.raises(QuotaExceeded):
        await make(world, "two", cpu=0.5)


async def test_a_container_needs_a_limit_under_a_quota(world: World) -> None:
    await limit(world.store, cpu=2000, memory=512 * MB)
    with pytest.raises(InvalidRequest) as caught:
        await make(world, "web", cpu=0)
    assert set(caught.value.fields) == {"cpu", "mem"}
    assert caught.value.fields["mem"].startswith("must be set, to 512 or less")
    await nothing_is_left(world)
    await make(world, "web", cpu=0.5, mem=128)
    assert await used(world.store) == {"containers": 1, "cpu": 500, "memory": 128 * MB}
    # The operator's defaults are limits, too.
    world.defaults.cpu, world.defaults.mem = 1.5, 64
    await make(world, "default")
    assert await used(world.store) == {"containers": 2, "cpu": 2000, "memory": 192 * MB}


@pytest.mark.parametrize("port", [None, 8080])
async def test_what_could_not_be_made_is_given_back(world: World, port: int | None) -> None:
    world.engine.busy_ports = {8080}
    ports = {"80/tcp": port}
    if port:
        with pytest.raises(Conflict):
            await make(world, "web", cpu=1, mem=64, ports=ports)
    else:
        world.engine.busy_ports = set(range(20_000, 32_001))
        with pytest.raises(PlatformError):
            await make(world, "web", cpu=1, mem=64, ports=ports)
    await nothing_is_left(world)


async def test_an_image_that_can_not_be_pulled_gives_back(world: World) -> None:
    body = NewContainer(name="web", image="nowhere", cpu=1, mem=64)
    world.engine.pull_gate.clear()
    begun = await world.containers.create(ALICE, body)
    assert isinstance(begun, Running)
    assert (await used(world.store))["cpu"] == 1000
    world.engine.pull_gate.set()
    with pytest.raises(NotFound):
        await begun.wait()
    await nothing_is_left(world)


async def test_a_taken_name_takes_nothing_else(world: World) -> None:
    await make(world, "web", cpu=1)
    with pytest.raises(Conflict):
        await make(world, "web", cpu=1)
    assert await used(world.store) == {"containers": 1, "cpu": 1000}


async def test_other_limits_of_a_container_are_another_claim(world: World) -> None:
    await limit(world.store, cpu=3000, memory=512 * MB)
    made = await make(world, "web", cpu=1, mem=64)
    await make(world, "other", cpu=1, mem=64)
    change = ContainerChange(cpu=2, mem=128)
    await world.containers.update(ALICE, "web", change)
    assert await used(world.store) == {"containers": 2, "cpu": 3000, "memory": 192 * MB}
    with pytest.raises(QuotaExceeded) as caught:
        await world.containers.update(ALICE, "web", ContainerChange(cpu=2.5))
    assert caught.value.details["requested"] == 0.5
    assert caught.value.details["by"] == ["web", "other"]
    detail = world.engine.containers[made.id].detail
    assert detail is not None
    assert (detail.cpu, detail.memory) == (2, 128 * MB)
    # An administrator passes the owner's limits no more than the owner does.
    with pytest.raises(QuotaExceeded):
        await world.containers.update(ADMIN, "web", ContainerChange(mem=0))
    await world.containers.update(ALICE, "web", ContainerChange(cpu=0.5, restart_policy="always"))
    assert await used(world.store) == {"containers": 2, "cpu": 1500, "memory": 192 * MB}
    await world.containers.update(ALICE, "web", ContainerChange(restart_policy="no"))
    assert await used(world.store) == {"containers": 2, "cpu": 1500, "memory": 192 * MB}


async def test_limits_that_the_engine_refuses_are_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(world, "web", cpu=1, mem=64)

    async def refuse(container: str, change: object) -> None:
        raise Unavailable("Docker does not answer.")

    monkeypatch.setattr(world.engine, "update", refuse)
    with pytest.raises(Unavailable):
        await world.containers.update(ALICE, "web", ContainerChange(cpu=2))
    await world.settled()
    assert await used(world.store) == {"containers": 1, "cpu": 1000, "memory": 64 * MB}


async def test_less_is_always_possible(world: World) -> None:
    await make(world, "web", cpu=4, mem=64)
    await limit(world.store, cpu=1000)
    await world.containers.update(ALICE, "web", ContainerChange(cpu=2))
    assert (await used(world.store))["cpu"] == 2000


async def test_what_the_docker_command_changes_is_counted(world: World) -> None:
    made = await make(world, "web", cpu=1, mem=64)
    await limit(world.store, cpu=1000)
    detail = made.engine.detail
    assert detail is not None
    world.engine._set(made.id, detail=replace(detail, cpu=3.5))
    world.engine.emit("container", "update", made.id)
    await world.settled()
    assert await used(world.store) == {"containers": 1, "cpu": 3500, "memory": 64 * MB}
    assert world.service.registry.by_cid[made.cid].share == Share(3500, 64 * MB)


def test_adopted_containers_count_and_are_not_refused(
    make_world: Callable[..., World], jp_asyncio_loop: asyncio.AbstractEventLoop, store: Store
) -> None:
    engine = MemoryEngine()
    engine.add_image()
    for name in ("one", "two"):
        id_ = engine.add_container(name, "busybox:latest")
        detail = engine.containers[id_].detail
        assert detail is not None
        engine._set(id_, detail=replace(detail, cpu=1.5, memory=1 << 62))

    async def check() -> None:
        async with store.write() as session:
            session.add(
                QuotaRecord(subject=user_subject(ADMIN.id), resource="containers", amount=1)
            )
        # They were there before the server, and come after it started.
        engine.add_container("three", "busybox:latest")
        await world.settled()
        found = await used(store, ADMIN)
        assert (found["containers"], found["cpu"], found["memory"]) == (3, 3000, 1 << 51)
        with pytest.raises(QuotaExceeded):
            await make(world, "four", ADMIN)

    world = make_world(engine)
    jp_asyncio_loop.run_until_complete(check())


async def test_what_vanishes_is_given_back(world: World) -> None:
    made = await make(world, "web", cpu=1, mem=64)
    world.engine.vanish(made.id)
    await world.settled()
    assert await used(world.store) == {}
    # Given back once, whoever releases it again.
    await make(world, "web", cpu=1, mem=64)
    await world.service.registry.release([made.cid])
    assert await used(world.store) == {"containers": 1, "cpu": 1000, "memory": 64 * MB}


async def test_sums_heal_from_the_records(world: World, store: Store) -> None:
    await make(world, "web", cpu=1, mem=64)
    await make(world, "bobs", BOB, cpu=0.25)
    async with store.write() as session:
        await session.execute(update(QuotaUseRecord).values(used=77))
        await session.execute(delete(QuotaUseRecord).where(QuotaUseRecord.user_id == BOB.id))
    ledger = QuotaLedger(store)
    ledger.register(ContainerHolder())
    await ledger.reconcile()
    assert await used(store) == {"containers": 1, "cpu": 1000, "memory": 64 * MB}
    assert await used(store, BOB) == {"containers": 1, "cpu": 250}


async def test_servers_claim_containers_together(world: World, store: Store) -> None:
    """Each claims and releases as fast as it can; the limit holds and the sums are right."""
    await limit(store, containers=5, cpu=10_000)
    other = await reopened(store)
    lease = ServerLease(other)
    await lease.start()
    far = Registry(other, lease, QuotaLedger(other), DeviceLedger(other))
    await far.load()
    registries = [world.service.registry, far]
    # The quota is what is tried here, not the machine.
    await far.holdings.set_device(1, 1_000_000, 1 << 40, "")
    policy = world.defaults.ports
    refused = 0

    async def churn(number: int) -> None:
        nonlocal refused
        registry = registries[number % 2]
        for round_ in range(6):
            # The same few names, so that claims and releases wait for each other.
            name = f"c{(number + round_) % 4}"
            try:
                known, _ = await registry.claim(
                    ALICE.id, name, "busybox", {"80/tcp": None}, policy, Share(1000, MB)
                )
            except (QuotaExceeded, Conflict):
                refused += 1
                continue
            async with store.read() as session:
                rows = (await session.scalars(select(ContainerRecord))).all()
                assert len(rows) <= 5
            await registry.resize({known.cid: Share(2000, MB)}, refuse=number % 3 == 0)
            await registry.release([known.cid])

    try:
        await asyncio.gather(*(churn(number) for number in range(8)))
        assert await used(store) == {}
        outcomes: list[Any] = await asyncio.gather(
            *(
                registries[number % 2].claim(ALICE.id, f"n{number}", "busybox", {}, policy)
                for number in range(16)
            ),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert (kinds.count(tuple), kinds.count(InvalidRequest)) == (0, 16)
        await limit(store, cpu=3000)
        outcomes = await asyncio.gather(
            *(
                registries[number % 2].claim(
                    ALICE.id, f"n{number}", "busybox", {}, policy, Share(500)
                )
                for number in range(16)
            ),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert (kinds.count(tuple), kinds.count(QuotaExceeded)) == (5, 11)
        assert await used(store) == {"containers": 5, "cpu": 2500}
    finally:
        await lease.stop()
        await other.close()
