"""What a backup knows of files that its owner has kept with it, and what is asked of their keeper.

Whoever keeps users' notebook files knows databases, and not the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..errors import Forbidden, InvalidRequest
from ..store.types import new_id

if TYPE_CHECKING:
    from ..operations.running import Progress
    from .backup_book import Note
    from .backup_schemas import NewRestore


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """Files of a backup, as the store has them.

    Parameters
    ----------
    mark
        By which their keeper finds them.
    part
        What it has to know to restore them.
    paths
        In their owner's folder, as they were asked for.
    size
        Bytes of all.
    moment
        When they were kept.
    unread
        What of them could not be read, for people; empty where all could.
    alone
        The backup is for no database.
    leaving
        The backup is being deleted, and they with it.
    """

    mark: str
    part: Mapping[str, Any]
    paths: Sequence[str]
    size: int
    moment: datetime
    unread: str = ""
    alone: bool = False
    leaving: bool = False

    def words(self) -> dict[str, Any]:
        """Return them as JSON takes them."""
        return {**asdict(self), "moment": self.moment.isoformat()}

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> SavedFiles:
        """Return them from what `words` made."""
        return cls(**{**words, "moment": datetime.fromisoformat(words["moment"])})

    def gone(self) -> SavedFiles:
        """Return them as they are when their backup is being deleted."""
        return replace(self, leaving=True)


@dataclass(frozen=True, slots=True)
class FileJob:
    """Files that a restore puts back.

    Parameters
    ----------
    mark
        Of what waits beside those that are there.
    before
        Mark and name of the snapshot of what was there.
    there
        Those of the paths where something is now.
    """

    part: Mapping[str, Any]
    paths: Sequence[str]
    before: tuple[str, str]
    there: Sequence[str] = ()
    mark: str = field(default_factory=lambda: new_id("restore"))

    def words(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> FileJob:
        """Return it from what `words` made."""
        mark, name = words["before"]
        return cls(**{**words, "before": (str(mark), str(name))})


class KeepsFiles(Protocol):
    """Whoever keeps users' notebook files."""

    async def check(self, caller: Account, names: Sequence[str]) -> Sequence[str]:
        """Return paths in the caller's folder; raises `InvalidRequest` naming what is wrong."""

    async def save(
        self, caller: Account, paths: Sequence[str], mark: str, progress: Progress
    ) -> SavedFiles:
        """Keep files; after a crash they are found by the mark.

        Raises
        ------
        InvalidRequest
            There is nothing to keep, or not all of it can be.
        Unavailable
            What keeps them is missing or away.
        """

    async def discard(self, owner: str, mark: str) -> None:
        """Remove what was kept, whole or half; may be called again."""

    async def verify(self, owner: str, saved: SavedFiles) -> None:
        """Read all of it; raises `Unavailable` where it is damaged."""

    async def plan(
        self, caller: Account, id: str, saved: SavedFiles, paths: Sequence[str]
    ) -> FileJob:
        """Plan to put files back.

        Raises
        ------
        InvalidRequest
            The backup does not have one of them.
        Conflict
            They have no place to go to.
        """

    def alone(self, caller: Account) -> AbstractContextManager[None]:
        """Have a user wait for their own restores; raises `Conflict`."""

    async def claim(self, session: AsyncSession, caller: Account, id: str, job: FileJob) -> None:
        """Claim the name of what is there before, within a transaction."""

    async def prepare(self, caller: Account, job: FileJob, progress: Progress) -> None:
        """Bring files back beside those that are there, and keep these."""

    async def put(self, owner: str, job: FileJob, plan: Any, progress: Progress) -> str | None:
        """Put what was prepared in its place; return the snapshot of what was there.

        Parameters
        ----------
        plan
            What the operation had kept when a crash interrupted it; None: nothing is moved yet.
        """

    async def undo(self, owner: str, job: FileJob) -> None:
        """Remove what was prepared, and what was kept for it."""


def wanted_files(caller: Account, note: Note, body: NewRestore) -> Sequence[str]:
    """Return the paths of a backup that a restore puts back.

    Raises
    ------
    InvalidRequest
        The backup has no such files, or they can't be restored in this way.
    Forbidden
        They are somebody else's.
    """
    saved, mine = note.files, note.owner == caller.id
    if body.files is None:
        return saved.paths if saved is not None and mine and body.mode == "in_place" else ()
    if body.files and body.mode == "side":
        raise _wrong("are restored in place only")
    if body.files and saved is not None and not mine:
        raise Forbidden("Files of a backup are restored by whose they are.")
    had = saved.paths if saved is not None else ()
    wanted = []
    for name in body.files:
        path = PurePosixPath(name)
        if ".." in path.parts or not any(path.is_relative_to(each) for each in had):
            raise _wrong(f"{name!r} is not among those of this backup")
        wanted.append(str(path))
    return [*dict.fromkeys(wanted)]


def _wrong(problem: str) -> InvalidRequest:
    return InvalidRequest(fields={"files": problem})
