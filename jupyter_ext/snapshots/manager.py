"""Snapshots as users see them: listed, taken, deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Conflict, Forbidden, NotFound, PlatformError
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, Recovered, jsonable
from ..postgres.directory import Publisher
from ..postgres.phases import Enter, unheard
from ..postgres.steps import to_the_end
from ..store.types import new_id
from ..units import size_text
from .book import WHOLE, Note, SnapshotBook
from .parts import Freed, Kept, PartKeeper
from .phases import SnapshotPhase
from .schemas import (
    DeletedSnapshot,
    Group,
    NewSnapshot,
    OwnerQuery,
    Part,
    Snapshot,
    SnapshotQuery,
)
from .settings import SnapshotSettings

if TYPE_CHECKING:
    from ..containers.people import People
    from ..operations.manager import Operations

CREATE, DELETE = "snapshot.create", "snapshot.delete"

NOT_TAKEN = (
    "The server stopped before the snapshot was complete. Nothing of it is left; take another."
)

_log = logging.getLogger(__name__)


class SnapshotManager:
    """The rules of snapshots.

    Parameters
    ----------
    keepers
        In the order in which parts are taken.
    """

    def __init__(
        self,
        book: SnapshotBook,
        keepers: Sequence[PartKeeper],
        settings: SnapshotSettings,
        people: People,
        operations: Operations,
        bus: Publisher,
    ) -> None:
        self._book = book
        self._keepers = {keeper.group: keeper for keeper in keepers}
        self._settings = settings
        self._people = people
        self._operations = operations
        self._bus = bus
        operations.on_recovery(CREATE, self.recover)
        operations.on_recovery(DELETE, self.recover_deletion)

    # -- looking -------------------------------------------------------------------------------

    async def list(self, caller: Account, query: SnapshotQuery) -> Page[Snapshot]:
        """List somebody's snapshots, newest first.

        Raises
        ------
        NotFound
            The caller sees no user of this name.
        """
        notes = await self._book.of(self._owner(caller, query.owner))
        shown = notes[query.offset : query.offset + query.limit]
        items = await self.views(shown)
        return Page(items, len(notes), query.limit, query.offset, "snapshots")

    async def get(self, caller: Account, name: str, query: OwnerQuery) -> Snapshot:
        """Return one snapshot.

        Raises
        ------
        NotFound
            The caller has none of this name.
        """
        [view] = await self.views([await self._book.find(self._owner(caller, query.owner), name)])
        return view

    async def feed(self, caller: Account, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a subscriber sees first: all of theirs."""
        page = await self.list(caller, SnapshotQuery(limit=10_000))
        return {"items": [item.model_dump(mode="json") for item in page.items]}

    async def views(self, notes: Sequence[Note]) -> Sequence[Snapshot]:
        """Return snapshots as they are shown; all are one account's."""
        gone: dict[tuple[str, str], str] = {}
        if notes:
            parts = [(note.mark, part) for note in notes for part in note.there]
            for group, keeper in self._keepers.items():
                mine = [each for each in parts if group_of(each[1]) == group]
                reasons = await keeper.gone(notes[0].owner, [part for _, part in mine])
                for (mark, part), reason in zip(mine, reasons, strict=True):
                    gone[mark, part.name] = reason
        return [self._view(note, gone) for note in notes]

    # -- making --------------------------------------------------------------------------------

    async def create(self, caller: Account, body: NewSnapshot) -> Running[Snapshot]:
        """Keep the caller's databases (an administrator's: the cluster), files and containers.

        Raises
        ------
        Conflict
            The caller has one of this name, or nothing to keep.
        QuotaExceeded
            They have as many as they may.
        Unavailable
            What a part needs is missing or away.
        """
        mark = new_id("snapshot")
        groups = body.parts or list(self._keepers)
        most = 0 if caller.is_admin else self._settings.most
        return await self._operations.start(
            caller,
            CREATE,
            body.name,
            partial(self._take, caller, body.name, mark, groups),
            input={"mark": mark},
            also=lambda session: self._book.claim(
                session, caller.id, body.name, mark, body.description, most
            ),
        )

    async def made(self, caller: Account, kept: Mapping[str, Any]) -> Snapshot:
        """Return a snapshot that was taken for a request before."""
        return Snapshot.model_validate(kept)

    async def keep(
        self,
        caller: Account,
        mark: str,
        groups: Iterable[Group],
        progress: Progress,
        names: Sequence[str] | None = None,
        enter: Enter = unheard,
    ) -> Sequence[Kept]:
        """Take parts, of all groups or those of some names."""
        parts: list[Kept] = []
        for group, keeper in self._keepers.items():
            if group in groups:
                await progress.update(0.0)
                parts += await keeper.take(caller, mark, progress, names, enter)
        return parts

    async def drop(
        self, owner: str, mark: str, parts: Sequence[Kept], operation: Operation | None = None
    ) -> Freed:
        """Remove all of a snapshot, whole or half, and give its name back."""
        freed, left = 0, tuple[str, ...]()
        # Those first that may be away: what they have must not be half gone.
        for group in ("containers", "files", "databases"):
            mine = [part for part in parts if part.there and group_of(part) == group]
            if mine or not parts:
                got = await self._keepers[group].discard(owner, mark, mine, operation)
                freed, left = freed + got.size, left + got.left
        await self._book.release(mark)
        return Freed(freed, left)

    # -- deleting ------------------------------------------------------------------------------

    async def delete(
        self, caller: Account, name: str, query: OwnerQuery
    ) -> Running[DeletedSnapshot]:
        """Delete a snapshot, and tell what that frees.

        Raises
        ------
        NotFound
            The caller has none of this name.
        Forbidden
            It is one of the cluster, and the caller no administrator any more.
        Conflict
            It is being restored.
        Unavailable
            The engine of its images, or restic, is away: it stays.
        """
        note = await self._book.find(self._owner(caller, query.owner), name)
        if any(part.kind == "cluster" for part in note.there) and not caller.is_admin:
            raise Forbidden("Only an administrator deletes a snapshot of the whole cluster.")
        return await self.remove(caller, note)

    async def remove(self, caller: Account, note: Note) -> Running[DeletedSnapshot]:
        """Delete a snapshot, whoever may ask for that; raises `Conflict` and `Unavailable`."""
        for role in ("snapshot", "before"):
            if await self._operations.active_about(role, [note.mark]):
                problem = f"{note.name} is in use by a restore that goes on."
                raise Conflict("snapshot", note.name, problem)
        return await self._operations.start(
            caller,
            DELETE,
            note.name,
            partial(self._delete, note),
            input={"mark": note.mark},
            also=lambda session: self._book.leave(session, note.mark),
        )

    async def deleted(self, caller: Account, kept: Mapping[str, Any]) -> DeletedSnapshot:
        """Return what a deletion for a request before told."""
        return DeletedSnapshot.model_validate(kept)

    async def remove_left(self) -> None:
        """Remove what could not be removed when it failed; what can't be now stays noted."""
        for note in await self._book.left():
            try:
                await self.drop(note.owner, note.mark, ())
            except PlatformError as error:
                _log.info("What is left of the snapshot %s stays: %s", note.mark, error)

    # -- departures ----------------------------------------------------------------------------

    async def owned(self, account: Account) -> Sequence[str]:
        """Return what keeps an account from being deleted."""
        return [f"snapshot {each.name}" for each in await self._book.everything_of(account.id)]

    async def check_departure(self, account: Account, to: Account | None) -> None:
        """Refuse to give them away: they are of a workspace that somebody else has not.

        Raises
        ------
        Conflict
            There are some.
        """
        if to is not None and (names := await self.owned(account)):
            raise Conflict(
                "user",
                account.username,
                f"{account.username} has {len(names)} snapshots, which can't become somebody "
                "else's. Delete them first (`pig snapshot delete --owner`), or have all deleted "
                "(purge).",
            )

    async def transfer(self, account: Account, to: Account) -> None:
        """Refuse what was taken since the others were asked; raises `Conflict`."""
        await self.check_departure(account, to)

    async def purge(self, account: Account) -> None:
        """Delete all of an account's snapshots."""
        for note in await self._book.everything_of(account.id):
            await self.drop(account.id, note.mark, note.parts)

    # -- recovery ------------------------------------------------------------------------------

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Remove what a crash left of a snapshot, or see that it was complete."""
        note = await self._book.get(str(given["mark"]))
        if note is not None and note.state in WHOLE:
            [view] = await self.views([note])
            return Recovered("The snapshot is complete.", succeeded=True, result=jsonable(view))
        await self.drop(operation.owner, str(given["mark"]), (), operation)
        return NOT_TAKEN

    async def recover_deletion(self, operation: Operation, given: Mapping[str, Any]) -> Recovered:
        """Delete what is left."""
        note = await self._book.get(str(given["mark"]))
        if note is not None:
            await self.drop(note.owner, note.mark, note.parts)
        return Recovered("The snapshot is deleted.", succeeded=True)

    # -- inside --------------------------------------------------------------------------------

    def _owner(self, caller: Account, owner: str | None) -> str:
        if owner is None or owner == caller.username:
            return caller.id
        found = self._people.id(owner) if caller.is_admin else None
        if found is None:
            raise NotFound("user", owner)
        return found

    async def _take(
        self, caller: Account, name: str, mark: str, groups: Sequence[Group], progress: Progress
    ) -> Snapshot:
        try:
            progress.enter(SnapshotPhase.STARTING)
            parts = await self.keep(caller, mark, groups, progress, enter=progress.enter)
            if not any(part.there for part in parts):
                why = " ".join(part.reason for part in parts) or "You have nothing of that."
                raise Conflict("snapshot", name, f"There is nothing to keep. {why}")
            progress.enter(SnapshotPhase.NOTING)
            note = await self._book.finish(mark, parts)
        except BaseException:
            # A server that takes over cleans up itself.
            if not progress.interrupted:
                await asyncio.shield(self._undo(caller.id, mark, progress.operation))
            raise
        progress.enter(SnapshotPhase.NOTED)
        self.tell("created", note)
        [view] = await self.views([note])
        return view

    async def _undo(self, owner: str, mark: str, operation: Operation) -> None:
        try:
            await self.drop(owner, mark, (), operation)
        except PlatformError as error:
            _log.warning("What was kept for a snapshot is removed later: %s", error)
            await self._book.abandon(mark)

    async def _delete(self, note: Note, progress: Progress) -> DeletedSnapshot:
        await progress.update(message="Freeing what no other snapshot needs")
        try:
            freed = await to_the_end(self.drop(note.owner, note.mark, note.parts))
        except PlatformError:
            await self._book.stay(note)
            raise
        self.tell("deleted", note)
        return DeletedSnapshot(
            name=note.name,
            freed=size_text(freed.size),
            freed_bytes=freed.size,
            left=list(freed.left),
        )

    def tell(self, event: str, note: Note) -> None:
        """Tell the owner what became of a snapshot."""
        data = {"event": event, "name": note.name}
        self._bus.publish("snapshots", data, owner=note.owner, key=note.mark)

    def _view(self, note: Note, gone: Mapping[tuple[str, str], str]) -> Snapshot:
        parts = [_part(each, gone.get((note.mark, each.name), "")) for each in note.parts]
        size = sum(part.size_bytes for part in parts)
        return Snapshot(
            name=note.name,
            description=note.description,
            owner=self._people.name(note.owner),
            created_at=note.created_at,
            size=size_text(size),
            size_bytes=size,
            stored_bytes=sum(part.stored_bytes for part in parts),
            parts=parts,
        )


def group_of(part: Kept) -> Group:
    """Return the group that a part belongs to."""
    if part.kind == "files":
        return "files"
    return "containers" if part.kind == "container" else "databases"


def _part(part: Kept, gone: str) -> Part:
    state = "left_out" if not part.there else "gone" if gone else "kept"
    facts = part.facts
    return Part.model_validate(
        {
            "name": part.name,
            "kind": part.kind,
            "state": state,
            "reason": gone or part.reason or None,
            "size": size_text(part.size),
            "size_bytes": part.size,
            "stored_bytes": part.stored,
            "moment": facts.get("moment"),
            "place": facts.get("folder") or facts.get("image"),
            "not_in_it": list(part.not_in_it),
        }
    )
