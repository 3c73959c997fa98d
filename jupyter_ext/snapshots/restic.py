"""restic: deduplicated, encrypted copies of a folder; each call is one run of its program.

Source: restic's manual, "Backing up", "Restoring from backup", "Removing backup snapshots" and
"Scripting". Works with 0.14 (Debian 12) and newer: of a folder that is named ``.`` the copy holds
what is in it, at its top.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from ..devices.threads import in_a_thread
from ..errors import PlatformError, Unavailable
from ..postgres.processes import ProgramFailed, SystemUser, end_running, run, running

PROGRAM = "restic"
CURE = "Install it (`sudo apt-get install restic`)."

HOST = "jupyter_ext"
"""Under which copies are filed, whatever this machine is called by now."""

EMPTY = "snapshot is empty"
"""What it says of a folder without files, of which it makes no copy."""

GONE = "all target directories/files do not exist"
"""The same of paths that went away since they were looked at."""

INCOMPLETE = 3
"""Exit status of a backup that is there, without some files that could not be read."""

Report = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a backup made.

    Parameters
    ----------
    size
        Bytes of all files.
    added
        Bytes that the repository did not have.
    unread
        Files that could not be read, and are not in it.
    """

    id: str
    size: int
    added: int
    unread: tuple[str, ...] = ()


class Restic:
    """One repository.

    Parameters
    ----------
    password_file
        Of mode 0600: the password is in no command, which everybody sees.
    user
        Who runs restic, and whose the repository is.
    """

    def __init__(
        self, program: str, repository: Path, password_file: Path, user: SystemUser
    ) -> None:
        self._program = program
        self.repository = repository
        self._password_file = password_file
        self._user = user

    async def prepare(self) -> None:
        """Make the repository where there is none, and open it where a dead run has locked it."""

        def look() -> tuple[bool, bool]:
            if not (self.repository / "config").exists():
                return False, False
            try:
                return True, any((self.repository / "locks").iterdir())
            except OSError:
                # restic itself tells what is wrong with it.
                return True, True

        made, locked = await in_a_thread(look, "snapshots repository")
        if not made:
            await self._run("make the repository", "init", "--quiet")
        elif locked:
            # Only locks of processes that are gone.
            await self._run("unlock the repository", "unlock", "--quiet")

    async def backup(
        self,
        folder: Path,
        excluded: Sequence[str],
        tag: str,
        report: Report | None = None,
        paths: Sequence[str] = (".",),
    ) -> Copy | None:
        """Copy a folder, or paths in it; what the last copy of these has is not read again.

        None: there is nothing in it.
        """
        words = [f"--exclude={pattern}" for pattern in excluded]
        told: dict[str, Any] = {}
        unread: list[str] = []

        def read(line: str) -> None:
            message = _message(line)
            kind = message.get("message_type")
            if kind == "status" and report is not None:
                report(float(message.get("percent_done", 0)))
            elif kind == "error":
                unread.append(str(message.get("item", "")))
            elif kind == "summary":
                told.update(message)

        try:
            await self._run(
                "copy the files",
                *("backup", "--json", f"--host={HOST}", f"--tag={tag}", *words, "--", *paths),
                folder=folder,
                on_line=read,
            )
        except _Failed as failed:
            if _is_nothing(failed.problem):
                return None
            if failed.code != INCOMPLETE or not told:
                raise failed.problem from failed
            if not unread:
                unread.append("a file")
        return Copy(
            str(told["snapshot_id"]),
            int(told["total_bytes_processed"]),
            int(told["data_added"]),
            tuple(unread),
        )

    async def restore(
        self, id: str, folder: Path, target: str, paths: Sequence[str] = (".",)
    ) -> None:
        """Bring a copy, or paths of it, back below a folder, and compare what was written."""
        words = [f"--include={literal(_in_copy(path))}" for path in paths if path != "."]
        await self._run(
            "bring the files back",
            *("restore", "--verify", f"--target={folder / target}", *words, "--", id),
        )

    async def missing(self, id: str, paths: Sequence[str]) -> Sequence[str]:
        """Return those of some paths that a copy does not have."""
        wanted = {str(_in_copy(path)): path for path in paths if path != "."}
        if wanted:

            def read(line: str) -> None:
                wanted.pop(str(_message(line).get("path", "")), None)

            await self._run(
                "look into a copy", "ls", "--json", "--", id, *tuple(wanted), on_line=read
            )
        return [*wanted.values()]

    async def folders_of_others(self, id: str, uid: int) -> Sequence[str]:
        """Return the folders of a copy that were another user's when they were read."""
        found: list[str] = []

        def read(line: str) -> None:
            # Most lines are files'.
            if '"type":"dir"' in line and (message := _message(line)).get("uid") != uid:
                found.append(str(message.get("path", "")))

        words = ("ls", "--json", "--", id)
        await self._run("look into a copy", *words, on_line=read, keep=False)
        return found

    async def read(self, id: str) -> None:
        """Read all of a copy, each piece of which is compared with its checksum."""
        await self._run("read a copy", "dump", "--archive=tar", "--", id, "/", output=False)

    async def copies(self, tag: str = "") -> Sequence[str]:
        """Return the ids of all copies, or of those with a tag."""
        words = [f"--tag={tag}"] if tag else []
        told = await self._run("list the copies", "snapshots", "--json", *words)
        return [str(each["id"]) for each in json.loads(told) or ()]

    async def forget(self, ids: Sequence[str], *, prune: bool = True) -> None:
        """Remove copies and, at once or with the next ones, what no other one needs."""
        if ids:
            await self._run("remove copies", "forget", "--quiet", "--", *ids)
        if prune:
            await self._run("free what no copy needs", "prune", "--quiet", "--max-unused=0")

    async def _run(
        self,
        what: str,
        *words: str,
        folder: Path = Path("/"),
        on_line: Callable[[str], None] | None = None,
        output: bool = True,
        keep: bool = True,
    ) -> str:
        environment = {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD_FILE": str(self._password_file),
            "RESTIC_PROGRESS_FPS": "2",
        }
        try:
            return await run(
                [self._program, "--no-cache", *words],
                user=self._user,
                environment=environment,
                folder=folder,
                on_line=on_line,
                output=output,
                keep=keep,
            )
        except ProgramFailed as error:
            problem = _explained(what, error)
            if error.code == INCOMPLETE or _is_nothing(problem):
                raise _Failed(error.code, problem) from error
            raise problem from error
        except OSError as error:
            raise Unavailable(f"restic could not {what}: {error}.", CURE) from error


