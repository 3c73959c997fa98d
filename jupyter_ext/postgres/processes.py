"""Programs that are run beside the server, as the user to whom a cluster belongs."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from ..devices.threads import in_a_thread
from ..errors import Unavailable

OUTPUT_LINES = 200
"""Of a program that are kept for what is said of its failure."""

LINE_LENGTH = 1 << 20
"""Bytes; a longer line is an error of the program."""

LOOKS = 20
"""At whether a program comes to anything, within the time for which it may come to nothing."""

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
        self.how = _how(code)
        super().__init__(f"{program} {self.how}: {output.strip() or 'it printed nothing'}")
        self.program = program
        self.code = code
        self.output = output


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"


async def run(
    command: Sequence[str],
    *,
    user: SystemUser,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    deadline: float | None = None,
    stall: float | None = None,
    on_line: Callable[[str], None] | None = None,
    output: bool = True,
    keep: bool = True,
) -> str:
    """Run a program and return what it printed to its standard output.

    Parameters
    ----------
    environment
        All that it gets: nothing of this server's, which may hold secrets, goes to it by itself.
    deadline
        Seconds; it is killed then, with all that it started.
    stall
        The same, for which it may say nothing, read nothing and write nothing; instead of a
        deadline, for what takes as long as there is to do.
    on_line
        Called with each line of both streams.
    output
        Whether its standard output is wanted, and is lines of text.
    keep
        Whether all of that is returned; otherwise `on_line` alone is told of it.

    Raises
    ------
    ProgramFailed
        It ended with another status than 0.
    TimeoutError
        It did not end in time, or came to nothing for too long.
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

    loop = asyncio.get_running_loop()
    patience = asyncio.timeout(deadline if stall is None else stall)

    def put_off() -> None:
        if stall is not None and not patience.expired():
            patience.reschedule(loop.time() + stall)

    async def read(stream: asyncio.StreamReader, kept: list[str] | None) -> None:
        async for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            if kept is not None:
                kept.append(line)
            said.append(line)
            del said[:-OUTPUT_LINES]
            if on_line is not None:
                on_line(line)
            put_off()

    assert process.stderr is not None  # noqa: S101 - it is a pipe
    readers = [read(process.stderr, None)]
    if process.stdout is not None:
        readers.append(read(process.stdout, printed if keep else None))
    try:
        async with patience, _watched(process.pid, stall, put_off):
            await asyncio.gather(*readers)
            code = await process.wait()
    except BaseException:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        # Shielded: a process that nobody waits for stays in the table for ever. Bounded: one that
        # waits for a disk which is gone ends when that is back.
        with suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(process.wait(), END_SECONDS))
        await asyncio.shield(_end_group(process.pid, led=process.returncode is None))
        raise
    if code < 0:
        # What it started does not know that it is gone, and goes on.
        await asyncio.shield(_end_group(process.pid, led=False))
    if code != 0:
        raise ProgramFailed(Path(command[0]).name, code, "\n".join(said))
    return "\n".join(printed)


async def _end_group(group: int, *, led: bool) -> None:
    """Kill what is left of a program's group, so that nobody writes any more.

    Parameters
    ----------
    led
        Whether the program may still be there itself. Where it is not, and another has its number,
        nothing was left of its group: as long as one is in that, nobody gets the number.
    """

    def kill() -> bool:
        if not led and psutil.pid_exists(group):
            return False
        there = False
        for process in psutil.process_iter(["status"]):
            with suppress(ProcessLookupError):
                alive = process.info["status"] != psutil.STATUS_ZOMBIE
                if alive and os.getpgid(process.pid) == group:
                    os.kill(process.pid, signal.SIGKILL)
                    there = True
        return there

    loop = asyncio.get_running_loop()
    until = loop.time() + END_SECONDS
    while await in_a_thread(kill, "jupyter_ext-programs") and loop.time() < until:
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _watched(
    pid: int, stall: float | None, put_off: Callable[[], None]
) -> AsyncIterator[None]:
    """Call `put_off` whenever a program, or what it started, has read or written something."""

    async def watch(pause: float) -> None:
        before = None
        while True:
            now = await in_a_thread(partial(_moved, pid), "jupyter_ext-programs")
            if now != before:
                put_off()
            before = now
            await asyncio.sleep(pause)

    watching = asyncio.ensure_future(watch(stall / LOOKS)) if stall is not None else None
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()


def _moved(pid: int) -> Mapping[int, tuple[float, ...]]:
    """Return the bytes that a program and those which it started have read and written."""
    found: dict[int, tuple[float, ...]] = {}
    with suppress(psutil.Error):
        program = psutil.Process(pid)
        for each in (program, *program.children(recursive=True)):
            with suppress(psutil.Error):
                found[each.pid] = _counted(each)
    return found


def _counted(process: psutil.Process) -> tuple[float, ...]:
    try:
        counted = process.io_counters()
    except psutil.AccessDenied:
        # Root without CAP_SYS_PTRACE, as in a container, is not told of another user's bytes. For
        # how long that one and its children computed everybody sees.
        return tuple(process.cpu_times()[:4])
    return (counted.read_chars, counted.write_chars)


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
