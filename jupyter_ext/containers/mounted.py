"""What a container that just started really has mounted.

The engine resolves a folder's path by itself, a moment after we did, and a link can be swapped in
between. The kernel's table of mounts says what became of it, as long as the container's first
process lives. One that ended at once leaves no table: then the folders on the way must be as they
were before the start, which their change times tell, since no user can set them.
"""

from __future__ import annotations

import os
import posixpath
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .engine_types import EngineMount

SETTLED_NS = 20_000_000
"""Nanoseconds after which a further change of a folder shows: the clock of file systems ticks."""

TRIES = 10


@dataclass(frozen=True, slots=True)
class Witness:
    """How the ways to a container's folders were before its start.

    Parameters
    ----------
    ways
        Facts of every folder on the way, by path.
    """

    ways: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, mounts: Sequence[EngineMount]) -> Witness | None:
        """Look at the folders on the ways; None where a change of them could not be told later.

        Blocks on the file system, for up to a fifth of a second, so it is called in a thread.
        """
        for _ in range(TRIES):
            ways = _ways(mounts)
            if ways is None:
                return None
            newest = max((facts[-1] for facts in ways.values()), default=0)
            if newest < time.time_ns() - SETTLED_NS:
                return cls(ways)
            # A swap within the same tick of the clock would leave the same time.
            time.sleep(SETTLED_NS / 1e9)
        return None

    def holds(self, mounts: Sequence[EngineMount]) -> bool:
        """Whether nothing on the ways was renamed, removed or added since."""
        return _ways(mounts) == self.ways


def mounted_elsewhere(
    mounts: Sequence[EngineMount],
    pid: int,
    *,
    before: Witness | None = None,
    trusted: bool = True,
) -> str | None:
    """The first target that may show another folder than was allowed, None where all is well.

    Compares the kernel's own tables of mounts, which name the folder that a mount really shows. An
    image may have a link where a folder is mounted, so that it is mounted behind it: then a mount
    that no other target accounts for must show the folder.

    Parameters
    ----------
    pid
        The container's first process; 0 where it has ended.
    before
        What was seen before the start.
    trusted
        Whether a process that has ended is believed without proof; its folders are then looked at
        by the path alone.
    """
    try:
        inside = _mount_table(f"/proc/{pid}/mountinfo") if pid > 0 else {}
        outside = _mount_table("/proc/self/mountinfo")
    except OSError:
        inside, outside = {}, {}
    binds = [mount for mount in mounts if mount.kind == "bind"]
    if binds and not inside and not trusted and (before is None or not before.holds(binds)):
        return binds[0].target
    targets = {mount.target for mount in binds}
    elsewhere = [shown for point, shown in inside.items() if point not in targets]
    for mount in binds:
        if os.path.realpath(mount.source) != mount.source:
            return mount.target
        if not inside or not outside:
            continue
        allowed = _root_of(mount.source, outside)
        if mount.target in inside:
            if inside[mount.target] != allowed:
                return mount.target
        elif allowed in elsewhere:
            elsewhere.remove(allowed)
        else:
            return mount.target
    return None


def _ways(mounts: Sequence[EngineMount]) -> dict[str, tuple[int, ...]] | None:
    """Facts of the folders on the ways; None where one is a link or gone."""
    ways: dict[str, tuple[int, ...]] = {}
    try:
        for mount in mounts:
            if mount.kind != "bind":
                continue
            path = mount.source
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                return None
            # What is in the folder is the container's to change.
            ways.setdefault(path, (found.st_dev, found.st_ino, found.st_uid, 0))
            while path != "/":
                path, below = posixpath.dirname(path), found
                found = os.lstat(path)
                if not stat.S_ISDIR(found.st_mode):
                    return None
                changed = 0 if _only_roots(found, below) else found.st_ctime_ns
                ways[path] = (found.st_dev, found.st_ino, found.st_uid, changed)
    except OSError:
        return None
    return ways


def _only_roots(folder: os.stat_result, below: os.stat_result) -> bool:
    """Whether only root can swap what lies in a folder; the system's own change all the time."""
    if folder.st_uid != 0:
        return False
    if not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return True
    # As /tmp, where everybody can rename what is their own.
    return bool(folder.st_mode & stat.S_ISVTX) and below.st_uid == 0


def _mount_table(path: str) -> dict[str, tuple[str, str]]:
    """Device and root by mount point; the last mount on a point is the one that is seen."""
    table: dict[str, tuple[str, str]] = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
        for line in lines:
            words = line.split(" ", 5)
            table[_unescaped(words[4])] = (words[2], _unescaped(words[3]))
    return table


def _root_of(path: str, table: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Device of a path, and the path within it."""
    point = path
    while point not in table and point != "/":
        point = posixpath.dirname(point)
    device, root = table.get(point, ("", "/"))
    inner = posixpath.relpath(path, point)
    return device, root if inner == "." else posixpath.join(root, inner)


def _unescaped(text: str) -> str:
    """The kernel writes blanks and backslashes as three octal digits."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
