"""What passes between the snapshots and whoever keeps one kind of part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

from ..accounts.schemas import Account
from ..operations.running import Progress
from ..operations.schemas import Operation
from ..postgres.phases import Enter, unheard
from .schemas import Group, Kind


@dataclass(frozen=True, slots=True)
class Kept:
    """One part of a snapshot, as the store has it.

    Parameters
    ----------
    name
        ``cluster``, ``files``, ``database:NAME`` or ``container:NAME``.
    size
        Bytes that a restore brings back.
    stored
        Bytes that it took up itself.
    reason
        Why it was left out, or what is not in it; empty for a whole one.
    facts
        What its keeper has to know to restore it; empty for one that was left out.
    not_in_it
        What belongs to the thing and is not kept, and what a restore makes of it; for people.
    """

    name: str
    kind: Kind
    size: int = 0
    stored: int = 0
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    not_in_it: Sequence[str] = ()

    @property
    def there(self) -> bool:
        """Whether it was taken."""
        return bool(self.facts)

    def words(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**asdict(self), "facts": dict(self.facts), "not_in_it": list(self.not_in_it)}

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> Kept:
        """Return it from what `words` made."""
        return cls(**words)


@dataclass(frozen=True, slots=True)
class Freed:
    """What a deletion gave back.

    Parameters
    ----------
    left
        What stays since something else needs it, for people.
    """

    size: int = 0
    left: tuple[str, ...] = ()


class PartKeeper(Protocol):
    """Takes, restores and removes parts of one group.

    `mark` names the snapshot, or the restore, to which all belongs that is made: after a crash it
    is found by it.
    """

    group: ClassVar[Group]

    async def take(
        self,
        caller: Account,
        mark: str,
        progress: Progress,
        names: Sequence[str] | None = None,
        enter: Enter = unheard,
    ) -> Sequence[Kept]:
        """Keep what the caller has, or of it what has these parts' names.

        Parameters
        ----------
        enter
            Is told each `SnapshotPhase` of it.

        Raises
        ------
        Unavailable
            What it needs is missing.
        """

    async def discard(
        self, owner: str, mark: str, parts: Sequence[Kept], operation: Operation | None = None
    ) -> Freed:
        """Remove what was kept, whole or half; may be called again.

        Parameters
        ----------
        parts
            What is known of it; nothing of a snapshot that was not whole yet.
        operation
            That a crash interrupted, and which did it.
        """

    async def gone(self, owner: str, parts: Sequence[Kept]) -> Sequence[str]:
        """Return for each why it can't be restored any more; empty for one that can."""
