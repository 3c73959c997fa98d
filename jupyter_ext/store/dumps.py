"""A store on PostgreSQL is written into a file and read from one, by PostgreSQL's own programs."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import URL

from ..errors import Unavailable
from ..postgres.programs import system_places, wheel_places

LOCK_WAIT = "15s"


def dump(url: URL, file: Path, snapshot: str) -> None:
    """Write a database into a file, in the custom format.

    Parameters
    ----------
    snapshot
        What another connection exported, whose view of the database is written.

    Raises
    ------
    Unavailable
        The program is missing, or can't do it.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
    _run("pg_dump", url, *options, f"--lock-wait-timeout={LOCK_WAIT}", f"--file={file}")


def load(url: URL, file: Path) -> None:
    """Replace a database's tables by a file's, all in one transaction.

    Raises
    ------
    Unavailable
        The program is missing, or can't do it; nothing has changed then.
    """
    options = ["--single-transaction", "--clean", "--if-exists", "--no-owner", "--no-privileges"]
    _run("pg_restore", url, *options, str(file))


def check(file: Path) -> None:
    """Have the program read a file's contents.

    Raises
    ------
    Unavailable
        It can't.
    """
    _execute("pg_restore", ["--list", str(file)], dict(os.environ))


def _run(program: str, url: URL, *arguments: str) -> None:
    # The password is not for the list of processes.
    plain = url.set(drivername="postgresql", password=None)
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    address = f"--dbname={plain.render_as_string(hide_password=False)}"
    _execute(program, [address, "--no-password", *arguments], environment)


def _execute(program: str, arguments: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's own folder
        [_newest(program), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        preexec_fn=_end_with_us,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()[:3]
        raise Unavailable(f"{program} failed: {' '.join(lines) or done.returncode}")


_LIBC = ctypes.CDLL(None)
"""Loaded here: nothing may be loaded between fork and exec."""

PR_SET_PDEATHSIG = 1
"""Source: ``linux/prctl.h``."""


def _end_with_us() -> None:
    """Have the program end where this process is killed: a server may start then."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _newest(program: str) -> str:
    """Find a program, newest first, since it must not be older than the server it speaks to."""

    def age(place: Path) -> int:
        # The last: a folder above may have one in its name.
        numbers = re.findall(r"\d+", str(place))
        return int(numbers[-1]) if numbers else 0

    # A wheel's only where the machine has none: what a newer one dumps, an older server may refuse.
    for places in (system_places(), wheel_places()):
        there = [place for place in places if (place / program).is_file()]
        if there:
            return str(max(there, key=age) / program)
    from shutil import which

    if found := which(program):
        return found
    raise Unavailable(
        f"{program} is not installed.", "Install it: `sudo apt-get install postgresql-client`."
    )
