"""Where clusters are restored beside the running one."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..accounts.schemas import Account
from ..errors import Conflict, Unavailable
from ..store.types import new_id
from ..units import size_text
from .archiving import FOLDER
from .files import SOCKET_PATH, free_port
from .owned_files import on_disk
from .pgbackrest_program import CONFIGURATION
from .pgbackrest_runs import end_runs
from .place import Place
from .side_cluster import SideCluster
from .turn import Turn

SIDE = "side"
"""What the names of their folders begin with."""

ROOM = 1.1
"""Times the cluster's size that must be free: its WAL is played back there, too."""


class Beside:
    """Plans places for restored clusters, and finds them again after a crash.

    Attributes
    ----------
    turn
        Held by who restores, tests or recovers.
    """

    def __init__(self) -> None:
        self.turn = Turn()
        self._busy: set[str] = set()

    @contextmanager
    def one_each(self, caller: Account) -> Iterator[None]:
        """Have users wait for their own restores and tests: nobody keeps all others waiting.

        Raises
        ------
        Conflict
            The caller has one going on, and is no administrator.
        """
        if not caller.is_admin and caller.id in self._busy:
            raise Conflict(
                "operation", "restore", "You have a restore or a test going on. Wait for its end."
            )
        self._busy.add(caller.id)
        try:
            yield
        finally:
            self._busy.discard(caller.id)

    def plan(self, origin: Place) -> Mapping[str, Any]:
        """Return where the next one will be, in words that can be kept."""
        return {"name": new_id(SIDE), "port": free_port()}

    def at(self, origin: Place, plan: Mapping[str, Any]) -> SideCluster:
        """Return the place that was planned."""
        name, port = str(plan["name"]), int(plan["port"])
        folder = origin.data.parent / name
        sockets = folder / "run"
        if len(os.fsencode(sockets / f".s.PGSQL.{port}.lock")) > SOCKET_PATH:
            # Nobody can make it first: the name is random.
            sockets = Path(tempfile.gettempdir()) / f"jupyter_ext-{name}"
        return SideCluster(origin, folder, sockets, port)

    async def check_room(self, origin: Place, size: int) -> None:
        """See that there is room for a cluster of so many bytes.

        Raises
        ------
        Unavailable
            There is not.
        """
        free = await self.free(origin)
        if free < size * ROOM:
            raise Unavailable(
                f"A restored cluster takes {size_text(int(size * ROOM))}, and the disk of "
                f"{origin.data.parent} has {size_text(free)} left.",
                "Make room, and try again.",
            )

    async def free(self, origin: Place) -> int:
        """Return how many bytes are free where they lie."""
        return (await on_disk(partial(shutil.disk_usage, origin.data.parent))).free

    async def discard(self, origin: Place, plan: Mapping[str, Any]) -> None:
        """Remove what is there of a restored cluster, whatever still works at it."""
        side = self.at(origin, plan)
        # Each of its runs names the folder that it restores into.
        sign = f"--pg1-path={side.place.data}"
        await end_runs(origin.data.parent / FOLDER / CONFIGURATION, sign)
        await asyncio.shield(side.discard())
