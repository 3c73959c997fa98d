"""Which folders of the host a container may have, and as whom it then runs.

A container's root writes as root to a folder of the host, so a user's container with one runs as
that folder's owner. The path that the engine is given has no symbolic link left in it; it is looked
at again at each start, and what was really mounted is compared afterwards
(`mounted.mounted_elsewhere`), since a link can be swapped in between.
"""

from __future__ import annotations

import os
import posixpath
import pwd
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..accounts.schemas import Account
from ..errors import Forbidden, InvalidRequest
from .engine_types import EngineMount
from .schemas import Volume

Roots = Sequence[str] | Callable[[Account], Sequence[str]]

# Where the kernel, or a GPU runtime, reads meaning from what is mounted.
_RESERVED_TARGETS = ("/proc", "/sys", "/dev", "/var/run/nvidia-container-devices")
# Never a user's, whatever the roots say: the kernel's own, and what decides who is root.
_RESERVED_SOURCES = ("/proc", "/sys", "/dev", "/boot", "/etc", "/run", "/var/run")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a container gets.

    Parameters
    ----------
    mounts
        With resolved sources.
    user
        ``uid:gid`` to run as; empty for the image's own.
    tmpfs
        Folders in memory, with their options.
    """

    mounts: tuple[EngineMount, ...] = ()
    user: str = ""
    tmpfs: Mapping[str, str] = field(default_factory=dict)


class MountPolicy:
    """Decides over folders of the host; blocks on the file system, so it is called in a thread.

    Parameters
    ----------
    notebook_root
        The folder that Jupyter serves.
    roots
        Allowed roots, or a function of the account; None allows the user's own folder.
    protected
        Never a user's, not even a folder that holds one of them: the engine's socket and data, the
        state's folder.
    """

    def __init__(
        self, notebook_root: Path, roots: Roots | None = None, protected: Iterable[str] = ()
    ) -> None:
        self._notebook_root = notebook_root
        self._roots = roots
        self._protected = tuple(protected)

    def protect(self, *paths: str) -> None:
        """Add what is never a user's."""
        self._protected += tuple(path for path in paths if path and path not in self._protected)

    def roots(self, account: Account) -> list[str]:
        """The account's allowed roots, as configured."""
        if callable(self._roots):
            return [str(root) for root in self._roots(account)]
        if self._roots is not None:
            return [str(root) for root in self._roots]
        if account.is_admin:
            return [str(self._notebook_root)]
        if account.username in (".", "..") or "/" in account.username or "\0" in account.username:
            return []
        return [str(self._notebook_root / account.username)]

    def awaits(self, username: str) -> bool:
        """Whether a folder is there already that an account of this name would be given."""
        folder = self._notebook_root / username
        return self._roots is None and (folder.exists() or folder.is_symlink())

    def grant(
        self, account: Account, volumes: Sequence[Volume], *, remapped: bool = False
    ) -> Grant:
        """Decide over the folders of a new container.

        Parameters
        ----------
        remapped
            The engine maps users (or has no root), so that the container's root is nobody's on the
            host.

        Raises
        ------
        InvalidRequest
            A path is none, does not exist, or is given twice.
        Forbidden
            A folder lies outside the account's roots, or its owner is root.
        """
        if not volumes:
            return Grant()
        problems: dict[str, str] = {}
        mounts: list[EngineMount] = []
        targets: set[str] = set()
        for index, volume in enumerate(volumes):
            where = f"volumes.{index}"
            target = posixpath.normpath(volume.container_path)
            problem = _target_problem(volume.container_path)
            if problem is None and target in targets:
                problem = f"{target} is given twice"
            if problem:
                problems[f"{where}.container_path"] = problem
            targets.add(target)
            problem = _source_problem(volume.host_path)
            if problem:
                problems[f"{where}.host_path"] = problem
                continue
            source = self._resolved(account, volume.host_path, f"{where}.host_path", problems)
            mounts.append(EngineMount(source, target, volume.read_only))
        if problems:
            raise InvalidRequest(fields=problems)
        user = "" if account.is_admin or remapped else self._user(mounts)
        return Grant(tuple(mounts), user)

    def check(
        self, account: Account, mounts: Sequence[EngineMount], user: str, *, remapped: bool = False
    ) -> None:
        """Look again at the folders of a container that is to be started.

        Raises
        ------
        Forbidden
            What was allowed once is not any more.
        """
        folders = [mount for mount in mounts if mount.kind == "bind"]
        if not folders or account.is_admin:
            return
        for mount in folders:
            problems: dict[str, str] = {}
            source = self._resolved(account, mount.source, "host_path", problems)
            if problems or source != mount.source:
                raise Forbidden(
                    f"{mount.source} is not the folder any more that this container was made with. "
                    "Delete the container and make it again."
                )
        if not remapped and self._user(folders) != user:
            raise Forbidden(
                f"The owner of {folders[0].source} has changed since this container was made. "
                "Delete the container and make it again."
            )

    def _resolved(self, account: Account, path: str, field: str, problems: dict[str, str]) -> str:
        """Follow every link, and refuse what lies outside; says nothing of what is there."""
        roots = self.roots(account)
        try:
            source = os.path.realpath(path)
            resolved_roots = [os.path.realpath(root) for root in roots]
        except (OSError, ValueError):
            source, resolved_roots = path, []
        inside = any(_below(source, root) for root in resolved_roots)
        if not inside or (not account.is_admin and self._reserved(source, resolved_roots)):
            raise _outside(path, roots, field)
        try:
            mode = os.stat(source).st_mode  # noqa: PTH116 - a text is what the engine is given
        except OSError as error:
            problems[field] = f"{path}: {error.strerror or error}"
            return source
        if not account.is_admin and not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            problems[field] = f"{path} is neither a folder nor a file"
        return source

    def _reserved(self, source: str, roots: Sequence[str]) -> bool:
        for path in self._protected:
            protected = os.path.realpath(path)
            if _below(source, protected) or _below(protected, source):
                return True
        # An administrator who names a root below one of these (a disk under /run) has decided.
        return any(
            _below(source, reserved) and not any(_below(root, reserved) for root in roots)
            for reserved in _RESERVED_SOURCES
        )

    def _user(self, mounts: Sequence[EngineMount]) -> str:
        """``uid:gid`` to run as.

        The folders' owner must be one. Their group counts where they agree on it, unless it is
        root's, which a folder keeps that root made and gave away. Otherwise it is the owner's own
        first group: a group of one folder would open to the container what is the group's in the
        others, and which one comes first must not matter.
        """
        owners: dict[int, str] = {}
        groups: dict[int, str] = {}
        for mount in mounts:
            found = os.stat(mount.source)  # noqa: PTH116 - as above
            if found.st_uid == 0:
                raise Forbidden(
                    f"{mount.source} belongs to root, and a container would write to it as root. "
                    "Ask the administrator to give the folder to you (chown)."
                )
            owners[found.st_uid] = groups[found.st_gid] = mount.source
        if len(owners) > 1:
            folders = ", ".join(sorted(owners.values()))
            raise Forbidden(f"{folders} belong to different users; one container runs as one.")
        (uid,) = owners
        if len(groups) == 1 and 0 not in groups:
            return f"{uid}:{next(iter(groups))}"
        gid = _first_group(uid)
        if gid is None:
            folders = ", ".join(f"{groups[gid]} to {gid}" for gid in sorted(groups))
            raise Forbidden(
                "A container runs as one group, which must not be root's, and the folders belong "
                f"to these: {folders}. Give them to one group (chgrp)."
            )
        return f"{uid}:{gid}"


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _first_group(uid: int) -> int | None:
    """The group that a user of the host begins with; None where that is root's or unknown."""
    try:
        return pwd.getpwuid(uid).pw_gid or None
    except KeyError:
        return None


def _source_problem(path: str) -> str | None:
    if "\0" in path:
        return "holds a NUL character"
    if not path.startswith("/"):
        return "must be a full path, beginning with /"
    return None


def _target_problem(path: str) -> str | None:
    if "\0" in path:
        return "holds a NUL character"
    if not path.startswith("/"):
        return "must be a full path, beginning with /"
    if ".." in path.split("/"):
        return "must not hold '..'"
    normal = "/" + posixpath.normpath(path).lstrip("/")
    if normal == "/":
        return "must not be the container's root"
    for reserved in _RESERVED_TARGETS:
        if _below(normal, reserved):
            return f"must not lie in {reserved}"
    return None


def _outside(path: str, roots: Sequence[str], field: str) -> Forbidden:
    allowed = ", ".join(roots) if roots else "none"
    return Forbidden(
        f"{path} does not lie below a folder that you may use in containers. Allowed: {allowed}.",
        fields={field: f"must lie below {allowed}"},
        details={"allowed": list(roots)},
    )
