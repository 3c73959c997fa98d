"""Restored clusters beside the live one that nobody wants any more, and that could not be removed.

Each is planned in an operation before its folder is made, and removed before that ends; what is to
be looked into is in the store. A folder that neither knows was left where its removal failed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import or_, select

from ..errors import PlatformError
from ..operations.records import OperationRecord
from ..store.database import Store
from . import postmaster
from .beside import SIDE, Beside
from .owned_files import on_disk
from .pgbackrest import tablespaces
from .place import Place
from .processes import ProgramFailed, running
from .records import SideRecord

LONGEST_PORT = 65535
"""Of one whose port is not known: its socket's folder depends on how long that is."""

_NAME = re.compile(rf"{SIDE}-[0-9a-z]{{24}}")

_log = logging.getLogger(__name__)


class LeftSides:
    """Removes them."""

    def __init__(self, store: Store, beside: Beside) -> None:
        self._store = store
        self._beside = beside

    async def sweep(self, origin: Place) -> None:
        """Remove what is left, or do nothing while somebody restores.

        Raises
        ------
        Unavailable
            The disk or the store does not answer.
        """
        if not await on_disk(partial(_found, origin)) or self._beside.turn.taken:
            return
        async with self._beside.turn.of("the removal of what restores left"):
            found = await on_disk(partial(_found, origin))
            for name in await self._unwanted(found):
                folder = origin.data.parent / name
                if await on_disk(partial(_is_used, folder)):
                    _log.warning("%s is left of a restore, and a process still uses it", folder)
                    continue
                try:
                    await self._beside.discard(origin, {"name": name, "port": LONGEST_PORT})
                    _log.warning("Removed %s, which a restore had left", folder)
                except (PlatformError, ProgramFailed, TimeoutError, OSError) as error:
                    _log.warning("%s, which a restore had left, stays: %s", folder, error)

    async def _unwanted(self, names: list[str]) -> list[str]:
        """Return those that no operation has to do with, and nobody wants to look into."""
        going_on = or_(
            OperationRecord.state.in_(("pending", "running")), OperationRecord.recovery_due
        )
        async with self._store.read() as session:
            # Operations first: what one leaves to be looked into is written before it ends.
            inputs = await session.scalars(select(OperationRecord.input).where(going_on))
            planned = "\n".join(json.dumps(each) for each in inputs)
        async with self._store.read() as session:
            kept = {*await session.scalars(select(SideRecord.id))}
        return [name for name in names if name not in kept and name not in planned]


def _found(origin: Place) -> list[str]:
    """Return the names of folders of restored clusters."""
    found = []
    for folder in origin.data.parent.glob(f"{SIDE}-*"):
        # Whoever restores may remove it meanwhile.
        with suppress(FileNotFoundError):
            state = folder.lstat()
            ours = stat.S_ISDIR(state.st_mode) and state.st_uid in (origin.user.uid, os.geteuid())
            data = folder / "data"
            # Without the data the tablespaces are the live cluster's.
            whole = data.exists() or not tablespaces(data).exists()
            if ours and whole and _NAME.fullmatch(folder.name):
                found.append(folder.name)
    return sorted(found)


def _is_used(folder: Path) -> bool:
    return postmaster.find(folder / "data") is not None or bool(running(f"{folder}/", whose=folder))
