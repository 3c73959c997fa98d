"""JSON Web Tokens (RFC 7519): what a login hands out, signed so that no database is asked.

Only HS256 is made and only HS256 is read: the algorithm that a token names is never believed
(RFC 8725, section 3.1). The key lies encrypted in the store, so that all its servers share it.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ..errors import Unauthenticated
from ..store.base import Fact

if TYPE_CHECKING:
    from ..store.database import Store

TokenKind = Literal["access", "refresh", "cookie"]

ALGORITHM = "HS256"
FACT = "token-key"
LEEWAY = 10
"""Seconds that the clocks of two servers may differ."""
REQUIRED = ["iss", "sub", "sid", "gen", "typ", "iat", "nbf", "exp"]

WRONG = "This token is not valid. Log in again."
OVER = "This token has expired. Refresh it, or log in again."


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says.

    Parameters
    ----------
    session
        The login that it belongs to.
    generation
        How often that was refreshed when the token was made.
    expires
        Seconds since the epoch.
    """

    user: str
    session: str
    generation: int
    kind: TokenKind
    expires: float


class Tokens:
    """Signs and reads tokens with the store's own key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = b""
        self._jwt: Any = None
        self._beginning = asyncio.Lock()

    async def _stored(self) -> str | None:
        async with self._store.read() as session:
            found = await session.scalar(select(Fact.value).where(Fact.name == FACT))
        return None if found is None else self._store.secrets.decrypt(found)

    async def ready(self) -> None:
        """Import the libraries and read the key, when the first login needs them.

        Neither belongs into a server's start: together they take a tenth of a second.
        """
        if self._key:
            return
        async with self._beginning:
            if self._key:
                return
            with ThreadPoolExecutor(1, "jupyter-ext-import") as thread:
                self._jwt = await asyncio.get_running_loop().run_in_executor(thread, _library)
            self._key = await self._shared_key()

    async def _shared_key(self) -> bytes:
        """Read the key, or make it: the first server's counts for all."""
        text = await self._stored()
        if text is None:
            made = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
            try:
                async with self._store.write() as session:
                    session.add(Fact(name=FACT, value=self._store.secrets.encrypt(made)))
            except IntegrityError:
                text = await self._stored()
            else:
                text = made
        return base64.urlsafe_b64decode(text or "")

    def make(
        self, kind: TokenKind, user: str, session: str, generation: int, lifetime: float
    ) -> str:
        """Return a token.

        Parameters
        ----------
        user
            The account's id.
        lifetime
            Seconds.
        """
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": user,
            "sid": session,
            "gen": generation,
            "typ": kind,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime),
        }
        made: str = self._jwt.encode(claims, self._key, algorithm=ALGORITHM)
        return made

    def read(self, token: str, *kinds: TokenKind) -> Claims:
        """Return what a token says.

        Raises
        ------
        Unauthenticated
            Its signature, issuer, kind or time is wrong.
        """
        try:
            found = self._jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": REQUIRED, "verify_aud": False},
            )
        except self._jwt.ExpiredSignatureError:
            raise Unauthenticated(OVER) from None
        except (self._jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthenticated(WRONG) from None
        named = (found["sub"], found["sid"], found["typ"])
        if not all(isinstance(each, str) and each.isprintable() for each in named):
            raise Unauthenticated(WRONG)
        if type(found["gen"]) is not int:
            raise Unauthenticated(WRONG)
        if found["typ"] not in kinds:
            raise Unauthenticated(
                f"This is a token for another purpose ({found['typ']:.20}). Log in again."
            )
        return Claims(found["sub"], found["sid"], found["gen"], found["typ"], float(found["exp"]))

    @property
    def _issuer(self) -> str:
        return f"jupyter_ext:{self._store.id}"


def _library() -> Any:
    import jwt

    return jwt
