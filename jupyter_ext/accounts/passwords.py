"""Passwords: argon2id, in threads of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ..errors import InvalidRequest
from .turns import Turns

if TYPE_CHECKING:
    from argon2 import PasswordHasher

R = TypeVar("R")

MINIMUM = 6
"""Characters, unless it is configured."""

THREADS = 2
"""Each hash takes a processor and 64 MiB for a while; more at once would starve the rest."""

STRANGERS_NICE = 10
"""How far behind everybody else the thread stands that hashes what strangers send."""


class Passwords:
    """Hashes and checks passwords without the loop waiting.

    Parameters
    ----------
    minimum
        The fewest characters that a new password may have.
    """

    def __init__(self, minimum: int = MINIMUM) -> None:
        self.minimum = minimum
        self._turns = Turns()

    async def hash(self, password: str) -> str:
        """Return what is stored of a password.

        Raises
        ------
        InvalidRequest
            It is too short.
        """
        self.check(password)
        return await self._call(self._hasher.hash, password)

    async def hash_strangers(self, account: str, password: str) -> str:
        """As `hash`, one at a time and behind everybody else's work.

        Raises
        ------
        InvalidRequest
            It is too short.
        RateLimited
            Too many strangers wait.
        """
        self.check(password)
        async with self._turns.turn(account):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._strangers, self._hasher.hash, password)

    def check(self, password: str) -> None:
        """Refuse a password that is too short.

        Raises
        ------
        InvalidRequest
            It is.
        """
        if len(password) < self.minimum:
            raise InvalidRequest(
                fields={"password": f"must have {self.minimum} characters or more"}
            )

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether a password is the right one; as slow for an account that has none."""
        return await self._call(self._verify, hashed, password)

    async def verify_strangers(self, account: str, hashed: str | None, password: str) -> bool:
        """As `verify`, one at a time and behind everybody else's work; accounts take turns.

        Raises
        ------
        RateLimited
            Too many strangers wait.
        """
        async with self._turns.turn(account):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._strangers, self._verify, hashed, password)

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """End the threads."""
        for name in ("_threads", "_strangers"):
            threads = self.__dict__.pop(name, None)
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        # The library's own choice (RFC 9106, section 4, for little memory) but for its four lanes:
        # with one, a login takes one processor, and others go on beside it.
        return PasswordHasher(parallelism=1)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="jupyter-ext-argon2")

    @cached_property
    def _strangers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "jupyter-ext-strangers", initializer=_stand_back)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    def _verify(self, hashed: str | None, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        nobodys = self._nobodys
        try:
            self._hasher.verify(hashed or nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    async def _call(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _stand_back() -> None:
    """Lower the priority of this thread alone, as Linux can."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), STRANGERS_NICE)


def random_password() -> str:
    """Return a password that nobody guesses and that can be typed."""
    return "-".join(secrets.token_hex(2) for _ in range(5))
