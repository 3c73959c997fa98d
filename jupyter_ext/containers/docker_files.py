"""Files of a container that differ from its image."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .docker_link import EngineLink
from .engine_types import FileChange

if TYPE_CHECKING:
    from .docker_client import EngineClient

#: Where its files can't be seen, the engine is asked for the sizes of so many, one by one.
ASKED = 500

_KINDS: dict[int, Literal["added", "changed", "deleted"]] = {0: "changed", 1: "added", 2: "deleted"}


async def changes(link: EngineLink, container: str) -> list[FileChange]:
    """List files that were added, changed or deleted, with the sizes of those that are there."""
    local = link.address.local

    def work(client: EngineClient) -> list[FileChange]:
        found = client.diff(container) or []
        about = client.inspect_container(container) if found and local else {}
        upper = ((about.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
        # Another machine's engine, or a storage driver without such a folder, is asked itself.
        folder = Path(upper) if upper and Path(upper).is_dir() else None
        asked = 0
        listed = []
        for item in found:
            path, kind = item["Path"], _KINDS[item["Kind"]]
            size = None
            if kind != "deleted" and folder is not None:
                with contextlib.suppress(OSError):
                    size = folder.joinpath(path.lstrip("/")).lstat().st_size
            elif kind != "deleted" and asked < ASKED:
                asked += 1
                size = _asked_size(client, container, path)
            listed.append(FileChange(path, kind, size))
        return listed

    return await link.act(work, ("container", container), 30.0)


def _asked_size(client: EngineClient, container: str, path: str) -> int | None:
    headers = client.head_path(container, path)
    if headers is None:
        return None
    about = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    return int(about["size"])
