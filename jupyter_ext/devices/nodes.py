"""What the store has of a swarm's nodes: a device each, for as long as it is in the swarm."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..containers.records import ContainerRecord, ImageRecord
from ..containers.swarm_types import SwarmNode
from ..errors import Conflict
from ..store.types import utcnow
from .admission import Admitted
from .inventory import Found, same_gpu
from .ledger import DeviceLedger
from .records import LOCAL_DEVICE, DeviceRecord, GpuRecord

LEFT = "left"
"""The state of a node that is in the swarm no more, and has containers of ours."""

DOWN = {"down", "disconnected"}
DRAINED = {"drain", "pause"}

HELD_BACK = {LEFT, *DOWN, *DRAINED}
"""States in which nothing new is placed on a node."""

LONGEST_NAME = 63


def state_of(node: SwarmNode) -> str:
    """Return what matters of a node: that it is down, otherwise what its operator wants of it."""
    if node.state in DOWN:
        return node.state
    return node.availability if node.availability in DRAINED else "ready"


async def count_left(session: AsyncSession, did: int) -> int:
    """Count the containers on a device, on which nobody places another one meanwhile."""
    await session.execute(select(DeviceRecord.did).where(DeviceRecord.did == did).with_for_update())
    count = select(func.count()).select_from(ContainerRecord)
    return int((await session.execute(count.where(ContainerRecord.device == did))).scalar_one())


async def forget(session: AsyncSession, did: int) -> None:
    """Take a device out of the store, whose containers are forgotten already."""
    await session.execute(delete(GpuRecord).where(GpuRecord.device == did))
    await session.execute(delete(ImageRecord).where(ImageRecord.device == did))
    await session.execute(delete(DeviceRecord).where(DeviceRecord.did == did))


def check_same(row: DeviceRecord, admitted: Admitted) -> None:
    """See that an engine is the one that a device had, and the node that it is.

    Raises
    ------
    Conflict
        It is another one.
    """
    info, where = admitted.info, admitted.address.url
    if row.engine and info.id and row.engine != info.id:
        raise Conflict(
            "device",
            row.name,
            f"The engine at {where} is not the one of {row.name}: add it as a device of its own.",
            fields={"address": "is another engine's"},
        )
    if row.node is not None and row.node_state != LEFT and row.node != info.node:
        raise Conflict(
            "device",
            row.name,
            f"The engine at {where} is not the swarm's node {row.node}.",
            fields={"address": "is another node's"},
        )


async def follow(session: AsyncSession, own: str, nodes: Sequence[SwarmNode]) -> bool:
    """Write down who is in the swarm, and how.

    Parameters
    ----------
    own
        The node that the machine's own engine is; empty where it is in no swarm.

    Returns
    -------
    bool
        Whether anything changed.
    """
    rows = {row.node: row for row in await session.scalars(select(DeviceRecord)) if row.node}
    local = await session.get(DeviceRecord, LOCAL_DEVICE)
    changed = False
    if local is not None and local.node != (own or None):
        # It was in another swarm, or in none.
        rows.pop(local.node or "", None)
        if (twin := rows.pop(own, None)) is not None:
            twin.node, twin.node_state = None, ""
            await session.flush()
        local.node, local.node_state, local.node_since = own or None, "", utcnow()
        await session.flush()
        await _free_gpus(session, LOCAL_DEVICE)
        if own:
            rows[own] = local
        changed = True
    for node in nodes:
        row = rows.pop(node.id, None)
        if row is None:
            if not node.hostname:
                # It has just joined, and tells its name in a moment; a device keeps its first one.
                continue
            row = DeviceRecord(name=await _free_name(session, node), created_at=utcnow())
            row.node = node.id
            session.add(row)
            await session.flush()
            changed = True
        changed |= _write(row, node)
    for row in rows.values():
        changed |= await _leave(session, row)
    await session.flush()
    return changed


async def rejoin(session: AsyncSession, did: int, node: str) -> bool:
    """Have a device be a node that has no engine so far; False where it has one."""
    device = DeviceRecord
    twin = await session.scalar(select(device).where(device.node == node, device.did != did))
    row = await session.get(device, did)
    if row is None or (twin is not None and (twin.address or twin.did == LOCAL_DEVICE)):
        return False
    if twin is not None:
        await forget(session, twin.did)
    row.node, row.node_state, row.node_since = node, "", utcnow()
    return True


async def set_gpus(
    session: AsyncSession, ledger: DeviceLedger, did: int, gpus: Mapping[str, str]
) -> bool:
    """Write down the GPUs that a node's operator declared by UUID.

    A node tells neither model nor memory: what was found by a look stays.

    Returns
    -------
    bool
        Whether anything changed.
    """
    table = GpuRecord.__table__
    rows = (await session.execute(select(table).where(table.c.device == did))).all()
    present = {row.uuid for row in rows if row.present}
    found = []
    for value, kind in sorted(gpus.items()):
        known = next((row for row in rows if same_gpu(value, row.uuid)), None)
        if known is not None:
            found.append(Found(known.uuid, known.model, known.memory_bytes, known.parent))
        else:
            found.append(Found(value, kind, 0))
    if present == {gpu.uuid for gpu in found}:
        return False
    await ledger.set_gpus(session, did, found)
    return True


async def set_foreign(
    session: AsyncSession, ledger: DeviceLedger, held: Mapping[str, Collection[str]]
) -> list[tuple[int, bool]]:
    """Write down which GPUs the swarm's own tasks have, by node; return what changed."""
    rows = await session.execute(select(DeviceRecord.did, DeviceRecord.node))
    changed = []
    for did, node in rows.all():
        changed += await ledger.set_foreign(session, did, held.get(node or "", ()))
    return changed


def _write(row: DeviceRecord, node: SwarmNode) -> bool:
    changed = False
    state = state_of(node)
    if row.node_state != state:
        row.node_state, row.node_since = state, utcnow()
        changed = True
    if not row.address and row.did != LOCAL_DEVICE:
        # Until its engine says so itself.
        changed |= (row.cpu_millis, row.memory_bytes) != (node.cpus, node.memory)
        row.cpu_millis, row.memory_bytes = node.cpus, node.memory
    return changed


async def _leave(session: AsyncSession, row: DeviceRecord) -> bool:
    """A node is in the swarm no more: keep what containers are left on, or was given by hand."""
    if row.address and row.address != row.node_address:
        row.node, row.node_state = None, ""
        await _free_gpus(session, row.did)
        return True
    if await count_left(session, row.did):
        if row.node_state == LEFT:
            return False
        row.node_state, row.node_since = LEFT, utcnow()
        await _free_gpus(session, row.did)
        return True
    await forget(session, row.did)
    return True


async def _free_gpus(session: AsyncSession, did: int) -> None:
    """No task of a swarm has a GPU there any more."""
    gpu = GpuRecord
    await session.execute(update(gpu).where(gpu.device == did).values(foreign=False))


async def _free_name(session: AsyncSession, node: SwarmNode) -> str:
    """Return a name for a node: its host's, and its id behind it where somebody has that."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", node.hostname).lstrip("_.-")[:LONGEST_NAME]
    if not name or name.isdigit():
        name = f"node-{name}".rstrip("-")
    taken = set(await session.scalars(select(DeviceRecord.name)))
    if name not in taken:
        return name
    return f"{name[: LONGEST_NAME - 13]}-{node.id[:12]}"
