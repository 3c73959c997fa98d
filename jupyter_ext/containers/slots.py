"""How many streams each user has open at an engine."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from ..errors import QuotaExceeded


class StreamSlots:
    """Counts streams by user.

    Parameters
    ----------
    per_user
        Streams that a user may have open at once.
    """

    def __init__(self, per_user: int) -> None:
        self._per_user = per_user
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many streams of users are open."""
        return self._open.total()

    @contextlib.contextmanager
    def __call__(self, user: str) -> Iterator[None]:
        """Count a stream of a user's while it is open; ``""`` is ourselves.

        Raises
        ------
        QuotaExceeded
            The user has as many as they may have.
        """
        if user and self._open[user] >= self._per_user:
            raise QuotaExceeded("open streams", self._per_user, self._open[user])
        self._open[user] += bool(user)
        try:
            yield
        finally:
            self._open[user] -= bool(user)
            if self._open[user] <= 0:
                del self._open[user]
