"""What a test says of order, where seconds would say how busy the machine is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds that a test waits for what comes in a moment; not what anybody is promised."""


def at_once(call: Coroutine[Any, Any, T]) -> T:
    """Return what a call answers, or raise what it raises, without ever waiting for anything.

    Raises
    ------
    AssertionError
        It waits.
    """
    try:
        call.send(None)
    except StopIteration as ended:
        answer: T = ended.value
        return answer
    call.close()
    raise AssertionError("it waits")


async def until(ready: Callable[[], object], what: str = "what is awaited") -> None:
    """Wait until something is so.

    Raises
    ------
    TimeoutError
        It did not become so.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            while not ready():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what}: not after {PATIENCE:g} s") from None
