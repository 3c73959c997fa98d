"""Writes down who gets which GPUs: on PostgreSQL in one statement, so that it takes one way there.

Between two statements of a transaction every server waits for a processor twice, and whoever is
next in the queue waits for that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from ..store.types import utcnow
from .ledger import DeviceLedger, Taken, free_slot, full
from .placement import Asked, Gpu
from .records import GpuRequest

Grant = tuple[Asked, tuple[Gpu, ...]]

Places = Mapping[int, set[int]]
"""By GPU, the places on it that are taken."""

_AT_ONCE = text("""
WITH planned AS (
  SELECT * FROM jsonb_to_recordset(CAST(:plan AS jsonb))
  AS plan (number int, device int, cpu bigint, memory bigint, gids jsonb, places jsonb)
), waiting AS (
  SELECT r.number, r.cid, r.server FROM gpu_requests r JOIN planned USING (number)
  WHERE r.granted IS NULL FOR UPDATE OF r SKIP LOCKED
), given AS (
  SELECT * FROM planned JOIN waiting USING (number)
), reserved AS (
  INSERT INTO reservations (cid, device, cpu_millis, memory_bytes, server, since)
  SELECT cid, device, cpu, memory, server, now() FROM given
), sums AS (
  SELECT device, CAST(sum(cpu) AS bigint) AS cpu, CAST(sum(memory) AS bigint) AS memory
  FROM given GROUP BY device HAVING sum(cpu) > 0 OR sum(memory) > 0
), ordered AS (
  SELECT did FROM devices WHERE did IN (SELECT device FROM sums)
  ORDER BY did FOR NO KEY UPDATE
), added AS (
  UPDATE devices d
  SET used_cpu_millis = d.used_cpu_millis + s.cpu,
      used_memory_bytes = d.used_memory_bytes + s.memory
  FROM sums s JOIN ordered ON ordered.did = s.device
  WHERE d.did = s.device
    AND (s.cpu = 0 OR d.cpu_millis = 0 OR d.used_cpu_millis + s.cpu <= d.cpu_millis)
    AND (s.memory = 0 OR d.memory_bytes = 0 OR d.used_memory_bytes + s.memory <= d.memory_bytes)
  RETURNING d.did
), claimed AS (
  INSERT INTO gpu_claims (gid, slot, cid, since)
  SELECT CAST(place->>0 AS int), CAST(place->>1 AS int), cid, now()
  FROM given, jsonb_array_elements(places) place
), granted AS (
  UPDATE gpu_requests r SET granted = given.gids, granted_at = now()
  FROM given WHERE r.number = given.number
  RETURNING r.number
)
SELECT number, (SELECT min(device) FROM sums WHERE device NOT IN (SELECT did FROM added))
FROM granted
""")


async def grant(
    session: AsyncSession, ledger: DeviceLedger, given: Sequence[Grant], places: Places
) -> list[Grant]:
    """Write down what was chosen for requests, and return what of it was: who gave up gets none.

    Parameters
    ----------
    places
        Those that were taken when it was chosen (`DeviceLedger.gpus`).

    Raises
    ------
    Conflict
        A device was filled by somebody else since, or somebody changes one of the requests at this
        moment: who comes after it must not be served before.
    IntegrityError
        Somebody else has one of the GPUs since.
    """
    if ledger.is_sqlite:
        return await _step_by_step(session, ledger, given, places)
    taken = {gid: set(slots) for gid, slots in places.items()}
    plan: list[dict[str, Any]] = []
    for asked, gpus in given:
        chosen = []
        for gpu in gpus:
            slot = free_slot(gpu, taken)
            taken.setdefault(gpu.gid, set()).add(slot)
            chosen.append((gpu.gid, slot))
        plan.append(
            {
                "number": asked.number,
                "device": gpus[0].device,
                "cpu": asked.cpu,
                "memory": asked.memory,
                "gids": [gpu.gid for gpu in gpus],
                "places": chosen,
            }
        )
    rows = (await session.execute(_AT_ONCE, {"plan": json.dumps(plan)})).all()
    for _, device in rows:
        if device is not None:
            raise full(device)
    if len(rows) < len(given):
        raise Conflict("gpu", plan[0]["gids"][0], "A request is given up, or taken over, just now.")
    return list(given)


async def _step_by_step(
    session: AsyncSession, ledger: DeviceLedger, given: Sequence[Grant], places: Places
) -> list[Grant]:
    """The same for SQLite, whose statements take no way and change one table each."""
    rows = await session.execute(
        select(GpuRequest.number, GpuRequest.server).where(
            GpuRequest.number.in_([asked.number for asked, _ in given]),
            GpuRequest.granted.is_(None),
        )
    )
    # Another server may have taken it over since.
    servers = {number: server for number, server in rows}
    given = [
        (replace(asked, server=servers[asked.number]), gpus)
        for asked, gpus in given
        if asked.number in servers
    ]
    if given:
        shares = [
            (Taken(asked.cid, gpus[0].device, asked.cpu, asked.memory, asked.server), gpus)
            for asked, gpus in given
        ]
        await ledger.hand_out(session, shares, places)
        values = [
            {
                "number": asked.number,
                "granted": [gpu.gid for gpu in gpus],
                "granted_at": utcnow(),
            }
            for asked, gpus in given
        ]
        await session.execute(update(GpuRequest), values)
    return list(given)
