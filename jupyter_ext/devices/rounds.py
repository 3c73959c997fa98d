"""The transactions of the queue: who asks is written down, and what is free is handed out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..containers.records import ContainerRecord
from ..errors import Conflict
from ..store.database import Store, insert_for
from ..store.leases import ServerLease
from ..store.types import utcnow
from .granting import Grant, Places, grant
from .ledger import DeviceLedger
from .placement import Asked, Gpu, Round, Wish
from .records import DeviceRecord, GpuRequest
from .refusals import given_up, refusal, unavailable
from .ticket import Ticket

TURN = 0x6A78_6770_7571
"""Of PostgreSQL's advisory locks, the one of who hands out."""

DOOR = 0x6A78_6770_7564
"""The one of who writes down new requests, so that a lower number is never seen later."""

BATCH = 20
"""New requests that are written down in one transaction."""

GRANTS = 4
"""Requests that are granted in one transaction, so that it stays short; the next grants more."""

PAGE = 8
"""Waiting requests that are read at once."""

UNKNOWN = 1 << 60
"""What a device that was never reached has left."""


@dataclass
class Look:
    """What there is, as a transaction found it."""

    gpus: list[Gpu]
    places: dict[int, set[int]]
    sizes: dict[int, tuple[int, int]]
    rest: dict[int, tuple[int, int]]

    def round(self) -> Round:
        """Begin to offer it."""
        return Round(self.gpus, self.sizes, self.rest)


@dataclass
class Entered:
    """What became of new requests."""

    numbers: list[tuple[Ticket, int]] = field(default_factory=list)
    refused: list[tuple[Ticket, Conflict]] = field(default_factory=list)


@dataclass
class HandedOut:
    """What a transaction granted, to requests of all servers.

    Attributes
    ----------
    more
        Whether it ended before it had offered everything.
    """

    gpus: list[Gpu]
    granted: dict[int, tuple[Gpu, ...]] = field(default_factory=dict)
    more: bool = False


