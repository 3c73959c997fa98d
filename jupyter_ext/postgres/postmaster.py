"""The server process of a cluster: found, started, stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..errors import Unavailable
from .owned_files import read_end
from .place import Place
from .processes import ProgramFailed, SystemUser, run

START_SECONDS = 120
"""A crash's recovery reads the WAL since the last checkpoint."""

STOP_SECONDS = 60

CLOCKS = 60.0
"""Seconds between when the kernel and PostgreSQL say that it started, at most."""

STATE_OF_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A server process that runs.

    Parameters
    ----------
    started
        Seconds since the epoch, by the kernel.
    """

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        """Whether it runs; another process that has its number by now is not it."""
        try:
            process = psutil.Process(self.pid)
            same = abs(float(process.create_time()) - self.started) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def find(data: Path) -> Postmaster | None:
    """Return the server process of a data directory; None where none runs.

    By what ``postmaster.pid`` says (process, data directory, moment of its start: see "Server File
    Layout" in PostgreSQL's documentation of its storage) and what the kernel says of that process.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, folder, started = int(lines[0]), Path(lines[1]), float(lines[2])
        process = psutil.Process(abs(pid))
        known = process.create_time()
        if (
            process.name() in ("postgres", "postmaster")
            and _works_in(process, data.resolve())
            and folder.resolve() == data.resolve()
            and abs(known - started) < CLOCKS
            and process.status() != psutil.STATUS_ZOMBIE
        ):
            return Postmaster(process.pid, known)
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return None


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether a process is in a data directory, as each of PostgreSQL's is."""
    try:
        return Path(process.cwd()) == data
    except psutil.AccessDenied:
        # Root without CAP_SYS_PTRACE, as in a container, is not told where another user's is. Whose
        # it is and with what it was started everybody sees, and nobody else can be that user.
        words = (Path(word) for word in process.cmdline() if word.startswith("/"))
        ours = bool(process.uids().real == data.stat().st_uid)
        return ours and any(word.resolve() == data for word in words)


async def start(place: Place, log: Path) -> Postmaster:
    """Start a cluster, in a session of its own that outlives this server.

    Returns
    -------
    Postmaster
        It answers.

    Raises
    ------
    Unavailable
        It does not start; the end of its log says why.
    """
    command = [place.programs["pg_ctl"], "start", "-D", str(place.data), "-w", "-s"]
    command += ["-t", str(START_SECONDS), "-l", str(log)]
    if find(place.data) is None:
        # Another process may have its number by now, and PostgreSQL would take that one for it.
        with suppress(FileNotFoundError):
            (place.data / "postmaster.pid").unlink()
    before = _sizes(log)
    scope = _scope(place.user)
    try:
        try:
            # What makes the scope needs this server's own rights.
            user = SystemUser.own() if scope else place.user
            await run(
                [*scope, *command],
                user=user,
                environment=_runtime() if scope else {},
                deadline=START_SECONDS + 10,
            )
        except ProgramFailed:
            # There may be no bus of the user's that a scope could be had from.
            if not scope or find(place.data) is not None:
                raise
            await run(command, user=place.user, deadline=START_SECONDS + 10)
    except (ProgramFailed, TimeoutError, OSError) as error:
        raise Unavailable(
            f"PostgreSQL does not start: {_reason(before) or error}.", f"Its log is {log}."
        ) from error
    found = find(place.data)
    if found is None:
        raise Unavailable("PostgreSQL ended as soon as it started.", f"Its log is {log}.")
    return found


async def stop(place: Place, mode: str = "fast") -> None:
    """Stop a cluster: sessions are ended, what they had committed is written.

    Raises
    ------
    Unavailable
        It goes on all the same.
    """
    if find(place.data) is None:
        return
    command = [place.programs["pg_ctl"], "stop", "-D", str(place.data), "-w", "-s"]
    command += ["-m", mode, "-t", str(STOP_SECONDS)]
    try:
        await run(command, user=place.user, deadline=STOP_SECONDS + 10)
    except (ProgramFailed, TimeoutError, OSError) as error:
        if find(place.data) is not None:
            raise Unavailable(f"PostgreSQL does not stop: {error}.", "Try again.") from error


def _scope(user: SystemUser) -> list[str]:
    """Return what puts a program out of this server's own unit, which systemd ends as a whole."""
    systemd_run = shutil.which("systemd-run")
    if systemd_run is None or not STATE_OF_SYSTEMD.exists():
        return []
    whose = ["--uid", str(user.uid), "--gid", str(user.gid)] if os.geteuid() == 0 else ["--user"]
    return [systemd_run, "--scope", "--collect", "--quiet", *whose, "--"]


def _runtime() -> dict[str, str]:
    """Return what leads to this user's own systemd (pam_systemd(8)); root asks the system's."""
    if (user := os.geteuid()) == 0:
        return {}
    return {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"}


def _sizes(log: Path) -> dict[Path, int]:
    """Return how long the logs are in which PostgreSQL says why it does not start."""
    found = {}
    for path in (log.parent / "postgresql.log", log):
        try:
            found[path] = path.lstat().st_size
        except OSError:
            found[path] = 0
    return found


def _reason(before: Mapping[Path, int]) -> str:
    """Return the last thing that went wrong, in PostgreSQL's words.

    Parameters
    ----------
    before
        How long its logs were then: what they said earlier is of others' logins.
    """
    for path, size in before.items():
        try:
            lines = read_end(path, size)[-8192:].splitlines()
        except OSError:
            continue
        for line in reversed(lines):
            for mark in ("FATAL:", "PANIC:"):
                if mark in line:
                    return line.partition(mark)[2].strip().rstrip(".")
    return ""
