"""What the edge needs of the rest of the house, handed in by ``app.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..accounts.schemas import AuditEntry, Credential
from ..errors import PlatformError, Unavailable
from .authentication import Authenticator
from .dialects import Dialect
from .uploads import UploadCounter

if TYPE_CHECKING:
    from ..operations.idempotency import IdempotencyKeys
    from .socket import SocketCounter

START_DEADLINE = 30.0
"""Seconds that a request waits for a server that is still starting."""


class Allowance(Protocol):
    """What is left of a limit."""

    @property
    def headers(self) -> Mapping[str, str]:
        """``X-RateLimit-…`` for the reply."""

    @property
    def retry_after(self) -> float | None:
        """Seconds until the next request passes; None where this one does."""


class RateLimits(Protocol):
    """Counts requests."""

    async def hit(self, dialect: Dialect, credential: Credential, address: str) -> Allowance | None:
        """Count one; None where the credential has no limit."""


class Audit(Protocol):
    """Keeps who did what."""

    async def record(self, entry: AuditEntry) -> None:
        """Keep an entry; it is kept when this returns, and whatever happens, nothing is raised."""

    def note(self, entry: AuditEntry) -> None:
        """Keep an entry soon."""


class Unaudited:
    """Keeps nothing."""

    async def record(self, entry: AuditEntry) -> None:
        """Forget it."""

    def note(self, entry: AuditEntry) -> None:
        """Forget it."""


class Gate:
    """Holds requests back until the store is open, and says why where it can't be."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._failure: PlatformError | None = None

    def open(self) -> None:
        """Let everybody in."""
        self._failure = None
        self._open.set()

    def fail(self, error: PlatformError) -> None:
        """Turn everybody away with `error`."""
        self._failure = error
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether requests pass at once."""
        return self._open.is_set() and self._failure is None

    async def passed(self) -> None:
        """Wait for the start.

        Raises
        ------
        PlatformError
            The start failed, or takes too long.
        """
        try:
            await asyncio.wait_for(self._open.wait(), START_DEADLINE)
        except TimeoutError:
            raise Unavailable("The server is still starting.", "Try again in a moment.") from None
        if self._failure is not None:
            raise self._failure


@dataclass(frozen=True)
class Services:
    """Everything that one request passes on its way to a manager."""

    gate: Gate
    authenticator: Authenticator
    limits: RateLimits
    sockets: SocketCounter
    idempotency: IdempotencyKeys
    allowed: Callable[[Credential, str | None], bool]
    """Whether a credential opens a permission."""
    uploads: UploadCounter = field(default_factory=UploadCounter)
    audit: Audit = field(default_factory=Unaudited)
