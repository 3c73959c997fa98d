"""Small disks: file systems in files, which fill up soon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import require, scratch

FILLER = "filler"


FORMATS = {
    # Nothing is reserved for root, so that full is full for everybody.
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0"),
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
}


@contextmanager
def small_disk(megabytes: int, kind: str = "ext4") -> Iterator[Path]:
    """Mount an empty file system of this size (xfs: at least 300); root alone may."""
    if os.geteuid() != 0:
        require.missing("postgres", "only root mounts file systems")
    with scratch.scratch_folder("disk", in_memory=True) as folder:
        image, place = folder / "image", folder / "disk"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run(*FORMATS[kind], str(image))
        _run("mount", "-o", "loop", str(image), str(place))
        try:
            if kind == "ext4":
                (place / "lost+found").rmdir()
            for each in (folder, place):
                each.chmod(0o711)
            yield place
        finally:
            _run("umount", "--lazy", str(place))


def fill(disk: Path, leave: int = 0) -> None:
    """Write until there is no room, but for so many bytes."""
    state = os.statvfs(disk)
    with (disk / FILLER).open("wb", buffering=0) as file:
        room = state.f_bfree * state.f_frsize - leave
        try:
            os.posix_fallocate(file.fileno(), 0, room)
        except OSError:
            if leave:
                raise
        if not leave:
            while _more(file.fileno()):
                pass


def empty(disk: Path) -> None:
    """Make room again."""
    (disk / FILLER).unlink()


def _more(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        return os.write(descriptor, bytes(1 << 16)) > 0
    except OSError:
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
