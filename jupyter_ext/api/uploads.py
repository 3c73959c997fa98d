"""How long a body in a file may be, and how many of them one account may send at once."""

from __future__ import annotations

from collections import Counter

from ..accounts.schemas import Credential
from ..errors import RateLimited

LIMIT = 512 << 20
"""Bytes: what Jupyter takes in unless its administrator says otherwise."""

AT_ONCE = 2

RETRY_SECONDS = 10.0


class UploadCounter:
    """Bodies that are on their way to the disk, by account.

    A rate alone would let one account fill the disk with bodies that it never ends.

    Parameters
    ----------
    limit
        Bytes of one body.
    at_once
        Bodies of one account at a time, from the first byte to the end of the reply.
    """

    def __init__(self, limit: int = LIMIT, at_once: int = AT_ONCE) -> None:
        self.limit = limit
        self.at_once = at_once
        self._open: Counter[str] = Counter()

    def enter(self, credential: Credential) -> None:
        """Count one more.

        Raises
        ------
        RateLimited
            The account has as many as it may.
        """
        account = credential.account
        if account is None:
            return
        if self._open[account.id] >= self.at_once:
            raise RateLimited(
                RETRY_SECONDS,
                f"You are sending {self._open[account.id]} uploads, and {self.at_once} at once is "
                "the limit. Wait for one to end.",
            )
        self._open[account.id] += 1

    def leave(self, credential: Credential) -> None:
        """Count one less."""
        if credential.account is not None:
            self._open[credential.account.id] -= 1
            self._open += Counter()
