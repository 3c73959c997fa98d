"""Paths that users name in their own folder: looked at one step after another, no link followed.

Blocks on the file system, so it is called in a thread.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .folders import Folder

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def found(folder: Folder, name: str, excluded: Sequence[str] = ()) -> str:
    """Return a file or folder as a path within somebody's folder.

    Parameters
    ----------
    excluded
        Patterns of names that are in no copy.

    Raises
    ------
    ValueError
        It can't be kept; the text says why.
    """
    path = _inner(folder, name)
    for part in path.parts:
        if any(fnmatch.fnmatchcase(part, pattern) for pattern in excluded):
            raise ValueError(f"{part} is in no copy here (SnapshotSettings.exclude)")
    if not _walk(folder, path):
        raise ValueError("is not there")
    return str(path)


def way_is_free(folder: Folder, name: str) -> bool:
    """Return whether something is there now that would be replaced.

    Raises
    ------
    ValueError
        Nothing can be put there: a link or a file is on the way, or what is not theirs.
    """
    return _walk(folder, _inner(folder, name), any_kind=True)


def _inner(folder: Folder, name: str) -> PurePosixPath:
    if not name.strip() or any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise ValueError("is no path")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise ValueError("has .. in it: name it from your folder on")
    if path.is_absolute():
        if not path.is_relative_to(folder.path):
            raise ValueError("is not in your folder: name it from there on, without a / before it")
        path = path.relative_to(folder.path)
    if path.parts and path.parts[0].startswith("."):
        raise ValueError("is hidden at the top of your folder, and that is not kept")
    for each in folder.untouched:
        other = PurePosixPath(each.relative_to(folder.path))
        if path == other or other in path.parents:
            raise ValueError("is not yours")
    return path


def _walk(folder: Folder, path: PurePosixPath, *, any_kind: bool = False) -> bool:
    """Go to a path; return whether it is there."""
    opened = os.open(folder.path, FLAGS)
    try:
        owners = (0, os.fstat(opened).st_uid)
        for number, part in enumerate(path.parts, 1):
            try:
                seen = os.stat(part, dir_fd=opened, follow_symlinks=False)
            except FileNotFoundError:
                return False
            last = number == len(path.parts)
            if last and any_kind:
                return True
            if stat.S_ISLNK(seen.st_mode):
                at = "" if last else f"goes through {'/'.join(path.parts[:number])}, which "
                raise ValueError(f"{at}is a link: name what it leads to")
            if last and stat.S_ISREG(seen.st_mode):
                return True
            if not stat.S_ISDIR(seen.st_mode):
                raise ValueError("is neither a file nor a folder" if last else "is not there")
            if seen.st_uid not in owners:
                raise ValueError("is not yours")
            # Whoever put a link there since then is told that it is none of theirs.
            within = os.open(part, FLAGS, dir_fd=opened)
            os.close(opened)
            opened = within
        return True
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or error}") from error
    finally:
        os.close(opened)


def outermost(paths: Sequence[str]) -> list[str]:
    """Return paths without those that lie in another one of them."""
    there = {Path(path) for path in paths}
    return sorted(str(path) for path in there if not there.intersection(path.parents))
