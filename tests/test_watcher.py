"""Background work that goes on whatever happens to it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.watcher import Watcher

AWAY = Unavailable("The engine is away.", "Start it.")


async def seen(outcomes: list[Exception | None], *, at_once: bool) -> list[str]:
    """Look with these outcomes, one after the other; return what was done."""
    done: list[str] = []
    over = asyncio.Event()

    async def look() -> None:
        done.append("look")
        outcome = outcomes.pop(0)
        if not outcomes:
            over.set()
        if outcome is not None:
            raise outcome

    async def pause() -> None:
        done.append("pause")
        await asyncio.sleep(0 if outcomes else 3600)

    watcher = Watcher(look, pause, logging.getLogger("watched"), "It was not seen")
    watcher.start(at_once=at_once)
    watcher.start()
    await asyncio.wait_for(over.wait(), 10)
    await asyncio.sleep(0)
    await watcher.stop()
    await watcher.stop()
    return done


async def test_a_failure_that_repeats_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    done = await seen([AWAY, AWAY, None, AWAY], at_once=True)
    assert done == ["look", "pause"] * 4
    assert [record.getMessage() for record in caplog.records] == [f"It was not seen: {AWAY}"] * 2


async def test_it_goes_on_after_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    done = await seen([ZeroDivisionError(), None], at_once=False)
    assert done == ["pause", *["look", "pause"] * 2]
    [record] = caplog.records
    assert record.exc_info is not None
