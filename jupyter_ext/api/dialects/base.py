"""What a dialect decides: how a success, an error and a list look, and its limits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from ...errors import PlatformError

if TYPE_CHECKING:
    from ..route import ErrorCodes, Json, Page


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests pass.

    Parameters
    ----------
    amount
        Requests in a window, as the headers show it.
    seconds
        The window's length.
    burst
        Requests that pass beyond `amount`.
    by_address
        Counted per client address instead of per credential.
    """

    amount: int
    seconds: int
    burst: int = 0
    by_address: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an error becomes in a dialect: status, code and, where there is one, a reason."""

    status: int
    code: str
    reason: str = ""


class Dialect(ABC):
    """One document's manners. Stateless; no manager knows of it."""

    name: ClassVar[str]
    limit: ClassVar[RateLimit]
    prefixes: ClassVar[tuple[str, ...]] = ()
    """Documented path prefixes, for replies to paths that nobody serves."""

    codes: ClassVar[dict[int, str]] = {}
    """The document's own words for a status, where they differ from the error's code."""

    @abstractmethod
    def success(self, status: int, data: Json) -> Json:
        """Return the body of a success."""

    @abstractmethod
    def error(self, error: PlatformError, outcome: Outcome, request_id: str) -> Json:
        """Return the body of a failure."""

    @abstractmethod
    def page(self, page: Page[object], items: Sequence[Json]) -> Json:
        """Return a list as `success` takes it."""

    def outcome(self, error: PlatformError, overrides: ErrorCodes) -> Outcome:
        """Return status and code of `error`, a route's own `overrides` first."""
        for kind in type(error).__mro__:
            override = overrides.get(kind)
            if override is None:
                continue
            if isinstance(override, int):
                return Outcome(override, self.codes.get(override, error.code))
            return Outcome(*override)
        return Outcome(error.status, self.codes.get(error.status, error.code))


def now() -> str:
    """RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
