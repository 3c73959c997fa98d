"""API keys: made once, known by their hash, found in memory."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update

from ..api.route import Page
from ..errors import Forbidden, InvalidRequest, NotFound, PlatformError, Unauthenticated
from ..store.database import Store
from ..store.types import new_id, utcnow
from .directory import CHANGES, Directory
from .key_format import PREFIX, digest_of, new_key, well_formed
from .permissions import PERMISSIONS, may
from .records import ApiKeyRecord, UserRecord
from .schemas import (
    Account,
    ApiKey,
    ApiKeyQuery,
    CreatedApiKey,
    Credential,
    NewApiKey,
    Revoked,
)

KEYS_PER_ACCOUNT = 500

REMEMBERED = 10_000
"""Keys in memory; beyond it the memory begins anew."""

USE_INTERVAL = 60.0
"""Seconds between two writes of when keys were last used."""

_log = logging.getLogger(__name__)

WRONG = "This API key is not valid: it is mistyped, revoked or expired."


@dataclass(slots=True)
class _Known:
    """A key in memory."""

    id: str
    credential: Credential
    expires: float
    used: float = 0.0
    """When it was last used, since that was last written."""


class ApiKeyManager:
    """The rules of API keys, and the one check that every request passes.

    `verify_cached` is what nearly every request costs: one SHA-256 and one look into a dictionary.
    What it knows is forgotten when any server of the store changes a key or an account.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = Directory(store)
        self._known: dict[bytes, _Known] = {}
        self._used: dict[str, float] = {}
        self._generation = 0
        self._task: asyncio.Task[None] | None = None
        store.signals.on_change(CHANGES, self._forget)

    async def start(self) -> None:
        """Begin to write down when keys are used."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_uses())

    async def stop(self) -> None:
        """Write down what is not yet, and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            try:
                await self.flush()
            except PlatformError as error:
                _log.warning("When keys were last used is not written: %s", error)

    # -- for the edge ------------------------------------------------------------------------

    def verify_cached(self, key: str) -> Credential | None:
        """Return whose key this is, from memory; None where the store has to be asked."""
        known = self._known.get(digest_of(key))
        if known is None:
            return None
        now = time.time()
        if now >= known.expires:
            return None
        known.used = now
        return known.credential

    async def verify(self, key: str) -> Credential:
        """Return whose key this is.

        Raises
        ------
        Unauthenticated
            It is malformed, unknown, revoked or expired, or its account is disabled.
        """
        if credential := self.verify_cached(key):
            return credential
        if not well_formed(key):
            raise Unauthenticated(WRONG)
        digest = digest_of(key)
        generation = self._generation
        async with self._store.read() as session:
            found = await session.execute(
                select(ApiKeyRecord, UserRecord)
                .join(UserRecord, UserRecord.id == ApiKeyRecord.user_id)
                .where(ApiKeyRecord.hash == digest.hex())
            )
            row = found.first()
            if row is None:
                raise Unauthenticated(WRONG)
            record, user = row
            account = await self._directory.account(session, user)
        if record.expires_at is not None and record.expires_at <= utcnow():
            raise Unauthenticated(WRONG)
        if not user.enabled:
            raise Unauthenticated(f"The account {user.username!r} is disabled.")
        known = _Known(
            id=record.id,
            credential=Credential(
                id=f"key:{record.id}",
                kind="api-key",
                account=account,
                limited=record.kind != "local",
                scopes=None if record.scopes is None else frozenset(record.scopes),
            ),
            expires=record.expires_at.timestamp() if record.expires_at else float("inf"),
            used=time.time(),
        )
        if generation == self._generation:
            if len(self._known) >= REMEMBERED:
                self._forget()
            self._known[digest] = known
        else:
            self._used[known.id] = known.used
        return known.credential

    # -- for routes --------------------------------------------------------------------------

    async def create(self, caller: Account, body: NewApiKey) -> CreatedApiKey:
        """Make a key of the caller's, or, for an administrator, of its `owner`.

        Raises
        ------
        InvalidRequest
            A scope does not exist or is more than the owner may do, or they have too many keys.
        Forbidden
            Somebody who is no administrator makes a key for somebody else.
        NotFound
            No user is named so.
        """
        if body.owner is not None and body.owner not in (caller.username, caller.id):
            caller = await self._somebody_else(caller, body.owner)
        for name in body.scopes or ():
            if not _exists(name):
                # A key that was meant to open something would open nothing.
                raise InvalidRequest(fields={"scopes": f"{name!r} is no permission"})
        if wrong := [name for name in body.scopes or () if not _grantable(caller, name)]:
            raise InvalidRequest(
                fields={"scopes": f"{wrong[0]!r} is more than your account may do"}
            )
        async with self._store.read() as session:
            count = select(func.count()).where(
                ApiKeyRecord.user_id == caller.id, ApiKeyRecord.kind == "api-key"
            )
            if (await session.execute(count)).scalar_one() >= KEYS_PER_ACCOUNT:
                raise InvalidRequest(
                    f"You have {KEYS_PER_ACCOUNT} keys. Revoke those that nobody needs."
                )
        key = new_key()
        record = _record(caller, key, "api-key", body.name, body.expires_at)
        record.scopes = body.scopes
        async with self._store.write() as session:
            session.add(record)
        view = self._view(record, caller.username)
        return CreatedApiKey(**view.model_dump(), key=key)

    async def list(self, caller: Account, query: ApiKeyQuery) -> Page[ApiKey]:
        """List the caller's keys, newest first; an administrator's are all, or its `owner`'s."""
        wanted = [ApiKeyRecord.kind == "api-key"]
        if not caller.is_admin:
            wanted.append(ApiKeyRecord.user_id == caller.id)
        if query.owner is not None:
            wanted.append((UserRecord.username == query.owner) | (UserRecord.id == query.owner))
        async with self._store.read() as session:
            owned = ApiKeyRecord.user_id == UserRecord.id
            count = select(func.count()).select_from(ApiKeyRecord).join(UserRecord, owned)
            total = (await session.execute(count.where(*wanted))).scalar_one()
            rows = await session.execute(
                select(ApiKeyRecord, UserRecord.username)
                .join(UserRecord, owned)
                .where(*wanted)
                .order_by(ApiKeyRecord.created_at.desc(), ApiKeyRecord.id.desc())
                .limit(query.limit)
                .offset(query.offset)
            )
            self._collect()
            keys = [self._view(record, username) for record, username in rows]
        return Page(keys, total, query.limit, query.offset, "api_keys")

    async def revoke(self, caller: Account, key_id: str) -> Revoked:
        """Make a key open nothing any more: here at once, on other servers within a second.

        Raises
        ------
        NotFound
            It is none of the caller's (an administrator's are all).
        """
        async with self._store.write() as session:
            record = await session.get(ApiKeyRecord, key_id)
            if record is None or (record.user_id != caller.id and not caller.is_admin):
                raise NotFound("api_key", key_id)
            await session.delete(record)
            await self._store.signals.raise_(session, CHANGES)
        self._used.pop(key_id, None)
        self._forget()
        return Revoked(id=key_id)

    # -- for the rest of the house -----------------------------------------------------------

    async def issue_local(self, account: Account, lifetime: float) -> str:
        """Make a key without limits, for kernels and the local command line.

        Parameters
        ----------
        lifetime
            Seconds; whoever holds it gets the next one before that.
        """
        key = new_key()
        expires_at = utcnow() + timedelta(seconds=lifetime)
        async with self._store.write() as session:
            await session.execute(
                delete(ApiKeyRecord).where(
                    ApiKeyRecord.kind == "local", ApiKeyRecord.expires_at < utcnow()
                )
            )
            session.add(_record(account, key, "local", "local", expires_at))
        return key

    async def withdraw(self, key: str) -> None:
        """Make a key open nothing any more, by the key itself; an unknown one is none already."""
        async with self._store.write() as session:
            await session.execute(
                delete(ApiKeyRecord).where(ApiKeyRecord.hash == digest_of(key).hex())
            )
            await self._store.signals.raise_(session, CHANGES)

    async def flush(self) -> None:
        """Write down when keys were last used, all in one go."""
        self._collect()
        used, self._used = self._used, {}
        if not used:
            return
        rows = [{"id": name, "last_used_at": _moment(when)} for name, when in used.items()]
        try:
            async with self._store.write() as session:
                there = await session.scalars(
                    select(ApiKeyRecord.id).where(ApiKeyRecord.id.in_(used))
                )
                known = set(there)
                rows = [row for row in rows if row["id"] in known]
                if rows:
                    await session.execute(update(ApiKeyRecord), rows)
        except PlatformError:
            self._used = used | self._used
            raise

    # -- inside ------------------------------------------------------------------------------

    async def _somebody_else(self, caller: Account, owner: str) -> Account:
        if not caller.is_admin:
            raise Forbidden("Only an administrator makes keys for somebody else.")
        async with self._store.read() as session:
            found = await self._directory.find(session, owner)
            return await self._directory.account(session, found)

    def _view(self, record: ApiKeyRecord, username: str) -> ApiKey:
        used = self._used.get(record.id)
        return ApiKey(
            id=record.id,
            name=record.name,
            hint=record.hint,
            scopes=record.scopes,
            created_at=record.created_at,
            expires_at=record.expires_at,
            last_used_at=record.last_used_at if used is None else _moment(used),
            owner=username,
        )

    def _collect(self) -> None:
        """Note the uses of all keys in memory."""
        for known in self._known.values():
            if known.used:
                self._used[known.id] = known.used
                known.used = 0.0

    def _forget(self) -> None:
        self._collect()
        self._generation += 1
        self._known.clear()

    async def _write_uses(self) -> None:
        while True:
            await asyncio.sleep(USE_INTERVAL)
            try:
                await self.flush()
            except PlatformError as error:
                _log.warning("When keys were last used is not written yet: %s", error)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _exists(scope: str) -> bool:
    thing, _, act = scope.partition(":")
    return thing in PERMISSIONS and (act == "*" or act in PERMISSIONS[thing])


def _grantable(caller: Account, scope: str) -> bool:
    """Whether an account has what a scope names; of ``container:*`` at least the reading."""
    thing, _, act = scope.partition(":")
    return may(caller, scope) or (act == "*" and may(caller, f"{thing}:read"))


def _record(
    account: Account, key: str, kind: str, name: str, expires_at: datetime | None
) -> ApiKeyRecord:
    return ApiKeyRecord(
        id=new_id("key"),
        user_id=account.id,
        kind=kind,
        name=name,
        hint=key[: len(PREFIX) + 6],
        hash=digest_of(key).hex(),
        scopes=None,
        created_at=utcnow(),
        expires_at=expires_at,
        last_used_at=None,
    )