def _is_nothing(problem: PlatformError) -> bool:
    return EMPTY in problem.message or GONE in problem.message


class _Failed(Exception):
    def __init__(self, code: int, problem: PlatformError) -> None:
        super().__init__(str(problem))
        self.code = code
        self.problem = problem


async def end_runs(sign: str, whose: Path) -> None:
    """Kill runs whose command has a sign, of servers that are gone; raises `Unavailable`.

    Parameters
    ----------
    whose
        What belongs to the user as whom they run: others can say the same words.
    """
    await end_running(PROGRAM, sign, whose=whose)


def runs(sign: str, whose: Path) -> list[int]:
    """Return the processes of restic whose command has a sign."""
    return running(PROGRAM, sign, whose=whose)


def _in_copy(path: str) -> PurePosixPath:
    return PurePosixPath("/") / path


def literal(path: PurePath) -> str:
    """Return a path as a pattern that means it alone."""
    return "".join(f"\\{char}" if char in "\\*?[]" else char for char in str(path))


def _message(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _explained(what: str, error: ProgramFailed) -> Unavailable:
    lines = [line for line in error.output.splitlines() if line and not line.startswith("{")]
    said = "; ".join(line.strip() for line in lines[-3:]) or str(error)
    cure = "The log of the server has more."
    if "no space left" in error.output:
        cure = "Make room on the disk, or delete snapshots, and try again."
    elif "wrong password" in error.output:
        cure = "The repository was made with another store: set SnapshotSettings.repository."
    elif "permission denied" in error.output:
        cure = "Give the folder to the user whose files they are (SnapshotSettings.repository)."
    elif "already locked" in error.output:
        cure = "Another server works with the repository: try again when it is done."
    return Unavailable(f"restic could not {what}: {said}.".replace("..", "."), cure)
