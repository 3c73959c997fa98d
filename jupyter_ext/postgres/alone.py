"""Stops the databases where no server is there to do it: they outlive theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..desk.lock import DeskLock
from . import postmaster
from .cluster import Cluster
from .files import Record
from .settings import PostgresSettings


def runs(home: Path) -> bool:
    """Whether the PostgreSQL that a home folder remembers runs, with a server or without.

    Raises
    ------
    Unavailable
        What the folder remembers can't be read.
    """
    record = Record.read(home)
    return record is not None and postmaster.find(Path(record.folder) / "data") is not None


def stop(home: Path) -> bool:
    """Stop it in order, until the next server starts it again. Blocks.

    Returns
    -------
    bool
        False where it does not run, or a server of this home looks after it.

    Raises
    ------
    Unavailable
        It does not stop, or is not this user's to be stopped.
    """
    lock = DeskLock(home)
    if not runs(home) or not lock.acquire():
        return False
    try:
        asyncio.run(Cluster(PostgresSettings(), home, "", _nobody).stop())
    finally:
        lock.release()
    return True


async def _nobody(identifier: str) -> None:
    """Claim nothing: what is stopped serves nobody."""
