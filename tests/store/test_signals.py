"""What one server changes, the others hear of."""

from __future__ import annotations

import asyncio
import time

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.store import Store

from ..engines.stores import MakeStore
from .test_database import reopened


async def test_a_change_is_heard_within_a_second(store: Store) -> None:
    other = await reopened(store)
    try:
        heard = asyncio.Event()
        other.signals.on_change("colours", heard.set)
        other.signals.on_change("shapes", lambda: pytest.fail("nobody changed shapes"))
        await asyncio.sleep(0.6)
        began = time.monotonic()
        async with store.write() as session:
            await store.signals.raise_(session, "colours")
        await asyncio.wait_for(heard.wait(), 3)
        assert time.monotonic() - began < 1
    finally:
        await other.close()


async def test_the_own_server_hears_at_once_and_only_what_was_committed(store: Store) -> None:
    heard: list[str] = []
    store.signals.on_change("colours", lambda: heard.append("colours"))
    with pytest.raises(ZeroDivisionError):
        async with store.write() as session:
            await store.signals.raise_(session, "colours")
            raise ZeroDivisionError
    assert heard == []
    async with store.write() as session:
        await store.signals.raise_(session, "colours")
        assert heard == []
    assert heard == ["colours"]


async def test_a_store_that_does_not_answer_counts_as_a_change(
    make_store: MakeStore, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asyncio.Event()
    store.signals.on_change("colours", heard.set)

    def broken() -> None:
        raise Unavailable("The store does not answer.")

    monkeypatch.setattr(store, "read", broken)
    await asyncio.wait_for(heard.wait(), 3)
