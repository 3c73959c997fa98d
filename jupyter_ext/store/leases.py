"""Which server processes are alive: each renews a row; what a dead one held is anybody's."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, ColumnElement, Select, String, delete, exists, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, mapped_column

from ..errors import PlatformError, Unavailable
from ..system.schemas import Problem
from .base import Base
from .types import UtcDateTime, new_id

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from .database import Store

INTERVAL = 5.0
"""Seconds between two renewals."""

LIFETIME = 20.0
"""Seconds after which a server that did not renew counts as dead."""

_log = logging.getLogger(__name__)


class ServerRecord(Base):
    """A server process that has the store open."""

    __tablename__ = "servers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    boot_id: Mapped[str] = mapped_column(String(128))
    """Of the machine's start and of the process's name space: where `pid` means something."""
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(BigInteger)
    pid_started: Mapped[int] = mapped_column(BigInteger)
    """Tells a process from a later one with the same number."""
    renewed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LeaseLost(Unavailable):
    """Others took this server for dead and act in its place, so it must not write any more."""

    def __init__(self) -> None:
        super().__init__(
            "This server was not heard of for too long, and what it did was taken over.",
            "Look at the operation's state and try again.",
        )


_TABLE = ServerRecord.__table__


class ServerLease:
    """The right of this process to act, under a name that is never used again.

    Parameters
    ----------
    interval, lifetime
        Seconds.
    """

    def __init__(
        self, store: Store, *, interval: float = INTERVAL, lifetime: float = LIFETIME
    ) -> None:
        self.id = new_id("server")
        self._store = store
        self._interval = interval
        self._lifetime = timedelta(seconds=lifetime)
        self._task: asyncio.Task[None] | None = None
        self._lost: list[Callable[[str], None]] = []
        self._failure = ""

    def probe(self) -> tuple[str, Problem | None]:
        """Return whether the store took what was last written to it, from memory."""
        if not self._failure:
            return "running", None
        what = f"The store can't be written: {self._failure}"
        return "failed", Problem(service="store", what=what, critical=True)

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return self._interval

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Call `callback(old id)` on the loop when others took over what this server held."""
        self._lost.append(callback)

    async def start(self) -> None:
        """Take the lease and keep it until `stop`."""
        if self._task is None:
            await self._take()
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Give it back: what is unfinished may be taken over at once."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            async with self._store.write() as session:
                await session.execute(delete(ServerRecord).where(ServerRecord.id == self.id))
        except PlatformError as error:
            _log.warning("The lease runs out by itself: %s", error)

    def condition(self, server: str | None = None) -> ColumnElement[bool]:
        """Return what a statement's WHERE adds so that it does nothing after the lease is lost."""
        return exists(select(_TABLE.c.id).where(_TABLE.c.id == (server or self.id)))

    async def guard(self, session: AsyncSession) -> None:
        """Refuse to go on with a transaction after the lease is lost.

        Raises
        ------
        LeaseLost
            It is.
        """
        row = select(_TABLE.c.id).where(_TABLE.c.id == self.id)
        # The lock makes who takes over wait until this transaction ends, and holds up no renewal,
        # which changes nothing of the key. (SQLite has one writer.)
        lock = row.with_for_update(read=True, key_share=True)
        if (await session.execute(lock)).first() is None:
            raise LeaseLost

    async def find_dead(self, session: AsyncSession, *, lock: bool = False) -> list[str]:
        """List the servers whose lease ran out, or that this machine knows to have ended."""
        now = await self._store.now(session)

        async def dead(rows: Select[ServerRecord]) -> list[str]:
            found = await session.scalars(rows.execution_options(populate_existing=True))
            return [each.id for each in found if each.expires_at <= now or is_gone(each)]

        others = select(ServerRecord).where(ServerRecord.id != self.id)
        found = await dead(others)
        if not (lock and found):
            return found
        # In one order, and without those who are writing at this moment: they live.
        rows = others.where(ServerRecord.id.in_(found)).order_by(ServerRecord.id)
        return await dead(rows.with_for_update(skip_locked=True))

    async def bury(self, session: AsyncSession) -> list[str]:
        """Remove the servers that are dead, within a transaction of `write`; return their ids.

        What names a server that has no row is anybody's to take over from then on.
        """
        dead = await self.find_dead(session, lock=True)
        if dead:
            await session.execute(delete(ServerRecord).where(ServerRecord.id.in_(dead)))
        return dead

    async def renew(self) -> None:
        """Renew once; under a new name where the old one was taken for dead."""
        async with self._store.write() as session:
            now = await self._store.now(session)
            result = await session.execute(
                update(ServerRecord)
                .where(ServerRecord.id == self.id)
                .values(renewed_at=now, expires_at=now + self._lifetime)
            )
            kept = isinstance(result, CursorResult) and result.rowcount == 1
        if kept:
            return
        _log.warning("This server was taken for dead; it goes on under a new name")
        old, self.id = self.id, new_id("server")
        await self._take()
        for callback in self._lost:
            callback(old)

    async def _take(self) -> None:
        async with self._store.write() as session:
            now = await self._store.now(session)
            session.add(
                ServerRecord(
                    id=self.id,
                    boot_id=boot_id(),
                    host=socket.gethostname()[:255],
                    pid=os.getpid(),
                    pid_started=process_start(os.getpid()) or 0,
                    renewed_at=now,
                    expires_at=now + self._lifetime,
                )
            )

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.renew()
                self._failure = ""
            except PlatformError as error:
                self._failure = error.message
                _log.warning("The lease could not be renewed: %s", error)


def is_gone(record: ServerRecord) -> bool:
    """Whether a server of this very machine is known to have ended, its lease running or not."""
    if not record.pid_started or record.boot_id != boot_id():
        return False
    return process_start(record.pid) != record.pid_started


def boot_id() -> str:
    """Name this start of this machine, and the name space in which process numbers count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"unknown/{new_id('boot')}"


def process_start(pid: int) -> int | None:
    """When a process began, in the kernel's ticks; None where there is none any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
