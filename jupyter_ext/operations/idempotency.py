"""``Idempotency-Key``: a POST that is sent twice acts once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict, InvalidRequest
from ..store.database import Store
from ..store.leases import ServerLease, ServerRecord
from ..store.types import utcnow
from .records import IdempotencyRecord

RETENTION = timedelta(hours=24)

KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What the first request was answered."""

    status: int
    headers: Mapping[str, str]
    body: str


class IdempotencyKeys:
    """Remembers for a day what each account's keyed requests were answered.

    Parameters
    ----------
    lease
        Whose server answers: a request that died with its server may be sent again.
    """

    def __init__(self, store: Store, lease: ServerLease) -> None:
        self._store = store
        self._lease = lease

    async def begin(
        self, account_id: str, key: str, method: str, path: str, body_hash: str
    ) -> StoredReply | None:
        """Claim a key.

        Returns
        -------
        StoredReply or None
            The first answer; None where this request is the first, and has to `finish` or `forget`.

        Raises
        ------
        Conflict
            The key was used for another request, or the first one is still being answered.
        InvalidRequest
            It is too long.
        """
        if len(key) > KEY_LENGTH or "\0" in key:
            raise InvalidRequest(
                fields={"Idempotency-Key": f"may have {KEY_LENGTH} printable characters at most"}
            )
        async with self._store.write() as session:
            # One writer on SQLite; on PostgreSQL two that come at once meet in the primary key.
            record = await session.get(IdempotencyRecord, (account_id, key), with_for_update=True)
            if record is not None and await self._is_void(session, record):
                await session.delete(record)
                await session.flush()
                record = None
            if record is None:
                fresh = IdempotencyRecord(
                    account=account_id,
                    key=key,
                    method=method,
                    path=path,
                    body_hash=body_hash,
                    server=self._lease.id,
                    status=None,
                    headers={},
                    body="",
                    created_at=utcnow(),
                )
                if await self._insert(session, fresh):
                    return None
                raise Conflict("Idempotency-Key", key, _IN_FLIGHT)
            if (record.method, record.path, record.body_hash) != (method, path, body_hash):
                raise Conflict(
                    "Idempotency-Key",
                    key,
                    "This Idempotency-Key was used for another request. Take a new one.",
                )
            if record.status is None:
                raise Conflict("Idempotency-Key", key, _IN_FLIGHT)
            body = self._store.secrets.decrypt(record.body)
            return StoredReply(record.status, dict(record.headers), body)

    async def finish(
        self,
        account_id: str,
        key: str,
        *,
        status: int,
        headers: Mapping[str, str],
        body: str,
    ) -> None:
        """Remember the answer, encrypted: it may be one that shows a new key."""
        body = self._store.secrets.encrypt(body)
        async with self._store.write() as session:
            await session.execute(
                update(IdempotencyRecord)
                .where(
                    IdempotencyRecord.account == account_id,
                    IdempotencyRecord.key == key,
                    IdempotencyRecord.server == self._lease.id,
                )
                .values(status=status, headers=dict(headers), body=body)
            )

    async def forget(self, account_id: str, key: str) -> None:
        """Let the request be sent again: it failed."""
        async with self._store.write() as session:
            await session.execute(
                delete(IdempotencyRecord).where(
                    IdempotencyRecord.account == account_id, IdempotencyRecord.key == key
                )
            )

    async def prune(self) -> None:
        """Let go of answers that are older than a day."""
        async with self._store.write() as session:
            await session.execute(
                delete(IdempotencyRecord).where(IdempotencyRecord.created_at < utcnow() - RETENTION)
            )

    async def _is_void(self, session: AsyncSession, record: IdempotencyRecord) -> bool:
        """Whether nobody will answer it any more, or the answer is too old."""
        if record.created_at < utcnow() - RETENTION:
            return True
        if record.status is not None or record.server == self._lease.id:
            return False
        server = await session.get(ServerRecord, record.server)
        return server is None or server.expires_at <= await self._store.now(session)

    async def _insert(self, session: AsyncSession, record: IdempotencyRecord) -> bool:
        from sqlalchemy.exc import IntegrityError

        try:
            async with session.begin_nested():
                session.add(record)
        except IntegrityError:
            return False
        return True


_IN_FLIGHT = "The first request with this Idempotency-Key is still being answered. Try again soon."
