"""A round of the queue: one short transaction that looks at all who wait and all that is free."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..containers.records import ContainerRecord
from ..errors import Conflict
from ..store.database import Store
from ..store.leases import ServerLease
from ..store.types import utcnow
from .ledger import DeviceLedger, Taken
from .placement import Asked, Gpu, Round, Wish
from .records import DeviceRecord, GpuRequest
from .refusals import given_up, refusal, unavailable

LOCK = 0x6A78_6770_7571
"""Of PostgreSQL's advisory locks, the one that a round holds."""

BATCH = 20
"""New requests that a round writes down, so that it stays short; the next round takes more."""

PAGE = 20
"""Waiting requests that are read at once; few rounds need more."""

UNKNOWN = 1 << 60
"""What a device that was never reached has left."""


@dataclass(eq=False)
class Ticket:
    """A request of this server's, from when it is handed in to when it is granted or given up.

    Attributes
    ----------
    number
        Its place in the order of all that ever came; 0 before it is written down.
    place
        How many wait before it, itself included, as it was last counted; 0 before that.
    first
        When, on the monotonic clock, it had its first place, and which.
    """

    cid: int
    wish: Wish
    wait: bool
    cpu: int
    memory: int
    number: int = 0
    place: int = 0
    first: tuple[float, int] | None = None
    future: asyncio.Future[tuple[Gpu, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def stands(self, place: int) -> None:
        """Note its place now."""
        self.place = place
        if self.first is None:
            self.first = time.monotonic(), place

    @property
    def estimate(self) -> int | None:
        """Seconds that it may take, as fast as it went so far; None while nothing went."""
        if self.first is None or self.place >= self.first[1]:
            return None
        passed = self.first[1] - self.place
        return round((time.monotonic() - self.first[0]) / passed * self.place)


@dataclass
class Outcome:
    """What came of a round for the requests of this server."""

    entered: list[tuple[Ticket, int]] = field(default_factory=list)
    refused: list[tuple[Ticket, Conflict]] = field(default_factory=list)
    granted: dict[int, tuple[Gpu, ...]] = field(default_factory=dict)
    handed_out: bool = False


class Rounds:
    """Holds rounds; servers take turns by a lock that nobody waits for.

    Attributes
    ----------
    seconds
        That the last transactions took, from BEGIN to COMMIT.
    """

    def __init__(self, store: Store, lease: ServerLease, ledger: DeviceLedger) -> None:
        self._store = store
        self._lease = lease
        self._ledger = ledger
        self.seconds: deque[float] = deque(maxlen=10_000)

    async def look(self, new: Sequence[Ticket], waiting: Mapping[int, Ticket]) -> Outcome | None:
        """Look at who asks and what is free, and write down who gets what.

        Parameters
        ----------
        new, waiting
            Requests of this server that are not written down yet, and those that are.

        Returns
        -------
        Outcome or None
            None where another server is at it.

        Raises
        ------
        Conflict
            A device was filled by somebody else since this looked.
        """
        outcome = Outcome()
        async with self._store.write() as session:
            began = time.monotonic()
            if not await self._turn(session):
                return None
            await self._lease.guard(session)
            gpus, places = await self._ledger.gpus(session)
            look = Round(gpus, *await self._sizes(session))
            await self._enter(session, new, look, gpus, outcome)
            last = 0
            while not look.exhausted and (page := await self._asked(session, last)):
                last = page[-1].number
                found = [(asked, look.offer(asked)) for asked in page]
                given = [(asked, chosen) for asked, chosen in found if chosen is not None]
                outcome.granted |= {asked.cid: chosen for asked, chosen in given}
                await self._give(session, given, places)
            outcome.handed_out = bool(outcome.granted)
            for ticket, number in list(outcome.entered):
                if not ticket.wait and ticket.cid not in outcome.granted:
                    row = delete(GpuRequest).where(GpuRequest.number == number)
                    await session.execute(row)
                    outcome.entered.remove((ticket, number))
                    outcome.refused.append((ticket, refusal(ticket.wish, gpus)))
            await self._granted_elsewhere(session, waiting, gpus, outcome)
        self.seconds.append(time.monotonic() - began)
        return outcome

    async def _turn(self, session: AsyncSession) -> bool:
        if self._store.is_sqlite:
            return True
        got = await session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK})
        return bool(got.scalar_one())

    async def _enter(
        self,
        session: AsyncSession,
        new: Sequence[Ticket],
        look: Round,
        gpus: list[Gpu],
        outcome: Outcome,
    ) -> None:
        """Write down new requests, in the order in which they came."""
        tickets = [ticket for ticket in new[:BATCH] if not ticket.future.done()]
        if not tickets:
            return
        cids = [ticket.cid for ticket in tickets]
        container = ContainerRecord.cid
        there = set(
            await session.scalars(
                select(container)
                .where(container.in_(cids))
                .order_by(container)
                .with_for_update(read=True, key_share=True)
            )
        )
        asked = set(await session.scalars(select(GpuRequest.cid).where(GpuRequest.cid.in_(cids))))
        rows: list[tuple[Ticket, GpuRequest]] = []
        now = utcnow()
        for ticket in tickets:
            if ticket.cid not in there or ticket.cid in asked:
                outcome.refused.append((ticket, given_up(ticket.cid)))
                continue
            if not look.possible(Asked(0, ticket.cid, ticket.wish, ticket.cpu, ticket.memory)):
                outcome.refused.append((ticket, refusal(ticket.wish, gpus, possible=False)))
                continue
            asked.add(ticket.cid)
            row = GpuRequest(
                cid=ticket.cid,
                wish=ticket.wish.kept(),
                server=self._lease.id,
                waits=ticket.wait,
                created_at=now,
            )
            rows.append((ticket, row))
        session.add_all(row for _, row in rows)
        await session.flush()
        outcome.entered += [(ticket, row.number) for ticket, row in rows]

    async def _sizes(
        self, session: AsyncSession
    ) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]:
        """What each device has, and has left, in thousandths of a processor and bytes.

        One that is lost or being drained has nothing left.
        """
        record = DeviceRecord
        rows = await session.execute(
            select(
                record.did,
                record.cpu_millis,
                record.used_cpu_millis,
                record.memory_bytes,
                record.used_memory_bytes,
                record.lost_since.is_not(None) | record.draining_since.is_not(None),
            )
        )
        sizes: dict[int, tuple[int, int]] = {}
        rest: dict[int, tuple[int, int]] = {}
        for did, cpu, used_cpu, memory, used_memory, closed in rows:
            sizes[did] = (cpu or UNKNOWN, memory or UNKNOWN)
            if closed:
                continue
            rest[did] = (sizes[did][0] - used_cpu, sizes[did][1] - used_memory)
        return sizes, rest

    async def _asked(self, session: AsyncSession, after: int) -> list[Asked]:
        """The next who wait, in order."""
        request, container = GpuRequest, ContainerRecord
        rows = await session.execute(
            select(
                request.number,
                request.cid,
                request.wish,
                container.cpu_millis,
                container.memory_bytes,
                request.server,
            )
            .join(container, container.cid == request.cid)
            .where(request.granted.is_(None), request.number > after)
            .order_by(request.number)
            .limit(PAGE)
            # Who is giving up at this moment is not waited for.
            .with_for_update(of=request, skip_locked=True)
        )
        return [
            Asked(number, cid, Wish.read(wish), cpu, memory, server)
            for number, cid, wish, cpu, memory, server in rows
        ]

    async def _give(
        self,
        session: AsyncSession,
        given: list[tuple[Asked, tuple[Gpu, ...]]],
        places: dict[int, set[int]],
    ) -> None:
        if not given:
            return
        shares = [
            (Taken(asked.cid, chosen[0].device, asked.cpu, asked.memory, asked.server), chosen)
            for asked, chosen in given
        ]
        await self._ledger.hand_out(session, shares, places)
        now = utcnow()
        await session.execute(
            update(GpuRequest),
            [
                {"number": each.number, "granted": [gpu.gid for gpu in gpus], "granted_at": now}
                for each, gpus in given
            ],
        )

    async def _granted_elsewhere(
        self,
        session: AsyncSession,
        waiting: Mapping[int, Ticket],
        gpus: list[Gpu],
        outcome: Outcome,
    ) -> None:
        """Find what other servers' rounds gave to requests of this one."""
        if not waiting:
            return
        by_gid = {gpu.gid: gpu for gpu in gpus}
        rows = await session.execute(
            select(GpuRequest.cid, GpuRequest.granted).where(
                GpuRequest.server == self._lease.id, GpuRequest.granted.is_not(None)
            )
        )
        for cid, gids in rows:
            if (ticket := waiting.get(cid)) is None or cid in outcome.granted:
                continue
            gone = [gid for gid in gids or () if gid not in by_gid]
            if gone:
                why = f"GPU {gone[0]} went away before the container was made. Ask again."
                outcome.refused.append((ticket, unavailable(gone[0], why, "gid")))
            else:
                outcome.granted[cid] = tuple(by_gid[gid] for gid in gids or ())
