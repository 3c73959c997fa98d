"""Puts restored files where files are, entry by entry; a crash in between is finished afterwards.

What is at the top of a folder is renamed, so that no file is ever half there. Hidden entries at the
top (``.config``, ``.ssh``, where the folder is somebody's home) are never touched. Nothing follows
a link: every folder on the way is opened by itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote_to_bytes

PREFIX = ".jupyter_ext-"
"""Of folders in which files wait; hidden, so that they are in no snapshot."""

NEW, OLD = "new", "old"
"""What waits to be put there, and what was there."""

PARTS = ("put", "remove")


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes where: paths within the folder, each moved as a whole.

    Parameters
    ----------
    put
        They come; what is there goes.
    remove
        They go, since nothing of the name comes.
    """

    put: tuple[str, ...]
    remove: tuple[str, ...]

    def words(self) -> dict[str, list[str]]:
        """Return it as the store takes it, which has no names that are no text."""
        return {name: [quote(os.fsencode(path)) for path in getattr(self, name)] for name in PARTS}

    @classmethod
    def read(cls, words: Mapping[str, Sequence[str]]) -> Plan:
        """Return it from what `words` made."""
        return cls(
            *(tuple(os.fsdecode(unquote_to_bytes(path)) for path in words[name]) for name in PARTS)
        )


def staging(folder: Path, mark: str) -> Path:
    """Return where the files of a restore wait."""
    return folder / f"{PREFIX}{mark}"


def make_plan(
    folder: Path, mark: str, untouched: Sequence[Path], chosen: Sequence[str] = (".",)
) -> Plan:
    """Compare what is there with what waits.

    Parameters
    ----------
    untouched
        Paths below the folder that stay, with the folders on the way to them.
    chosen
        Paths within the folder that it is about; ``.`` is all of it, and what of it does not wait
        goes.
    """
    stays = {path.relative_to(folder).as_posix() for path in untouched}
    put: list[str] = []
    remove: list[str] = []
    here, coming = Root(folder), Root(folder, mark, NEW)

    def walk(inner: str) -> None:
        now = set(_names(here, inner))
        new = set(_names(coming, inner))
        for name in sorted(now | new):
            path = f"{inner}/{name}" if inner else name
            if inner or not name.startswith("."):
                decide(path, name in new)

    def decide(path: str, comes: bool) -> None:
        if path in stays:
            return
        if any(each.startswith(f"{path}/") for each in stays):
            walk(path)
        elif comes:
            put.append(path)
        else:
            remove.append(path)

    if "." in chosen:
        walk("")
    else:
        # Of two in one folder that is gone, it is what comes back.
        for path in dict.fromkeys(_first_gone(here, each) for each in chosen):
            if _there(coming, path):
                decide(path, True)
    return Plan(tuple(put), tuple(remove))


def carry_out(folder: Path, mark: str, plan: Plan) -> None:
    """Do what was planned, or what is left of it."""
    here, new, old = Root(folder), Root(folder, mark, NEW), Root(folder, mark, OLD)
    for path in (*plan.remove, *plan.put):
        coming = path in plan.put
        if coming and not _there(new, path):
            # It was put there before a crash.
            continue
        # In a loop, as somebody may make it again at this moment.
        while _there(here, path) and (coming or not _there(old, path)):
            _move(here, path, old)
        if coming:
            _move(new, path, here)


# -- inside ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Root:
    """Below what paths are: the folder itself, or, with a mark, what waits in it.

    Only what is above the folder is trusted: whose it is can put a link where things wait.
    """

    folder: Path
    mark: str = ""
    side: str = ""

    @property
    def inner(self) -> Sequence[str]:
        """The way from the folder."""
        return (staging(Path(), self.mark).name, self.side) if self.mark else ()


def _first_gone(root: Root, path: str) -> str:
    """Return the topmost folder on the way to a path that is not there; the path itself else."""
    ways = [str(each) for each in reversed(PurePosixPath(path).parents)][1:]
    return next((way for way in ways if not _there(root, way)), path)


def _names(root: Root, inner: str) -> Sequence[str]:
    try:
        with _opened(root, inner) as folder:
            return os.listdir(folder)  # noqa: PTH208 - an open folder has no path
    except (FileNotFoundError, NotADirectoryError):
        return []


def _there(root: Root, path: str) -> bool:
    inner, name = _split(path)
    try:
        with _opened(root, inner) as folder:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _move(source: Root, path: str, target: Root) -> None:
    """Move a path from one folder to the same path in another."""
    inner, name = _split(path)
    with _opened(source, inner) as old, _opened(target, inner, make=True) as new:
        place = name
        for number in range(1, 1000):
            if not _has(new, place):
                break
            # Somebody made it again meanwhile: that is kept, too.
            place = f"{name}.{number}"
        os.rename(name, place, src_dir_fd=old, dst_dir_fd=new)


def _has(folder: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _split(path: str) -> tuple[str, str]:
    parts = PurePosixPath(path)
    inner = parts.parent.as_posix()
    return ("" if inner == "." else inner), parts.name


@contextmanager
def _opened(root: Root, inner: str, *, make: bool = False) -> Iterator[int]:
    """Open a folder below another without following a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    opened = os.open(root.folder, flags)
    try:
        for depth, name in enumerate((*root.inner, *PurePosixPath(inner).parts)):
            if make and depth >= len(root.inner):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=opened)
            within = os.open(name, flags, dir_fd=opened)
            os.close(opened)
            opened = within
        found = os.fstat(opened)
        assert stat.S_ISDIR(found.st_mode)  # noqa: S101 - opened as one
        yield opened
    finally:
        os.close(opened)
