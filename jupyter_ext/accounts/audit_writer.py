"""Entries of the audit on their way to the disk: all that wait share one transaction."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table

from ..store.database import Store
from ..store.types import storable, utcnow
from .key_format import PREFIX
from .records import AuditRecord
from .schemas import AuditEntry

PATIENCE = 3.0
"""Seconds that a reply waits for its entry."""

BATCH = 500
"""Entries of one transaction."""

WAITING = 10_000
"""Entries that may wait for a store that does not answer; what comes then goes to the log alone."""

STRANGERS = 60
"""Entries a minute of what nobody known failed at; the log has the rest. They fill no disk."""

LONGEST = 1000
"""Characters of a text."""

HIDDEN = "[hidden]"

_SECRET = re.compile(
    rf"{PREFIX}[\w-]{{20,}}"  # an API key that somebody put into a path
    r"|\bey[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JSON Web Token
    r"|(?<=://)[^/@\s]+(?=@)"  # a password in an address
)

INSERT = cast(Table, AuditRecord.__table__).insert()

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """An entry that is not written yet."""

    row: dict[str, Any]
    settled: asyncio.Future[None]
    told: bool = False
    """Whether the log has it already."""


class AuditWriter:
    """Writes one group of entries after the other, as many as came meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._strangers = 0
        self._minute = 0

    async def record(self, entry: AuditEntry) -> None:
        """Write an entry, and wait until it is written or the log has it."""
        item = self._take(entry)
        if item is None:
            return
        await asyncio.wait((item.settled,), timeout=PATIENCE)
        if not item.settled.done():
            item.told = True
            told([item.row], TimeoutError(f"not written after {PATIENCE:g} s"))

    def note(self, entry: AuditEntry) -> None:
        """Write an entry soon."""
        self._take(entry)

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=PATIENCE)

    def _take(self, entry: AuditEntry) -> _Waiting | None:
        row = row_of(entry)
        if self._too_many_strangers(entry):
            told([row], RuntimeError("more than the audit takes of strangers"), logging.INFO)
            return None
        if len(self._waiting) >= WAITING:
            told([row], RuntimeError(f"{WAITING} entries wait already"))
            return None
        item = _Waiting(row, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())
        return item

    def _too_many_strangers(self, entry: AuditEntry) -> bool:
        if entry.status < 400 or (entry.account and not entry.credential.startswith("ip:")):
            return False
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, 0
        self._strangers += 1
        return self._strangers > STRANGERS

    async def _write(self) -> None:
        """Write until nothing waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    async with self._store.write() as session:
                        await session.execute(INSERT, [item.row for item in batch])
                except Exception as error:
                    told([item.row for item in batch if not item.told], error)
                finally:
                    for item in batch:
                        if not item.settled.done():
                            item.settled.set_result(None)
        finally:
            self._task = None


def row_of(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry's columns: bounded, storable, without what looks like a secret."""
    account = entry.account
    return {
        "at": utcnow(),
        "user_id": None if account is None else _text(account.id, 64),
        "username": None if account is None else _text(account.username, 64),
        "credential": _text(entry.credential, 100),
        "address": _text(entry.address, 64),
        "action": _text(entry.action, 100),
        "method": _text(entry.method, 16),
        "path": _text(entry.path),
        "target": _text(entry.target),
        "status": entry.status,
        "message": _text(entry.message),
        "request_id": _text(entry.request_id, 64),
    }


def told(
    rows: Iterable[Mapping[str, Any]], reason: BaseException, level: int = logging.ERROR
) -> None:
    """Give entries to the log that the store does not take, as one line of JSON each."""
    why = str(reason).partition("\n")[0]
    for row in rows:
        facts = {**row, "at": row["at"].isoformat(), "not_kept": why}
        _log.log(level, "Audit, only here: %s", json.dumps(facts, ensure_ascii=True))


def _text(value: str, longest: int = LONGEST) -> str:
    # A path may be long, and looking for secrets in it takes the square of its length at worst.
    text: str = storable(_SECRET.sub(HIDDEN, value[: LONGEST + 200]))
    return text if len(text) <= longest else text[: longest - 1] + "…"
