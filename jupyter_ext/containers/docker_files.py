"""Files of a container that differ from its image."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from .docker_link import EngineLink
from .engine_types import FileChange, FileChanges

if TYPE_CHECKING:
    from .docker_client import EngineClient

#: Where its files can't be seen, the engine is asked for the sizes of so many, one by one.
ASKED = 500

_KINDS: dict[int, Literal["added", "changed", "deleted"]] = {0: "changed", 1: "added", 2: "deleted"}


async def changes(link: EngineLink, container: str, limit: int) -> FileChanges:
    """List the first `limit` files that were added, changed or deleted, with their sizes."""
    local = link.address.local

    def work(client: EngineClient) -> FileChanges:
        found = client.diff(container) or []
        total = len(found)
        # Here and not on the loop: a container may have changed a million files.
        found.sort(key=lambda item: item["Path"])
        del found[limit:]
        about = client.inspect_container(container) if found and local else {}
        upper = ((about.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
        asked = 0
        listed = []
        with Folder.opened(upper) as folder:
            for item in found:
                path, kind = item["Path"], _KINDS[item["Kind"]]
                size = None
                if kind != "deleted" and folder is not None:
                    size = folder.size(path)
                elif kind != "deleted" and asked < ASKED:
                    # Another machine's engine, or a storage driver without such a folder.
                    asked += 1
                    size = _asked_size(client, container, path)
                listed.append(FileChange(path, kind, size))
        return FileChanges(tuple(listed), total)

    return await link.act(work, ("container", container), 30.0)


class Folder:
    """A folder whose files a container changes meanwhile: no link in it is ever followed.

    A container's root can put a link where the engine has just seen a folder, and the sizes of the
    host's files are not its user's to know.

    Parameters
    ----------
    root
        The folder's descriptor.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        # The way to the path of before, since paths come in order.
        self._way: list[tuple[str, int]] = []

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: str | None) -> Iterator[Folder | None]:
        """Open a folder; None where there is none, or it may not be seen."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            root = os.open(path, flags) if path else None
        except OSError:
            root = None
        if root is None:
            yield None
            return
        folder = cls(root)
        try:
            # Who may see the folder itself may still not look into it.
            yield folder if os.access(".", os.X_OK, dir_fd=root) else None
        finally:
            folder._leave(0)
            os.close(root)

    def size(self, path: str) -> int | None:
        """Bytes of a file or link in it; None where it can't be reached without a link."""
        *parents, name = path.strip("/").split("/")
        if not name or name in (".", "..") or ".." in parents:
            return None
        try:
            return os.stat(name, dir_fd=self._enter(parents), follow_symlinks=False).st_size
        except OSError:
            return None

    def _enter(self, parents: list[str]) -> int:
        known = 0
        while known < min(len(self._way), len(parents)) and self._way[known][0] == parents[known]:
            known += 1
        self._leave(known)
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        for part in parents[known:]:
            here = self._way[-1][1] if self._way else self._root
            self._way.append((part, os.open(part, flags, dir_fd=here)))
        return self._way[-1][1] if self._way else self._root

    def _leave(self, depth: int) -> None:
        while len(self._way) > depth:
            os.close(self._way.pop()[1])


def _asked_size(client: EngineClient, container: str, path: str) -> int | None:
    headers = client.head_path(container, path)
    if headers is None:
        return None
    about = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    return int(about["size"])
