"""Logins: which tokens count, and when they stop.

A login is a row with a generation. Each of its tokens names both, so that refreshing (generation
plus one) makes all earlier ones worthless, and ending it the rest. A token of an earlier generation
that asks to be refreshed was stolen, or its successor was: the login ends (RFC 9700, section 4.14).
"""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, select, update

from ..errors import Unauthenticated
from ..store.database import Store
from ..store.types import new_id, utcnow
from .directory import CHANGES, Directory
from .memory import Memory
from .records import LoginRecord, UserRecord
from .schemas import Account, Credential
from .tokens import TokenKind, Tokens

SessionKind = Literal["token", "pair", "cookie"]

ENDED = "This login has ended. Log in again."
SPENT = "This token was used before, so the whole login has ended. Log in again."
PER_ACCOUNT = 100
"""Logins that an account may have; the oldest end."""


class Sessions:
    """Every login, and the check that each of their requests passes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tokens = Tokens(store)
        self._directory = Directory(store)
        self._known: Memory[bytes, tuple[Credential, float]] = Memory(store.signals, CHANGES)

    # -- for the edge ------------------------------------------------------------------------

    def verify_cached(self, token: str, kind: TokenKind) -> Credential | None:
        """Return whose token this is, from memory; None where it has to be looked at."""
        known = self._known.get(_digest(token, kind))
        if known is None or time.time() >= known[1]:
            return None
        return known[0]

    async def verify(self, token: str, kind: TokenKind) -> Credential:
        """Return whose token this is.

        Parameters
        ----------
        kind
            ``access`` from a header, ``cookie`` from a cookie.

        Raises
        ------
        Unauthenticated
            It is malformed, forged, expired or spent, its login has ended, or its account is
            disabled.
        """
        if credential := self.verify_cached(token, kind):
            return credential
        await self._tokens.ready()
        claims = self._tokens.read(token, kind)
        generation = self._known.generation
        async with self._store.read() as session:
            found = await session.execute(
                select(LoginRecord, UserRecord)
                .join(UserRecord, UserRecord.id == LoginRecord.user_id)
                .where(LoginRecord.id == claims.session)
            )
            row = found.first()
            if row is None or row[0].user_id != claims.user:
                raise Unauthenticated(ENDED)
            login, user = row
            account = await self._directory.account(session, user)
        if login.generation != claims.generation:
            raise Unauthenticated("This token was refreshed. Use the new one.")
        if not account.enabled:
            raise Unauthenticated(f"The account {account.username!r} is disabled.")
        credential = Credential(
            id=f"session:{login.id}",
            kind="cookie" if kind == "cookie" else "jwt",
            account=account,
            limited=True,
        )
        self._known.keep(_digest(token, kind), (credential, claims.expires), generation)
        return credential

    # -- for logins --------------------------------------------------------------------------

    async def begin(
        self, account: Account, kind: SessionKind, address: str, lifetime: float
    ) -> tuple[str, int]:
        """Begin a login; one that was there before is never taken over.

        Returns
        -------
        tuple
            Its id and generation.
        """
        now = utcnow()
        record = LoginRecord(
            id=new_id("login"),
            user_id=account.id,
            kind=kind,
            generation=1,
            address=address[:64],
            created_at=now,
            expires_at=now + timedelta(seconds=lifetime),
        )
        async with self._store.write() as session:
            await session.execute(delete(LoginRecord).where(LoginRecord.expires_at < now))
            newest = (
                select(LoginRecord.id)
                .where(LoginRecord.user_id == account.id)
                .order_by(LoginRecord.created_at.desc(), LoginRecord.id.desc())
                .offset(PER_ACCOUNT - 1)
            )
            old = list(await session.scalars(newest))
            if old:
                await session.execute(delete(LoginRecord).where(LoginRecord.id.in_(old)))
                await self._store.signals.raise_(session, CHANGES)
            session.add(record)
        return record.id, record.generation

    async def token(
        self, kind: TokenKind, account: Account, login: tuple[str, int], lifetime: float
    ) -> str:
        """Return a token of a login.

        Parameters
        ----------
        lifetime
            Seconds.
        """
        await self._tokens.ready()
        return self._tokens.make(kind, account.id, *login, lifetime)

    async def renew(
        self, token: str, kind: TokenKind, lifetime: float
    ) -> tuple[UserRecord, Account, tuple[str, int]]:
        """Make the next generation of a login, once for each token.

        Parameters
        ----------
        kind
            ``refresh``, or ``access`` for a login with one token for everything.

        Raises
        ------
        Unauthenticated
            The token is no good; one that was spent ends its login.
        """
        await self._tokens.ready()
        claims = self._tokens.read(token, kind)
        wanted = "pair" if kind == "refresh" else "token"
        async with self._store.write() as session:
            renewed = await session.execute(
                update(LoginRecord)
                .where(
                    LoginRecord.id == claims.session,
                    LoginRecord.user_id == claims.user,
                    LoginRecord.kind == wanted,
                    LoginRecord.generation == claims.generation,
                )
                .values(
                    generation=LoginRecord.generation + 1,
                    expires_at=utcnow() + timedelta(seconds=lifetime),
                )
            )
            if renewed.rowcount:  # type: ignore[attr-defined]
                user = await session.get_one(UserRecord, claims.user)
                account = await self._directory.account(session, user)
                if not account.enabled:
                    raise Unauthenticated(f"The account {account.username!r} is disabled.")
                await self._store.signals.raise_(session, CHANGES)
                return user, account, (claims.session, claims.generation + 1)
            spent = await session.execute(
                delete(LoginRecord).where(
                    LoginRecord.id == claims.session,
                    LoginRecord.user_id == claims.user,
                    LoginRecord.generation > claims.generation,
                )
            )
            await self._store.signals.raise_(session, CHANGES)
        raise Unauthenticated(SPENT if spent.rowcount else ENDED)  # type: ignore[attr-defined]

    async def end(self, token: str, *kinds: TokenKind) -> tuple[str, str]:
        """End the login of a token.

        Returns
        -------
        tuple
            Ids of the account and of the login.

        Raises
        ------
        Unauthenticated
            The token is no good.
        """
        await self._tokens.ready()
        claims = self._tokens.read(token, *kinds)
        async with self._store.write() as session:
            ended = await session.execute(
                delete(LoginRecord).where(
                    LoginRecord.id == claims.session, LoginRecord.user_id == claims.user
                )
            )
            await self._store.signals.raise_(session, CHANGES)
        if not ended.rowcount:  # type: ignore[attr-defined]
            raise Unauthenticated(ENDED)
        return claims.user, claims.session


def _digest(token: str, kind: TokenKind) -> bytes:
    return hashlib.sha256(f"{kind} {token}".encode("utf-8", "surrogatepass")).digest()
