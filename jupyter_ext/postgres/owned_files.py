"""Files in folders that belong to the cluster's user.

This process may be root, and that user may put a link where we look: what is written, read and
removed here follows none.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..devices.threads import in_a_thread
from ..errors import Unavailable
from .processes import SystemUser, run

T = TypeVar("T")

SEGMENT_BYTES = 16 << 20
"""Of WAL, which PostgreSQL makes whole."""

NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

READ_BYTES = 1 << 20
"""Of a log, its end."""


def on_disk(work: Callable[[], T]) -> asyncio.Future[T]:
    """Do work with files in a thread: a disk may hang, and then holds up nobody else.

    Raises
    ------
    Unavailable
        The disk is full, or can't be written.
    """

    def told() -> T:
        try:
            return work()
        except OSError as error:
            if error.errno in NO_WRITING:
                raise Unavailable(
                    f"{error.filename or 'A disk'} can't be written: {error.strerror}.",
                    "Make room, and try again.",
                ) from error
            raise

    return in_a_thread(told, "jupyter_ext-postgres")


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has less room than PostgreSQL needs to go on."""
    return shutil.disk_usage(folder).free < SEGMENT_BYTES


def no_room(folder: Path) -> Unavailable:
    """Return the error of a disk that is full."""
    return Unavailable(
        f"The disk of {folder} is full: {os.strerror(errno.ENOSPC)}.", "Make room, and try again."
    )


def make_folder(path: Path, user: SystemUser) -> None:
    """Make a folder that is the user's alone; those above it are ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    give(path, user)


def give(path: Path, user: SystemUser) -> None:
    """Make the user its owner."""
    if user.uid != os.geteuid():
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def write_private(path: Path, text: str, user: SystemUser) -> None:
    """Write a file of mode 0600 that belongs to the user, whole or not at all."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if user.uid != os.geteuid():
            os.fchown(descriptor, user.uid, user.gid)
    Path(name).replace(path)


def read_end(path: Path, begin: int = 0) -> str:
    """Return the end of a log; raises `OSError`.

    Parameters
    ----------
    begin
        Bytes at its beginning that are not wanted; one that is shorter by now began anew.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(begin if begin <= size else 0, size - READ_BYTES))
        return file.read(READ_BYTES).decode(errors="replace")


MOST_LATER = 100
"""How often what was appended while a log is shortened is looked for."""


def shorten(path: Path, largest: int, kept: int) -> None:
    """Keep the end of a log that has grown too long; who appends to it goes on behind that.

    What is appended meanwhile comes along, but for what comes in the very last moment. A crash
    leaves all of the end, and a full disk is no reason to fail.

    Raises
    ------
    OSError
        It can't be, or is no file that only its writer has.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "r+b"):
        found = os.fstat(descriptor)
        # Another name of it may be somebody else's.
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        if found.st_size <= largest:
            return
        read = found.st_size
        end = os.pread(descriptor, kept, read - kept).partition(b"\n")[2]
        written = os.pwrite(descriptor, end, 0)
        for _ in range(MOST_LATER):
            more = os.pread(descriptor, kept, read)
            if not more:
                break
            read += len(more)
            written += os.pwrite(descriptor, more, written)
        os.ftruncate(descriptor, written)


def bytes_below(*folders: Path) -> int:
    """Add up the files below folders; what goes meanwhile counts for nothing."""
    total = 0
    for folder in folders:
        for path, _, files in os.walk(folder):
            for name in files:
                with suppress(FileNotFoundError):
                    total += (Path(path) / name).lstat().st_size
    return total


async def remove_folders(user: SystemUser, *folders: Path) -> None:
    """Remove the user's folders with all that is in them, as that user."""

    def look() -> list[Path]:
        return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]

    def remove() -> None:
        for folder in there:
            folder.rmdir()

    if there := await on_disk(look):
        inside = ["-mindepth", "1", "-maxdepth", "1", "-exec", "rm", "-rf", "--", "{}", "+"]
        await run(["find", *(str(folder) for folder in there), *inside], user=user)
        await on_disk(remove)
