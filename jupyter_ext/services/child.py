"""A child process that outlives this server, and what is remembered of it on the disk."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..desk.lock import DeskLock, write_private
from ..store.leases import boot_id, process_start

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
"""Of this server's environment, which may hold keys and tokens in all the rest."""

GATE = 'cd -- "$1" || exit 1; shift; IFS= read -r go || exit 1; exec "$@" </dev/null'
"""Waits for a word before it becomes the program: where the server dies before it has written down
which process that is, nothing runs that nobody knows of."""

PLACE = "services"
"""Folder of the home with what is remembered of them, and their logs."""

GRACE = 10.0
"""Seconds that a process has to end when it is asked to."""

MARK = "SERVICE_RUN"
"""Of the environment of a process and of what it starts: tells what it left behind from the session
of a later process with its number."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started once.

    Parameters
    ----------
    started, boot
        Tell it from a later process with its number (the kernel's ticks, and of which start of the
        machine).
    port
        Of 127.0.0.1.
    secret
        That it was given.
    """

    pid: int
    started: int
    boot: str
    port: int
    secret: str = field(repr=False)

    def alive(self) -> bool:
        """Whether it runs."""
        # Where it is this process's own child, its end stays in the table until it is asked for.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return self.boot == boot_id() and process_start(self.pid) == self.started

    def groups(self, known: Collection[int] = ()) -> set[int]:
        """Return the groups of processes that live in its session, also when it has ended itself.

        Its terminals have sessions of their own, and end with what holds them.

        Parameters
        ----------
        known
            Groups that are its: one that is about to end has no environment any more.
        """
        alive = self.alive()
        if self.boot != boot_id():
            return set()
        found = set()
        for pid, session, group in _processes():
            if session == self.pid and (alive or group in known or self._marked(pid)):
                found.add(group)
        return found

    @property
    def mark(self) -> str:
        """What its environment says; it gives nothing of the secret away."""
        return hashlib.sha256(self.secret.encode()).hexdigest()[:32]

    def _marked(self, pid: int) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"{MARK}={self.mark}".encode() in environment.split(b"\0")

    @property
    def run(self) -> str:
        """Which run of the program it is."""
        return f"{self.pid}:{self.started}"


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a service.

    Parameters
    ----------
    wanted
        Whether it shall run.
    """

    wanted: bool = False
    child: Child | None = None

    @classmethod
    def read(cls, path: Path) -> Record:
        """Return what a file says; one that can't be read says nothing."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            child = Child(**found["child"]) if found.get("child") else None
            return cls(bool(found["wanted"]), child)
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, path: Path) -> None:
        """Remember it, for this user's eyes alone."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(self)))


class Held:
    """A process that waits at the gate."""

    def __init__(self, child: Child, gate: int) -> None:
        self.child = child
        self._gate = gate

    def release(self) -> None:
        """Let it become the program."""
        try:
            os.write(self._gate, b"go\n")
        finally:
            os.close(self._gate)

    def give_up(self) -> None:
        """Let it end."""
        os.close(self._gate)
        with suppress(ChildProcessError):
            os.waitpid(self.child.pid, 0)


def spawn(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    port: int,
    secret: str,
) -> Held:
    """Start a process in a session of its own, which waits until it is released.

    Raises
    ------
    OSError
        It can't be started.
    """
    child = Child(0, 0, boot_id(), port, secret)
    reading, writing = os.pipe()
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            pid = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", GATE, "sh", str(folder), *command],
                {**clean_environment(), **environment, MARK: child.mark},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsid=True,
                # Python ignores some signals, and children inherit that.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
                setsigmask=[],
            )
        finally:
            os.close(output)
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return Held(replace(child, pid=pid, started=process_start(pid) or 0), writing)


def end(child: Child, grace: float = GRACE) -> bool:
    """End a process and its session, if need be by force; whether all has ended. Blocks.

    Where the process has ended by itself, what it left in its session is ended.
    """
    groups = child.groups()
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        until, told = time.monotonic() + seconds, set[int]()
        while groups:
            for group in groups - told:
                # Its number is nobody else's as long as one of it lives.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
            told |= groups
            if time.monotonic() > until:
                break
            time.sleep(0.05)
            groups = child.groups(told)
    return not groups


def end_left(home: Path, only: str | None = None, *, wanted: bool) -> list[str]:
    """End what a server that was killed left running, and return its names. Blocks.

    Parameters
    ----------
    home
        ``JUPYTER_EXT_HOME``; where a server runs on it, that one ends its own.
    only
        One of this name alone.
    wanted
        Whether the next server starts it again.
    """
    place = home / PLACE
    lock = DeskLock(home)
    if not place.is_dir() or not lock.acquire():
        return []
    try:
        ended = []
        for path in sorted(place.glob(f"{glob.escape(only) if only else '*'}.json")):
            found = Record.read(path)
            if found.child is not None and found.child.groups() and end(found.child):
                Record(wanted).write(path)
                ended.append(path.stem)
        return ended
    finally:
        lock.release()


def clean_environment() -> dict[str, str]:
    """Return what a program gets of this server's environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(("LC_", "XDG_"))
    }


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield the number, session and group of each process that has not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            # It may end in the meantime.
            with suppress(OSError):
                # proc(5): state, parent, group, session, behind a name that may hold anything.
                stat = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                if stat[0] not in (b"Z", b"X"):
                    yield int(folder.name), int(stat[3]), int(stat[2])
