"""psql, with a database's connection in its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..client.libpq import STRONGER, environment, password_line
from ..errors import Unavailable


def find(environ: Mapping[str, str]) -> str:
    """Return where psql is.

    Raises
    ------
    Unavailable
        It is not installed.
    """
    program = shutil.which("psql", path=environ.get("PATH"))
    if program is None:
        raise Unavailable(
            "psql is not installed here.",
            "Install it: `sudo apt-get install postgresql-client` (Debian, Ubuntu), "
            "`sudo dnf install postgresql` (Fedora), `brew install libpq` (macOS).",
        )
    return program


def run(
    program: str, connection: Mapping[str, Any], words: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Give this terminal to psql; returns its exit code."""
    kept = {name: value for name, value in environ.items() if name not in STRONGER}
    with _signals(), _password_file(connection) as file:
        process = subprocess.Popen(  # noqa: S603 - psql, as its user told
            [program, *words], env={**kept, **environment(connection, file)}
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


@contextmanager
def _password_file(connection: Mapping[str, Any]) -> Iterator[Path]:
    # For its owner alone from the first moment.
    handle, name = tempfile.mkstemp(prefix="pig-", suffix=".pgpass")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(password_line(connection))
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _signals() -> Iterator[None]:
    """Leave Ctrl-C to psql, and see that being ended leaves no file behind."""
    before = {
        number: signal.signal(number, handler)
        for number, handler in (
            # A handler, not SIG_IGN, which psql would inherit.
            (signal.SIGINT, _ignore),
            (signal.SIGTERM, _end),
            (signal.SIGHUP, _end),
        )
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _ignore(number: int, frame: object) -> None:
    """Take a signal that is psql's."""


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)
