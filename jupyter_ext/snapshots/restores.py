"""Restores of snapshots, whole or in parts; what was there becomes a snapshot of its own."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..errors import Conflict, InvalidRequest, PlatformError, Unavailable
from ..operations.running import Progress, Resumed, Running
from ..operations.schemas import Operation, Recovered, jsonable
from ..postgres.schemas import NAME_BYTES
from ..postgres.steps import to_the_end
from ..store.types import new_id, utcnow
from . import swap
from .book import BEFORE, Note, SnapshotBook
from .containers import ContainerKeeper
from .databases import DatabaseKeeper
from .files import FileKeeper
from .manager import SnapshotManager, group_of
from .parts import Kept
from .retention import Retention
from .schemas import NewSnapshotRestore, RestoredSnapshot

if TYPE_CHECKING:
    from ..containers.people import People
    from ..operations.manager import Operations
    from ..postgres.restores import RestoreManager

RESTORE = "snapshot.restore"

PREPARING, KEEPING, DATABASES, FILES, CONTAINERS = (
    "preparing",
    "keeping",
    "databases",
    "files",
    "containers",
)
"""Phases. Up to the second nothing was changed; from the fourth on it goes forward only."""

UNDONE = "The server stopped before anything was put in its place: all is as it was. Restore again."

_BEFORE = re.compile(r"before (?P<name>.+) \d{8}-\d{6}-\d{3}")
"""What `before_name` makes."""

SHOWN = 3
"""Parts in a text."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One restore.

    Parameters
    ----------
    mark
        Of what it makes on its way.
    before
        Mark and name of the snapshot of what was there.
    databases
        What whoever recovers their restore has to know; None where there is none.
    """

    note: Note
    parts: Sequence[Kept]
    mark: str
    before: tuple[str, str]
    databases: Mapping[str, Any] | None

    def of(self, group: str) -> Sequence[Kept]:
        """Return the parts of a group."""
        return [part for part in self.parts if group_of(part) == group]

    @property
    def names(self) -> list[str]:
        """The names of all parts."""
        return [part.name for part in self.parts]


class SnapshotRestores:
    """The rules of restoring snapshots.

    Databases come first: theirs can fail, and is undone whole where it does. What comes after, the
    files, waits beside them by then, and only names change. Each container is made again alone.
    """

    def __init__(
        self,
        book: SnapshotBook,
        manager: SnapshotManager,
        databases: DatabaseKeeper,
        files: FileKeeper,
        containers: ContainerKeeper,
        restores: RestoreManager,
        people: People,
        operations: Operations,
        retention: Retention,
    ) -> None:
        self._retention = retention
        self._book = book
        self._manager = manager
        self._databases = databases
        self._files = files
        self._containers = containers
        self._restores = restores
        self._people = people
        self._operations = operations
        # Two at once would move each other's files.
        self._busy: set[str] = set()
        operations.on_recovery(RESTORE, self.recover)

    async def restore(
        self, caller: Account, name: str, body: NewSnapshotRestore
    ) -> Running[RestoredSnapshot]:
        """Restore a snapshot; what was there becomes a snapshot of its own.

        Raises
        ------
        NotFound
            The caller has none of this name.
        InvalidRequest
            It has no such part.
        Forbidden
            It is the cluster, and the caller no administrator.
        Conflict
            A part is gone, or another one of theirs is being restored.
        Unavailable
            What a part needs is missing or away.
        """
        note = await self._book.find(caller.id, name)
        self._refuse_second(caller)
        parts = await self._chosen(note, body.parts)
        mark, before = new_id("restore"), new_id("snapshot")
        job = Job(note, parts, mark, (before, before_name(name)), None)
        await self._containers.check(caller, job.of("containers"))
        task = await self._databases.plan(caller, job.of("databases"), mark)
        job = replace(job, databases=task.given if task is not None else None)
        return await self._operations.start(
            caller,
            RESTORE,
            name,
            partial(self._alone, caller, job, task),
            input={
                "snapshot": note.mark,
                "parts": job.names,
                "mark": mark,
                "before": before,
                "databases": job.databases,
            },
            also=lambda session: self._book.claim(
                session,
                caller.id,
                job.before[1],
                before,
                f"What was there before the snapshot {name!r} was restored",
            ),
        )

    async def made(self, caller: Account, kept: Mapping[str, Any]) -> RestoredSnapshot:
        """Return a restore that was made for a request before."""
        return RestoredSnapshot.model_validate(kept)

    async def recover(
        self, operation: Operation, given: Mapping[str, Any]
    ) -> str | Recovered | Resumed[RestoredSnapshot]:
        """Undo what a crash interrupted where nothing is in its place yet; else go on."""
        phase = operation.details.get("phase")
        caller = await self._people.account(operation.owner)
        note = await self._book.get(str(given["snapshot"]))
        before = await self._book.get(str(given["before"]))
        begun = phase not in (None, PREPARING, KEEPING)
        if begun and given["databases"] and phase not in (FILES, CONTAINERS):
            # Their own phases are in the details, too.
            outcome = await self._restores.recover(operation, given["databases"])
            begun = isinstance(outcome, Recovered) and outcome.succeeded
        if not begun or note is None or before is None:
            await self._clean_up(caller, str(given["mark"]), str(given["before"]), operation)
            return UNDONE
        parts = [part for part in note.parts if part.name in given["parts"]]
        job = Job(note, parts, str(given["mark"]), (before.mark, before.name), given["databases"])
        return Resumed(partial(self._resume, caller, job), jsonable)

    # -- inside --------------------------------------------------------------------------------

    async def _chosen(self, note: Note, names: Sequence[str] | None) -> Sequence[Kept]:
        """Return the parts that are asked for, none of which may be gone."""
        wanted = [
            part
            for part in note.there
            if names is None or part.name in names or group_of(part) in names
        ]
        known = {word for part in note.there for word in (part.name, group_of(part))}
        if unknown := [name for name in names or () if name not in known]:
            shown = ", ".join(map(repr, unknown[:SHOWN]))
            there = ", ".join(part.name for part in note.there[:SHOWN])
            problem = f"{shown}: this snapshot has no such part; it has {there or 'none'}"
            raise InvalidRequest(fields={"parts": problem})
        if not wanted:
            raise InvalidRequest(fields={"parts": "names none"})
        [view] = await self._manager.views([note])
        for part in view.parts:
            if part.state == "gone" and part.name in {each.name for each in wanted}:
                raise Conflict(
                    "snapshot",
                    note.name,
                    f"{part.name} can't be restored any more: {part.reason} Name the other parts.",
                )
        return wanted

    async def _alone(
        self, caller: Account, job: Job, task: Any, progress: Progress
    ) -> RestoredSnapshot:
        with ExitStack() as stack:
            try:
                stack.enter_context(self.alone(caller))
            except Conflict:
                await self._book.release(job.before[0])
                raise
            return await self._restore(caller, job, task, progress)

    @contextmanager
    def alone(self, caller: Account) -> Iterator[None]:
        """Have nobody restore their files twice at once; raises `Conflict`."""
        self._refuse_second(caller)
        self._busy.add(caller.id)
        try:
            yield
        finally:
            self._busy.discard(caller.id)

    def _refuse_second(self, caller: Account) -> None:
        if caller.id in self._busy:
            raise Conflict(
                "snapshot", "", "Files of yours are being restored. Wait until that is done."
            )

    async def _restore(
        self, caller: Account, job: Job, task: Any, progress: Progress
    ) -> RestoredSnapshot:
        try:
            await progress.keep({"phase": PREPARING})
            for part in job.of("files"):
                await self._files.prepare(caller, part, job.mark, progress)
            await progress.keep({"phase": KEEPING})
            kept = await self._keep(caller, job, progress)
            await self._files.check(_named("files", kept))
            if task is not None:
                await progress.keep({"phase": DATABASES})
                await task.run(caller, progress)
        except BaseException:
            if not progress.interrupted:
                try:
                    await asyncio.shield(
                        self._clean_up(caller, job.mark, job.before[0], progress.operation)
                    )
                except PlatformError:
                    await self._book.abandon(job.before[0])
            raise
        return await to_the_end(self._go_on(caller, job, progress))

    async def _keep(self, caller: Account, job: Job, progress: Progress) -> Sequence[Kept]:
        """Make what is there a snapshot."""
        groups = [group_of(part) for part in job.parts]
        kept = await self._manager.keep(caller, job.before[0], groups, progress, job.names)
        await self._book.finish(job.before[0], kept, BEFORE)
        return kept

    async def _resume(self, caller: Account, job: Job, progress: Progress) -> RestoredSnapshot:
        return await to_the_end(self._go_on(caller, job, progress, again=True))

    async def _go_on(
        self, caller: Account, job: Job, progress: Progress, *, again: bool = False
    ) -> RestoredSnapshot:
        """Put files and containers in their place, and tell what is done.

        Parameters
        ----------
        again
            A crash interrupted it.
        """
        details = progress.operation.details
        if job.of("files") and details.get("phase") != CONTAINERS:
            await self._put_files(caller, job, details.get("plan"), progress)
        broken_off = again and details.get("phase") == CONTAINERS
        done = list(details.get("done", ())) if broken_off else []
        for part in job.of("containers"):
            if part.name in done:
                continue
            if not (
                broken_off and await self._containers.finish(caller, part, details.get("former"))
            ):
                await self._put_container(caller, job, part, done, progress)
            # What a crash broke off was the first that is not done.
            broken_off = False
            done.append(part.name)
        self._manager.tell("restored", job.note)
        self._retention.soon()
        started = progress.operation.started_at or utcnow()
        return RestoredSnapshot(
            name=job.note.name,
            parts=job.names,
            seconds=round((utcnow() - started).total_seconds(), 3),
            kept=job.before[1],
            kept_databases=_kept_databases(job),
            not_in_it={part.name: list(part.not_in_it) for part in job.parts if part.not_in_it},
        )

    async def _put_files(
        self, caller: Account, job: Job, words: Mapping[str, Any] | None, progress: Progress
    ) -> None:
        if words is None:
            if job.databases is not None:
                # That took its time, in which files may have been saved.
                await self.keep_newer_files(caller, job.before[0], progress)
            plan = await self._files.plan(caller, job.mark)
            await progress.keep({"phase": FILES, "plan": plan.words()})
        else:
            plan = swap.Plan.read(words)
        await progress.update(message="Putting the files in their place")
        await self._files.switch(caller, job.mark, plan)
        try:
            await self._files.clear(caller, job.mark)
        except PlatformError as error:
            # What root left in the folder, as from a container, its owner can't remove.
            _log.warning("What was there before is still hidden beside the files: %s", error)

    async def keep_newer_files(self, caller: Account, mark: str, progress: Progress) -> None:
        """Have the snapshot of what is there before a restore have what was saved since."""
        before = await self._book.get(mark)
        part = _named("files", before.parts) if before is not None else None
        if before is None or part is None:
            return
        try:
            newer = await self._files.renew(caller, part, before.mark, progress)
        except PlatformError as error:
            _log.warning("Files that were saved during a restore are not kept: %s", error)
            return
        rest = [each for each in before.parts if each.kind != "files"]
        await self._book.finish(before.mark, [*rest, newer], BEFORE)

    async def _put_container(
        self, caller: Account, job: Job, part: Kept, done: Sequence[str], progress: Progress
    ) -> None:
        former = None
        try:
            former = await self._containers.former(caller, part)
            await progress.keep({"phase": CONTAINERS, "done": list(done), "former": former})
            await progress.update(message=f"Making {part.name} again")
            await self._containers.restore(caller, part)
        except PlatformError as error:
            stands = former is None or await self._containers.stands(caller, part, former)
            state = "It is as it was." if stands else "It stands still: look at the log."
            raise Unavailable(
                f"{part.name} could not be restored: {error.message} {state}",
                f"What comes before it in {', '.join(job.names)} was restored; what was there is "
                f"the snapshot {job.before[1]!r}.",
            ) from error

    async def _clean_up(
        self, caller: Account, mark: str, before: str, operation: Operation
    ) -> None:
        """Remove what a restore made that changed nothing."""
        try:
            await self._files.clear(caller, mark)
            await self._manager.drop(caller.id, before, (), operation)
        except PlatformError as error:
            _log.warning("What a restore had made could not be removed: %s", error)
            raise


def _named(name: str, parts: Sequence[Kept]) -> Kept | None:
    return next((part for part in parts if part.name == name and part.there), None)


def before_name(name: str) -> str:
    """Name the snapshot of what was there before something is restored."""
    if (again := _BEFORE.fullmatch(name)) is not None:
        name = again["name"]
    head, stamp = "before ", f" {utcnow():%Y%m%d-%H%M%S-%f}"[:-3]
    room = NAME_BYTES - len(head) - len(stamp)
    return head + name.encode()[:room].decode(errors="ignore").rstrip() + stamp


def _kept_databases(job: Job) -> dict[str, str]:
    given = job.databases
    if given is None:
        return {}
    if not given["moves"]:
        return {"cluster": str(given["kept"])}
    return {each["name"]: each["kept"] for each in given["moves"]}
