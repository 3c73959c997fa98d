"""Passwords: argon2id, in threads of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

R = TypeVar("R")

MINIMUM = 6
"""Characters, unless it is configured."""

THREADS = 2
"""Each hash takes a processor and 64 MiB for a while; more at once would starve the rest."""


class Passwords:
    """Hashes and checks passwords without the loop waiting.

    Parameters
    ----------
    minimum
        The fewest characters that a new password may have.
    """

    def __init__(self, minimum: int = MINIMUM) -> None:
        self.minimum = minimum

    async def hash(self, password: str) -> str:
        """Return what is stored of a password.

        Raises
        ------
        InvalidRequest
            It is too short.
        """
        if len(password) < self.minimum:
            raise InvalidRequest(
                fields={"password": f"must have {self.minimum} characters or more"}
            )
        return await self._call(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether a password is the right one; as slow for an account that has none."""
        return await self._call(self._verify, hashed, password)

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """End the threads."""
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)
            del self.__dict__["_threads"]

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="jupyter-ext-argon2")

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    def _verify(self, hashed: str | None, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._hasher.verify(hashed or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    async def _call(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def random_password() -> str:
    """Return a password that nobody guesses and that can be typed."""
    return "-".join(secrets.token_hex(2) for _ in range(5))
