"""What is written before it takes its place, and goes away where whoever wrote it was killed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from .leases import process_start

FRESH_SECONDS = 10.0
"""For which a folder may not be locked yet by whoever has made it."""


@contextmanager
def private_folder(parent: Path, kind: str) -> Iterator[Path]:
    """Make a folder that is this user's alone, and remove it; those of killed runs go away, too.

    Parameters
    ----------
    kind
        In its name: only folders of the same kind are taken for an earlier run's.
    """
    prefix = f".jupyter_ext-{kind}-"
    for left in parent.glob(f"{prefix}*"):
        # Just as `tempfile` names them.
        if re.fullmatch(r"[a-z0-9_]{8}", left.name.removeprefix(prefix)):
            with suppress(OSError):
                _remove_left(left)
    with TemporaryDirectory(prefix=prefix, dir=parent) as name:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The system frees it however this process ends.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(handle)


def staged(path: Path) -> Path:
    """Return where a file is written before it takes its place, without what killed runs left."""
    for left in path.parent.glob(".*.new"):
        owner = left.name.removeprefix(f".{path.name}.").removesuffix(".new")
        if owner.isdecimal() and process_start(int(owner)) is None:
            left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def _remove_left(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(handle)
        if found.st_uid != os.geteuid() or time.time() - found.st_mtime < FRESH_SECONDS:
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(handle)
