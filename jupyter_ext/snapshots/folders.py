"""Whose notebook files lie where, and as whom they are read and written.

restic opens files by their paths. Whoever can write to a folder can put a link on the way at the
right moment, so that a user's folder is read and written by its owner, who gains nothing by that,
and never by root or by the server's own user.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..accounts.schemas import Account
from ..postgres.processes import SystemUser
from .settings import SnapshotSettings


@dataclass(frozen=True, slots=True)
class Folder:
    """Somebody's notebook files.

    Parameters
    ----------
    user
        As whom they are read and written.
    uid
        Whose the folder is, and so all that is looked into.
    own
        The state of the server in it.
    mounted
        Other file systems in it.
    others
        Folders, however deep, that are another user's of this machine.
    """

    path: Path
    user: SystemUser
    uid: int
    own: tuple[Path, ...] = ()
    mounted: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def untouched(self) -> tuple[Path, ...]:
        """What is in no snapshot, and what no restore changes."""
        return tuple(sorted({*self.own, *self.mounted, *self.others}))


class Folders:
    """Finds folders; blocks on the file system, so it is called in a thread.

    Parameters
    ----------
    notebook_root
        The folder that Jupyter serves; None where it serves none.
    own
        Returns the server's own folders, which may lie in it.
    """

    def __init__(
        self,
        settings: SnapshotSettings,
        notebook_root: Path | None,
        own: Callable[[], Sequence[Path]],
    ) -> None:
        self._settings = settings
        self._notebook_root = notebook_root
        self._own = own

    def of(self, account: Account) -> Folder | str:
        """Return an account's folder, or why there is none to be seen from here."""
        name = account.username
        configured = self._settings.folder_of(account)
        if not configured and self._notebook_root is None:
            return (
                "This server has no notebook files: they lie where each user's own Jupyter server "
                "runs. The administrator can name a folder that both see (SnapshotSettings.files)."
            )
        if not account.is_admin and (name in (".", "..") or "/" in name or "\0" in name):
            return "No folder can have your user name."
        if configured:
            path = Path(configured).expanduser().absolute()
        else:
            assert self._notebook_root is not None  # noqa: S101 - seen above
            path = self._notebook_root if account.is_admin else self._notebook_root / name
        return self._looked_at(account, path)

    def _looked_at(self, account: Account, path: Path) -> Folder | str:
        named = path
        try:
            path = path.parent.resolve(strict=True) / path.name
            if account.is_admin:
                path = path.resolve(strict=True)
            found = path.lstat()
        except OSError as error:
            return f"The server sees no folder {path}: {error.strerror or error}."
        if not stat.S_ISDIR(found.st_mode):
            return f"{path} is no folder."
        user = SystemUser.own()
        if not account.is_admin:
            if found.st_uid in (0, user.uid):
                whose = "root" if found.st_uid == 0 else "the server's own user"
                return (
                    f"{path} belongs to {whose}, whose files links in it could lead to. Ask the "
                    "administrator to give the folder to you (chown)."
                )
            if user.uid != 0:
                return f"{path} belongs to another user of this machine than the server's."
            user = _user(found)
            if (foreign := _foreign({*named.parents, *path.parents}, found.st_uid)) is not None:
                return (
                    f"{foreign}, on the way to your folder, belongs to another user, who could "
                    "lead it elsewhere. Ask the administrator to give it to you or to root (chown)."
                )
            if (closed := _closed(path, user)) is not None:
                return (
                    f"You can't enter {closed}, in which your folder is. Ask the administrator to "
                    "open it (chmod o+x)."
                )
        try:
            return self._folder(path, user, found.st_uid)
        except OSError as error:
            return f"The server can't read {path}: {error.strerror or error}."

    def _folder(self, path: Path, user: SystemUser, uid: int) -> Folder:
        own = {each.resolve() for each in self._own()}
        mounted = {Path(each.mountpoint) for each in psutil.disk_partitions(all=True)} - own
        # Below an administrator's folder are other users' own.
        others = _others(path, uid, own | mounted) - own - mounted
        return Folder(path, user, uid, *(_below(path, each) for each in (own, mounted, others)))


def _below(path: Path, paths: Collection[Path]) -> tuple[Path, ...]:
    return tuple(sorted(each for each in paths if path in each.parents))


def _others(path: Path, uid: int, left_out: Collection[Path]) -> set[Path]:
    """Find the folders of other users, however deep: whose they are could lead away from there."""
    others = set()
    for folder, names, _, handle in os.fwalk(path):
        for name in tuple(names):
            each = Path(folder, name)
            try:
                found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except OSError:
                names.remove(name)
                continue
            if stat.S_ISDIR(found.st_mode) and found.st_uid != uid:
                others.add(each)
            elif each not in left_out and not (each.parent == path and name.startswith(".")):
                continue
            names.remove(name)
    return others


def _foreign(way: Collection[Path], owner: int) -> Path | None:
    """Return what is neither root's nor the owner's, who both lead nobody to what is not theirs."""
    return next((each for each in sorted(way) if each.lstat().st_uid not in (0, owner)), None)


def _closed(path: Path, user: SystemUser) -> Path | None:
    """Return the first folder on the way that a user can't enter."""
    for folder in reversed(path.parents):
        found = folder.stat()
        own = stat.S_IXUSR if found.st_uid == user.uid else stat.S_IXOTH
        own = stat.S_IXGRP if own == stat.S_IXOTH and found.st_gid == user.gid else own
        if not found.st_mode & own:
            return folder
    return None


def _user(found: os.stat_result) -> SystemUser:
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:
        return SystemUser(str(found.st_uid), found.st_uid, found.st_gid or found.st_uid)
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
