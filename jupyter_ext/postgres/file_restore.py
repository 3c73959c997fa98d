"""Restores the files of backups, alone or around databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..operations.running import Progress, Resumed
from ..operations.schemas import Operation, Recovered
from .backup_files import FileJob
from .backup_schemas import FileMove, NewRestore, Restore, Sizes
from .backup_taking import BackupTaker, quietly
from .backup_view import Known
from .phases import RestorePhase
from .restore_news import RestoreNews
from .steps import to_the_end

if TYPE_CHECKING:
    from ..operations.manager import Also

DONE = "What was restored is in its place."

Work = Callable[[Progress], Awaitable[Restore]]


class FileRestore:
    """Puts files back; databases, which may fail, come between their preparation and their switch.

    Up to then nothing is changed; from then on it goes forward only.
    """

    def __init__(self, taker: BackupTaker, news: RestoreNews) -> None:
        self._taker = taker
        self._news = news

    async def planned(self, caller: Account, known: Known, paths: Sequence[str]) -> FileJob | None:
        """Plan to put files back; raises as `KeepsFiles.plan`."""
        saved = known.note.files
        if not paths or saved is None:
            return None
        return await self._taker.files.plan(caller, known.note.id, saved, paths)

    def claim(self, caller: Account, id: str, job: FileJob) -> Also:
        """Return what claims the name of what was there before."""

        async def also(session: AsyncSession) -> None:
            await self._taker.files.claim(session, caller, id, job)

        return also

    async def restore(
        self,
        caller: Account,
        job: FileJob,
        databases: Work | None,
        shown: Restore,
        progress: Progress,
    ) -> Restore:
        """Restore files, and what else is to be restored."""
        begun = time.monotonic()
        with ExitStack() as stack:
            try:
                stack.enter_context(self._taker.files.alone(caller))
                await self._taker.files.prepare(caller, job, progress)
                made = await databases(progress) if databases is not None else shown
            except BaseException:
                if not progress.interrupted:
                    await asyncio.shield(quietly(self._taker.files.undo(caller.id, job)))
                raise
            kept = await to_the_end(self._taker.files.put(caller.id, job, None, progress))
        seconds = round(time.monotonic() - begun, 3)
        made = made.model_copy(update={"kept_files": kept, "seconds": seconds})
        if databases is None:
            await self._news.tell(caller, "restored", made)
        return made

    async def recover(
        self, operation: Operation, job: FileJob, outcome: str | Recovered | Resumed[None]
    ) -> str | Recovered | Resumed[None]:
        """Go on where a crash interrupted their switch, or what comes before is done; else undo.

        Parameters
        ----------
        outcome
            Of the databases; a text where they are as they were, or there are none.
        """
        details = operation.details
        if isinstance(outcome, str) and details.get("phase") != RestorePhase.FILES:
            await self._taker.files.undo(operation.owner, job)
            return outcome

        async def go_on(progress: Progress) -> None:
            if isinstance(outcome, Resumed):
                await outcome.work(progress)
            plan = details.get("plan")
            await to_the_end(self._taker.files.put(operation.owner, job, plan, progress))
            await progress.update(message=DONE)

        return Resumed(go_on, lambda _: None)


def files_alone(id: str, body: NewRestore, known: Known) -> Restore:
    """Return what a restore of no database is about."""
    return Restore(
        backup=id,
        dry_run=body.dry_run,
        mode=body.mode,
        databases=[],
        cluster=False,
        target_time=known.info.earliest,
        timeline=known.info.timeline,
        seconds=0,
        bytes=Sizes(live=0, side=0, kept=0, free=0),
        kept={},
    )


def with_files(shown: Restore, known: Known, job: FileJob | None) -> Restore:
    """Tell what becomes of files, too."""
    if job is None or known.note.files is None:
        return shown
    files = [FileMove(path=path, replaces=path in job.there) for path in job.paths]
    moment = known.note.files.moment
    return shown.model_copy(
        update={"files": files, "files_time": moment, "kept_files": job.before[1]}
    )
