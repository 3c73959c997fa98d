"""What the store says of devices, on both databases: no engine twice, none removed in use."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from jupyter_ext.containers.gpu_probe import read
from jupyter_ext.containers.swarm_types import SwarmNode
from jupyter_ext.devices import nodes
from jupyter_ext.devices.inventory import Found
from jupyter_ext.devices.ledger import DeviceLedger
from jupyter_ext.devices.records import LOCAL_DEVICE, DeviceRecord
from jupyter_ext.errors import Conflict
from jupyter_ext.store import Store, utcnow


@pytest.fixture
def ledger(store: Store) -> DeviceLedger:
    return DeviceLedger(store)


async def add(store: Store, name: str, engine: str | None) -> int:
    row = DeviceRecord(name=name, engine=engine, created_at=utcnow())
    async with store.write() as session:
        session.add(row)
        await session.flush()
        return row.did


async def test_an_engine_is_one_device(store: Store, ledger: DeviceLedger) -> None:
    await store.open()
    await add(store, "one", "A:B")
    with pytest.raises(IntegrityError):
        await add(store, "two", "A:B")
    # Those that were never reached have none, as the machine's own before its first answer.
    await add(store, "three", None)
    four = await add(store, "four", None)
    async with store.write() as session:
        assert not await ledger.set_engine(session, four, "A:B")
        assert await ledger.set_engine(session, four, "C:D")
        assert await ledger.set_engine(session, LOCAL_DEVICE, "")
        assert await ledger.set_engine(session, LOCAL_DEVICE, "E:F")
    async with store.read() as session:
        engines = dict(
            (await session.execute(select(DeviceRecord.name, DeviceRecord.engine))).all()
        )
    assert engines == {"local": "E:F", "one": "A:B", "three": None, "four": "C:D"}


async def test_who_needs_a_device_keeps_it(store: Store, ledger: DeviceLedger) -> None:
    await store.open()
    did = await add(store, "far", "A:B")
    order: list[str] = []

    async def place() -> None:
        async with store.write() as session:
            await ledger.need(session, did)
            order.append("needed")
            await asyncio.sleep(0.3)
            order.append("placed")

    async def remove() -> None:
        while not order:
            await asyncio.sleep(0.01)
        async with store.write() as session:
            row = select(DeviceRecord.did).where(DeviceRecord.did == did)
            await session.execute(row.with_for_update())
            order.append("removed")
            await session.execute(delete(DeviceRecord).where(DeviceRecord.did == did))

    await asyncio.gather(place(), remove())
    assert order == ["needed", "placed", "removed"]
    async with store.write() as session:
        with pytest.raises(Conflict, match="removed meanwhile"):
            await ledger.need(session, did)
        await ledger.need(session, LOCAL_DEVICE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GPU-5f1c, NVIDIA L4, 23034\n", [Found("GPU-5f1c", "NVIDIA L4", 23034 << 20)]),
        # What a host may say that wants more than its own.
        ("GPU-1,all, NVIDIA L4, 23034\n", []),
        ('"GPU-1,GPU-2", NVIDIA L4, 23034\n', []),
        ("GPU-1\x00, NVIDIA L4, 1\n", []),
        (f"GPU-{'x' * 200}, NVIDIA L4, 1\n", []),
        (f"GPU-1, NVIDIA L4, {'9' * 30}\n", []),
        ("GPU-1, NVIDIA L4, ²\n", []),
        ("No devices were found\n", []),
    ],
)
def test_what_a_host_says_of_its_gpus(text: str, found: list[Found]) -> None:
    assert read(text) == found


async def test_a_node_is_a_device_as_soon_as_it_told_its_name(store: Store) -> None:
    await store.open()
    # What a manager knows of a node until it hears of it for the first time.
    joined = SwarmNode("n" * 25, "", "active", "unknown")

    async def names(node: SwarmNode) -> set[str]:
        async with store.write() as session:
            await nodes.follow(session, "", [node])
        async with store.read() as session:
            return set(await session.scalars(select(DeviceRecord.name)))

    assert await names(joined) == {"local"}
    heard = replace(joined, hostname="gpu-7", state="ready")
    assert await names(heard) == {"local", "gpu-7"}
    # It is not forgotten, or called otherwise, where a manager knows less of it again.
    assert await names(joined) == {"local", "gpu-7"}