class Rounds:
    """The transactions of a round, each short: new requests enter, what is free is handed out.

    Attributes
    ----------
    seconds
        That the last ones which handed something out took, from BEGIN to COMMIT.
    """

    def __init__(self, store: Store, lease: ServerLease, ledger: DeviceLedger) -> None:
        self._store = store
        self._lease = lease
        self._ledger = ledger
        self.seconds: deque[float] = deque(maxlen=10_000)

    # -- who comes -------------------------------------------------------------------------------

    async def enter(self, tickets: Sequence[Ticket]) -> Entered:
        """Write down new requests, at most `BATCH`, in the order in which they came.

        What could not be granted if nobody had anything is refused.
        """
        entered = Entered()
        async with self._store.read() as session:
            look = await self._look(session)
        everything = look.round()
        wanted: dict[int, Ticket] = {}
        for ticket in tickets:
            asked = Asked(0, ticket.cid, ticket.wish, ticket.cpu, ticket.memory)
            if not everything.possible(asked):
                entered.refused.append((ticket, refusal(ticket.wish, look.gpus, possible=False)))
            elif ticket.cid in wanted:
                entered.refused.append((ticket, given_up(ticket.cid)))
            else:
                wanted[ticket.cid] = ticket
        if wanted:
            numbers = await self._write_down(wanted)
            for cid, ticket in wanted.items():
                if (number := numbers.get(cid)) is None:
                    entered.refused.append((ticket, given_up(cid)))
                else:
                    entered.numbers.append((ticket, number))
        return entered

    async def _write_down(self, wanted: Mapping[int, Ticket]) -> dict[int, int]:
        """Return the numbers, by container; whose is gone, or asked already, has none."""
        container, now = ContainerRecord.cid, utcnow()
        async with self._store.write() as session:
            if not self._store.is_sqlite:
                await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": DOOR})
            await self._lease.guard(session)
            rows = select(container).where(container.in_(wanted)).order_by(container)
            there = set(await session.scalars(rows.with_for_update(read=True, key_share=True)))
            values = [
                {
                    "cid": cid,
                    "wish": ticket.wish.kept(),
                    "server": self._lease.id,
                    "waits": ticket.wait,
                    "created_at": now,
                }
                for cid, ticket in wanted.items()
                if cid in there
            ]
            if not values:
                return {}
            insert = insert_for(self._store.is_sqlite)(GpuRequest).values(values)
            request = GpuRequest.cid, GpuRequest.number
            done = await session.execute(insert.on_conflict_do_nothing().returning(*request))
            return {cid: number for cid, number in done}

    async def withdraw(self, tickets: Collection[Ticket]) -> set[int]:
        """Take requests back that do not wait; return the containers of those not granted yet."""
        numbers = [ticket.number for ticket in tickets]
        async with self._store.write() as session:
            done = await session.scalars(
                delete(GpuRequest)
                .where(GpuRequest.number.in_(numbers), GpuRequest.granted.is_(None))
                .returning(GpuRequest.cid)
            )
            return set(done)

    # -- what is free ----------------------------------------------------------------------------

    async def hand_out(self) -> HandedOut | None:
        """Grant what can be granted to who came first, whichever server they asked.

        Returns
        -------
        HandedOut or None
            None where another server is at it.

        Raises
        ------
        Conflict
            A device or a GPU was filled by somebody else since this looked.
        """
        # Nobody else plans until this one has ended; what it writes is checked there once more.
        async with self._store.read() as planning:
            if not await self._turn(planning):
                return None
            look = await self._look(planning)
            given, more = await self._plan(planning, look.round())
            outcome = HandedOut(look.gpus, more=more)
            if given:
                given = await self._grant(given, look.places)
                outcome.granted = {asked.cid: chosen for asked, chosen in given}
        return outcome

    async def _grant(self, given: Sequence[Grant], places: Places) -> list[Grant]:
        try:
            async with self._store.write() as session:
                began = time.monotonic()
                given = await grant(session, self._ledger, given, places)
        except IntegrityError as error:
            gids = [gpu.gid for _, gpus in given for gpu in gpus]
            raise Conflict("gpu", gids[0], "Somebody has it since.") from error
        self.seconds.append(time.monotonic() - began)
        return list(given)

    async def _plan(self, session: AsyncSession, offers: Round) -> tuple[list[Grant], bool]:
        """Choose for the first who get something, and say whether others may, too."""
        given: list[Grant] = []
        last = 0
        while not offers.exhausted:
            page = await self._asked(session, last)
            for asked in page:
                if (chosen := offers.offer(asked)) is not None:
                    given.append((asked, chosen))
                if len(given) == GRANTS:
                    return given, True
            if len(page) < PAGE:
                break
            last = page[-1].number
        return given, False

    async def _turn(self, session: AsyncSession) -> bool:
        if self._store.is_sqlite:
            return True
        got = await session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": TURN})
        return bool(got.scalar_one())

    async def _look(self, session: AsyncSession) -> Look:
        gpus, places = await self._ledger.gpus(session)
        return Look(gpus, places, *await self._sizes(session))

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
        )
        return [
            Asked(number, cid, Wish.read(wish), cpu, memory, server)
            for number, cid, wish, cpu, memory, server in rows
        ]

    async def granted(self, waiting: Mapping[int, Ticket]) -> dict[int, tuple[Gpu, ...] | Conflict]:
        """Find what any server's transactions granted to requests of this one.

        Returns
        -------
        dict
            By container; an error where its GPU went away since.
        """
        async with self._store.read() as session:
            rows = await session.execute(
                select(GpuRequest.cid, GpuRequest.granted).where(
                    GpuRequest.server == self._lease.id, GpuRequest.granted.is_not(None)
                )
            )
            given = [(cid, gids or ()) for cid, gids in rows if cid in waiting]
            if not given:
                return {}
            gpus, _ = await self._ledger.gpus(session)
        by_gid = {gpu.gid: gpu for gpu in gpus}
        found: dict[int, tuple[Gpu, ...] | Conflict] = {}
        for cid, gids in given:
            gone = [gid for gid in gids if gid not in by_gid]
            if gone:
                why = f"GPU {gone[0]} went away before the container was made. Ask again."
                found[cid] = unavailable(gone[0], why, "gid")
            else:
                found[cid] = tuple(by_gid[gid] for gid in gids)
        return found
