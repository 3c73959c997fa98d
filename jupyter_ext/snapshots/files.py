"""Notebook files in snapshots: kept by restic, and put back at once or not at all."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ..accounts.schemas import Account
from ..devices.threads import in_a_thread
from ..errors import Conflict, Unavailable
from ..operations.running import Progress
from ..operations.schemas import Operation
from ..postgres.phases import Enter, unheard
from ..postgres.processes import ProgramFailed, run
from . import swap
from .folders import Folder, Folders
from .parts import Freed, Kept
from .phases import SnapshotPhase
from .restic import Copy, Restic, end_runs, literal
from .schemas import Group
from .settings import SnapshotSettings
from .vault import Vault

NAME = "files"

SHOWN = 3
"""Files in a text."""

LOOKS = 3
"""At a folder in which others make theirs while it is copied."""

LISTED = 20
"""Folders in a text."""


class FileKeeper:
    """Keeps users' notebook files."""

    group: ClassVar[Group] = "files"

    def __init__(self, vault: Vault, folders: Folders, settings: SnapshotSettings) -> None:
        self._vault = vault
        self._folders = folders
        self._settings = settings
        # restic removes copies only where nobody else works with the repository.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(
        self,
        caller: Account,
        mark: str,
        progress: Progress,
        names: Sequence[str] | None = None,
        enter: Enter = unheard,
    ) -> Sequence[Kept]:
        """Copy the caller's folder, as far as it is another one than the last copy's."""
        if names is not None and NAME not in names:
            return []
        return [await self.copy(caller, mark, progress, enter=enter)]

    async def copy(
        self,
        caller: Account,
        mark: str,
        progress: Progress,
        paths: Sequence[str] = (".",),
        enter: Enter = unheard,
    ) -> Kept:
        """Copy the caller's folder, or paths in it.

        Raises
        ------
        Unavailable
            It can't be, or others make folders in it meanwhile.
        """
        strange: Sequence[str] = ()
        async with self._turns[caller.id]:
            for _ in range(LOOKS):
                folder = await self.folder(caller)
                if isinstance(folder, str):
                    return Kept(NAME, "files", reason=folder)
                await progress.update(message=f"Copying the files of {folder.path}")
                enter(SnapshotPhase.OPENING)
                restic = await self._vault.open(caller.id, folder.user)
                enter(SnapshotPhase.SAVING)
                copy = await restic.backup(
                    folder.path, self._excluded(folder), mark, progress.report, paths
                )
                if copy is None:
                    return Kept(NAME, "files", reason=f"There are no files in {folder.path}.")
                enter(SnapshotPhase.CHECKING)
                strange = await _strange(restic, copy, folder)
                if not strange:
                    return _kept(copy, caller, folder)
                await restic.forget([copy.id])
        shown = ", ".join(each.lstrip("/") for each in strange[:SHOWN])
        raise Unavailable(
            f"Other users of this machine make folders where files are being copied: {shown}.",
            "Try again, or have them make theirs elsewhere.",
        )

    async def discard(
        self, owner: str, mark: str, parts: Sequence[Kept], operation: Operation | None = None
    ) -> Freed:
        """Remove the copies of a mark."""
        await end_runs(mark, self._vault.place(owner))
        if not await self._vault.has(owner):
            return Freed()
        async with self._turns[owner]:
            before = await self._vault.size(owner)
            restic = await self._vault.open(owner, await self._vault.user_of(owner))
            await restic.forget(await restic.copies(mark))
            return Freed(max(0, before - await self._vault.size(owner)))

    async def gone(self, owner: str, parts: Sequence[Kept]) -> Sequence[str]:
        """Tell where the repository is gone."""
        there = await self._vault.has(owner)
        return ["" if there else f"The repository in {self._vault.folder} is gone."] * len(parts)

    # -- restoring -----------------------------------------------------------------------------

    async def prepare(
        self,
        caller: Account,
        part: Kept,
        mark: str,
        progress: Progress,
        paths: Sequence[str] = (".",),
    ) -> None:
        """Bring the files, or paths of them, back beside those that are there.

        Raises
        ------
        Conflict
            There is no folder for them.
        Unavailable
            They can't be read, or there is no room.
        """
        folder = await self._needed(caller)
        await progress.update(message=f"Bringing the files of {folder.path} back beside them")
        waiting = swap.staging(Path(), mark)
        # As the user, who could not remove what root made.
        ways = {f"{waiting}/{swap.OLD}/{PurePosixPath(each).parent}" for each in paths}
        await self._as_user(folder, "mkdir", "--mode=700", "--", f"{waiting}")
        await self._as_user(folder, "mkdir", "--parents", "--", *sorted(ways))
        async with self._turns[caller.id]:
            restic = await self._vault.open(caller.id, folder.user)
            await restic.restore(str(part.facts["id"]), folder.path, f"{waiting}/new", paths)

    async def missing(self, owner: str, part: Kept, paths: Sequence[str]) -> Sequence[str]:
        """Return those of some paths that a copy does not have."""
        async with self._turns[owner]:
            restic = await self._repository(owner)
            return await restic.missing(str(part.facts["id"]), paths)

    async def read(self, owner: str, part: Kept) -> None:
        """See that all of a copy can be read; raises `Unavailable`."""
        async with self._turns[owner]:
            restic = await self._repository(owner)
            await restic.read(str(part.facts["id"]))

    async def check(self, before: Kept | None) -> None:
        """See that nothing is lost which the copy of what is there does not have.

        Raises
        ------
        Conflict
            Some files can't be read.
        """
        if before is not None and before.facts.get("unread", "0") != "0":
            raise Conflict(
                "files",
                NAME,
                f"Some files of the folder can't be read, and would be lost: {before.reason}. "
                "Make them readable, or move them away.",
            )

    async def renew(self, caller: Account, part: Kept, mark: str, progress: Progress) -> Kept:
        """Copy what has changed since a copy, and return what takes its place."""
        [newer] = await self.take(caller, mark, progress)
        if not newer.there:
            return part
        async with self._turns[caller.id]:
            restic = await self._vault.open(caller.id, await self._vault.user_of(caller.id))
            older = str(part.facts["id"])
            ids = await restic.copies(mark)
            await restic.forget([id for id in ids if id.startswith(older)], prune=False)
        return newer

    async def plan(self, caller: Account, mark: str, paths: Sequence[str] = (".",)) -> swap.Plan:
        """Return what goes where, to be written down before anything goes."""
        folder = await self._needed(caller)
        return await in_a_thread(
            lambda: swap.make_plan(folder.path, mark, folder.untouched, paths), "snapshots plan"
        )

    async def switch(self, caller: Account, mark: str, plan: swap.Plan) -> None:
        """Put the files that were brought back in their place; may be called again."""
        folder = await self._needed(caller)
        try:
            await in_a_thread(lambda: swap.carry_out(folder.path, mark, plan), "snapshots switch")
        except OSError as error:
            raise Unavailable(
                f"Not all files of {folder.path} could be put in their place: {error}.",
                "Mend that, and restore the files again. What was there is in "
                f"{swap.staging(folder.path, mark) / swap.OLD}, and in the snapshot of before.",
            ) from error

    async def clear(self, caller: Account, mark: str) -> None:
        """Remove what a restore leaves beside the files, done or not begun."""
        folder = await self.folder(caller)
        if not isinstance(folder, str):
            await end_runs(mark, self._vault.place(caller.id))
            waiting = f"{swap.staging(Path(), mark)}"
            await self._as_user(folder, "rm", "-rf", "--one-file-system", "--", waiting)

    async def folder(self, caller: Account) -> Folder | str:
        """Return the caller's folder, or why there is none to be seen from here."""
        return await in_a_thread(lambda: self._folders.of(caller), "snapshots folder")

    # -- inside --------------------------------------------------------------------------------

    async def _repository(self, owner: str) -> Restic:
        """Return a repository that is there."""
        [gone] = await self.gone(owner, [Kept(NAME, "files")])
        if gone:
            raise Unavailable(gone, "Put it back, or take another copy.")
        return await self._vault.open(owner, await self._vault.user_of(owner))

    async def _needed(self, caller: Account) -> Folder:
        folder = await self.folder(caller)
        if isinstance(folder, str):
            raise Conflict("files", NAME, f"The files have no place to go to: {folder}")
        return folder

    def _excluded(self, folder: Folder) -> list[str]:
        return [
            # Hidden ones at the top: Jupyter does not show them, and in a home they are settings.
            f"{literal(folder.path)}/.*",
            *(literal(path) for path in folder.untouched),
            *self._settings.exclude,
        ]

    async def _as_user(self, folder: Folder, *command: str) -> None:
        try:
            await run(command, user=folder.user, folder=folder.path)
        except ProgramFailed as error:
            raise Unavailable(
                f"Nothing can be written to {folder.path}: {error.output.strip()}.",
                "Make room there, or mend its rights.",
            ) from error


