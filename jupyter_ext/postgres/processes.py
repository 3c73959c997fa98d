"""Programs that are run beside the server, as the user to whom a cluster belongs."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..devices.threads import in_a_thread
from ..errors import Unavailable

OUTPUT_LINES = 200
"""Of a program that are kept for what is said of its failure."""

LINE_LENGTH = 1 << 20
"""Bytes; a longer line is an error of the program."""

END_SECONDS = 10.0
"""For the end of a program that is killed."""


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> SystemUser:
        """Return a user of this machine; raises `KeyError` where there is none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def own(cls) -> SystemUser:
        """Return the one who runs this process."""
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return cls(name, uid, os.getegid())

    def switch(self) -> dict[str, Any]:
        """Return what `subprocess` takes to run a program as this user."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class ProgramFailed(Exception):
    """A program ended badly.

    Parameters
    ----------
    code
        Its exit status; below 0 the signal that ended it.
    output
        The end of what it printed, both streams.
    """

    def __init__(self, program: str, code: int, output: str) -> None:
        words = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        super().__init__(f"{program} {words}: {output.strip() or 'it printed nothing'}")
        self.program = program
        self.code = code
        self.output = output


async def run(
    command: Sequence[str],
    *,
    user: SystemUser,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    deadline: float | None = None,
    on_line: Callable[[str], None] | None = None,
    output: bool = True,
) -> str:
    """Run a program and return what it printed to its standard output.

    Parameters
    ----------
    environment
        All that it gets: nothing of this server's, which may hold secrets, goes to it by itself.
    deadline
        Seconds; it is killed then, with all that it started.
    on_line
        Called with each line of both streams.
    output
        Whether its standard output is wanted, and is lines of text.

    Raises
    ------
    ProgramFailed
        It ended with another status than 0.
    TimeoutError
        It did not end in time.
    OSError
        It could not be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if output else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=clean_environment(user) | dict(environment or {}),
        start_new_session=True,
        limit=LINE_LENGTH,
        **user.switch(),
    )
    printed: list[str] = []
    said: list[str] = []

    async def read(stream: asyncio.StreamReader, kept: list[str] | None) -> None:
        async for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            if kept is not None:
                kept.append(line)
            said.append(line)
            del said[:-OUTPUT_LINES]
            if on_line is not None:
                on_line(line)

    assert process.stderr is not None  # noqa: S101 - it is a pipe
    readers = [read(process.stderr, None)]
    if process.stdout is not None:
        readers.append(read(process.stdout, printed))
    try:
        async with asyncio.timeout(deadline):
            await asyncio.gather(*readers)
            code = await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Shielded: a process that nobody waits for stays in the table for ever.
        await asyncio.shield(process.wait())
        raise
    if code != 0:
        raise ProgramFailed(Path(command[0]).name, code, "\n".join(said))
    return "\n".join(printed)


def running(*signs: str, whose: Path) -> list[int]:
    """Return the processes in whose command each of the signs is in a word.

    Parameters
    ----------
    whose
        Only those of its owner and of this user count: others can say the same words. Where it is
        gone, those of this user.
    """
    users = {os.geteuid()}
    with suppress(FileNotFoundError):
        users.add(whose.lstat().st_uid)
    found = []
    for process in psutil.process_iter(["cmdline", "status", "uids"]):
        words, uids = process.info["cmdline"] or [], process.info["uids"]
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        ours = uids is not None and uids.real in users
        if alive and ours and all(any(sign in word for word in words) for sign in signs):
            found.append(process.pid)
    return found


async def end_running(*signs: str, whose: Path) -> None:
    """Kill such processes, whose server is gone, each with all that it started.

    Raises
    ------
    Unavailable
        One does not end.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_SECONDS
    while there := await in_a_thread(lambda: running(*signs, whose=whose), "jupyter_ext-programs"):
        if loop.time() > deadline:
            raise Unavailable(f"{signs[0]} (process {there[0]}) does not end.", "Kill it.")
        for pid in there:
            with suppress(ProcessLookupError):
                # Each was started in a session of its own, with which its helpers go.
                group = os.getpgid(pid)
                os.killpg(group, signal.SIGKILL) if group == pid else os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)


def clean_environment(user: SystemUser) -> dict[str, str]:
    """Return what every program needs, and no more."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/",
        "USER": user.name,
        "LOGNAME": user.name,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
