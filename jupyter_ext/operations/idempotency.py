"""``Idempotency-Key``: a POST that is sent twice acts once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict, InvalidRequest, PlatformError
from ..store.database import Store
from ..store.leases import ServerLease, ServerRecord
from ..store.types import utcnow
from .records import IdempotencyRecord, OperationRecord
from .schemas import ACTIVE, Operation

RETENTION = timedelta(hours=24)

KEY_LENGTH = 255

LOOK_SECONDS = 0.5
"""Between two looks at an operation that somebody else does."""

Slot = tuple[str, str]
"""Account and key."""

_request: ContextVar[Slot | None] = ContextVar("idempotency_key", default=None)
"""That the request which is being served here carries."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What the first request was answered."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(slots=True, eq=False)
class _Held:
    """A request that this process answers, or has answered while the store could not be told.

    Parameters
    ----------
    server
        The name of this server when it claimed the key; it may have another one by now.
    reply
        The answer, once there is one.
    over
        Whether it was answered, or failed.
    missed
        Whether the store could not be told.
    """

    server: str
    request: tuple[str, str, str]
    created_at: datetime
    reply: StoredReply | None = None
    over: bool = False
    missed: bool = False


class IdempotencyKeys:
    """Remembers for a day what each account's keyed requests were answered.

    When the store goes away between an act and its answer, the answer is kept in memory, given to
    whoever asks again, and written down by `settle` when the store is back.

    Parameters
    ----------
    lease
        Whose server answers: a request that died with its server may be sent again. One instance
        for each lease, since what is claimed under it and not held here is nobody's.
    """

    def __init__(self, store: Store, lease: ServerLease) -> None:
        self._store = store
        self._lease = lease
        self._held: dict[Slot, _Held] = {}

    async def begin(
        self, account_id: str, key: str, method: str, path: str, body_hash: str
    ) -> StoredReply | Operation | None:
        """Claim a key.

        Returns
        -------
        StoredReply, Operation or None
            The first answer; what the first began, where its server died before it answered; None
            where this request is the first, and has to `finish` or `forget`.

        Raises
        ------
        Conflict
            The key was used for another request, or the first one is still being answered.
        InvalidRequest
            It is too long.
        Unavailable
            The store does not answer: nothing is claimed, and nothing may be done.
        """
        if len(key) > KEY_LENGTH or "\0" in key:
            raise InvalidRequest(
                fields={"Idempotency-Key": f"may have {KEY_LENGTH} printable characters at most"}
            )
        slot, request = (account_id, key), (method, path, body_hash)
        held = self._held.get(slot)
        if held is not None and (held.reply is not None or not held.over):
            return _answered(key, request, held.request, held.reply)
        claim = _Held(self._lease.id, request, utcnow())
        try:
            async with self._store.write() as session:
                # One writer on SQLite; on PostgreSQL two that come at once meet in the primary key.
                record = await session.get(IdempotencyRecord, slot, with_for_update=True)
                if record is not None and await self._is_void(session, record):
                    begun = await self._begun(session, record)
                    if begun is not None and request == _request_of(record):
                        return begun
                    await session.delete(record)
                    await session.flush()
                    record = None
                if record is None:
                    if not await self._insert(session, slot, claim):
                        raise Conflict("Idempotency-Key", key, _IN_FLIGHT)
                    # Before the commit: whoever finds the row finds it held.
                    self._held[slot] = claim
                    _request.set(slot)
                    return None
                first = _request_of(record)
                reply = None
                if record.status is not None:
                    body = self._store.secrets.decrypt(record.body)
                    reply = StoredReply(record.status, dict(record.headers), body)
                return _answered(key, request, first, reply)
        except BaseException:
            # A commit that failed may have happened: its row is void then, as nobody holds it.
            if self._held.get(slot) is claim:
                del self._held[slot]
            raise

    async def finish(
        self,
        account_id: str,
        key: str,
        *,
        status: int,
        headers: Mapping[str, str],
        body: str,
    ) -> None:
        """Remember the answer, in memory where the store is gone: what was done was done."""
        slot = (account_id, key)
        if (held := self._held.get(slot)) is not None:
            held.reply = StoredReply(status, dict(headers), body)
            await self._end(slot, held)

    async def forget(self, account_id: str, key: str) -> None:
        """Let the request be sent again: it failed."""
        slot = (account_id, key)
        if (held := self._held.get(slot)) is not None:
            await self._end(slot, held)

    async def ended(self, operation: str) -> None:
        """Wait for the end of an operation, whichever server does it."""
        state = select(OperationRecord.state).where(OperationRecord.id == operation)
        while True:
            async with self._store.read() as session:
                if await session.scalar(state) not in ACTIVE:
                    return
            await asyncio.sleep(LOOK_SECONDS)

    async def settle(self) -> None:
        """Tell the store what it could not be told, if it answers now."""
        for slot, held in tuple(self._held.items()):
            if held.missed and not await self._tell(slot, held):
                return

    async def prune(self) -> None:
        """Let go of answers that are older than a day."""
        oldest = utcnow() - RETENTION
        for slot, held in tuple(self._held.items()):
            if held.missed and held.created_at < oldest:
                del self._held[slot]
        async with self._store.write() as session:
            await session.execute(
                delete(IdempotencyRecord).where(IdempotencyRecord.created_at < oldest)
            )

    async def _end(self, slot: Slot, held: _Held) -> None:
        held.over = True
        if not await self._tell(slot, held):
            held.missed = True

    async def _tell(self, slot: Slot, held: _Held) -> bool:
        """Write down how a request ended; whether the store took it."""
        try:
            async with self._store.write() as session:
                result = await session.execute(self._statement(slot, held))
        except Exception as error:
            if not held.missed:
                _log.warning(
                    "How a request with an Idempotency-Key ended is kept in memory: %s",
                    error,
                    exc_info=not isinstance(error, PlatformError),
                )
            return False
        if held.reply is not None and isinstance(result, CursorResult) and not result.rowcount:
            _log.warning(
                "%s %s was answered after its server had been taken for dead; with the same "
                "Idempotency-Key it may have been done again",
                *held.request[:2],
            )
        if self._held.get(slot) is held:
            del self._held[slot]
        return True

    def _statement(self, slot: Slot, held: _Held) -> Update | Delete:
        own = _own(slot, held)
        if held.reply is None:
            return delete(IdempotencyRecord).where(*own)
        # Encrypted: it may be one that shows a new key.
        return (
            update(IdempotencyRecord)
            .where(*own)
            .values(
                status=held.reply.status,
                headers=dict(held.reply.headers),
                body=self._store.secrets.encrypt(held.reply.body),
            )
        )

    async def _is_void(self, session: AsyncSession, record: IdempotencyRecord) -> bool:
        """Whether nobody will answer it any more, or the answer is too old."""
        if _expired(record):
            return True
        if record.status is not None:
            return False
        held = self._held.get((record.account, record.key))
        if held is not None and not held.over:
            return False
        if record.server == self._lease.id:
            return True
        server = await session.get(ServerRecord, record.server)
        return server is None or server.expires_at <= await self._store.now(session)

    async def began(self, session: AsyncSession, operation: str) -> None:
        """Write down that the request which is being served began an operation, its first."""
        slot = _request.get()
        claim = self._held.get(slot) if slot is not None else None
        if slot is None or claim is None:
            return
        await session.execute(
            update(IdempotencyRecord)
            .where(*_own(slot, claim), IdempotencyRecord.operation.is_(None))
            .values(operation=operation)
        )

    async def _begun(self, session: AsyncSession, record: IdempotencyRecord) -> Operation | None:
        """Return what a request began whose server died, unless that came to nothing."""
        if record.status is not None or record.operation is None or _expired(record):
            return None
        operation = await session.get(OperationRecord, record.operation)
        if operation is None or operation.state in ("failed", "cancelled"):
            return None
        return operation.view()

    async def _insert(self, session: AsyncSession, slot: Slot, claim: _Held) -> bool:
        from sqlalchemy.exc import IntegrityError

        method, path, body_hash = claim.request
        record = IdempotencyRecord(
            account=slot[0],
            key=slot[1],
            method=method,
            path=path,
            body_hash=body_hash,
            server=claim.server,
            status=None,
            headers={},
            body="",
            created_at=claim.created_at,
        )
        try:
            async with session.begin_nested():
                session.add(record)
        except IntegrityError:
            return False
        return True


def _own(slot: Slot, held: _Held) -> tuple[ColumnElement[bool], ...]:
    """Of this claim only: another server, or this one, may have claimed the key anew."""
    return (
        IdempotencyRecord.account == slot[0],
        IdempotencyRecord.key == slot[1],
        IdempotencyRecord.server == held.server,
        IdempotencyRecord.created_at == held.created_at,
    )


def _expired(record: IdempotencyRecord) -> bool:
    return record.created_at < utcnow() - RETENTION


def _request_of(record: IdempotencyRecord) -> tuple[str, str, str]:
    return record.method, record.path, record.body_hash


def _answered(
    key: str,
    request: tuple[str, str, str],
    first: tuple[str, str, str],
    reply: StoredReply | None,
) -> StoredReply:
    if request != first:
        raise Conflict(
            "Idempotency-Key",
            key,
            "This Idempotency-Key was used for another request. Take a new one.",
        )
    if reply is None:
        raise Conflict("Idempotency-Key", key, _IN_FLIGHT)
    return reply


_IN_FLIGHT = "The first request with this Idempotency-Key is still being answered. Try again soon."