async def _strange(restic: Restic, copy: Copy, folder: Folder) -> Sequence[str]:
    """Return folders in a copy that others made since the folder was looked at.

    Whose a folder is could have led restic anywhere. As a user it reads only what that user may
    read; as the server's own it must not have been there.
    """
    if folder.user.uid != os.geteuid():
        return ()
    return await restic.folders_of_others(copy.id, folder.uid)


def _kept(copy: Copy, caller: Account, folder: Folder) -> Kept:
    reason = ""
    if copy.unread:
        shown = ", ".join(copy.unread[:SHOWN])
        reason = f"{len(copy.unread)} files could not be read and are not in it: {shown}"
    facts = {"id": copy.id, "vault": caller.id, "folder": str(folder.path)}
    facts["unread"] = str(len(copy.unread))
    return Kept(NAME, "files", copy.size, copy.added, reason, facts, _not_in_it(folder))


def _not_in_it(folder: Folder) -> list[str]:
    """Say what of a folder is not kept, as it is not its owner's or lies elsewhere."""
    said = []
    for what, paths in (
        ("Folders of other users of this machine", folder.others),
        ("Other file systems that are mounted there", folder.mounted),
    ):
        if paths:
            shown = ", ".join(str(path.relative_to(folder.path)) for path in paths[:LISTED])
            more = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
            said.append(f"{what} stay as they are: {shown}{more}.")
    return said
