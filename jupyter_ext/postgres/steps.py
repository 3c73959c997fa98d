"""Steps that are done whole, or not begun."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(step: Coroutine[Any, Any, T]) -> T:
    """Do a step that can't be called off any more: who does it meanwhile comes too late.

    It is done by then, and what tells of it has to say so.
    """
    task = asyncio.ensure_future(step)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
