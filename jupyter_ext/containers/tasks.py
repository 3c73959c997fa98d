"""Background work that is about to end by itself."""

from __future__ import annotations

import asyncio

PATIENCE = 3.0
"""Seconds."""


async def end_soon(*tasks: asyncio.Future[None] | None) -> None:
    """Wait for work that writes to the store, and break off only what hangs.

    A write that is cancelled in the middle takes its connection along.
    """
    running = [task for task in tasks if task is not None and not task.done()]
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=PATIENCE)
    for task in late:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
