"""A program that is kept running: what it leaves behind when it is killed, and one that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.services import supervised as supervising
from jupyter_ext.services.child import Child, end, spawn
from jupyter_ext.services.supervised import Ended, Supervised

from .test_over_http import EDITOR, lives


def supervised(folder: Path, *more: str, **settings: Any) -> Supervised:
    return Supervised(
        "vscode",
        [*EDITOR, *more],
        secret_variable="HASHED_PASSWORD",
        folder=folder,
        place=folder / "services",
        cure="",
        **settings,
    )


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait on the loop, where the program is looked after."""
    end_of_time = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_of_time
        await asyncio.sleep(0.05)


async def with_a_child(editor: Supervised) -> tuple[Child, psutil.Process]:
    await editor.start()
    assert (found := editor.child) is not None
    (listener,) = psutil.Process(found.pid).children()
    return found, listener


async def test_children_of_a_killed_leader_end_before_it_starts_again(tmp_path: Path) -> None:
    editor = supervised(tmp_path, "--forks")
    await editor.begin()
    try:
        first, listener = await with_a_child(editor)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: editor.child not in (first, None))
        assert not lives(listener.pid)
        # It was free again when the next one looked for one.
        assert editor.child is not None
        assert editor.child.port == first.port
    finally:
        await editor.end(leave=False)


async def test_stop_ends_the_children_of_a_killed_leader(tmp_path: Path) -> None:
    editor = supervised(tmp_path, "--forks")
    first, listener = await with_a_child(editor)
    os.kill(first.pid, signal.SIGKILL)
    await editor.stop()
    assert not lives(listener.pid)


def test_a_later_session_of_its_number_is_somebody_elses(tmp_path: Path) -> None:
    held = spawn(
        ["sh", "-c", "sleep 600 & sleep 600"],
        folder=tmp_path,
        environment={},
        log=tmp_path / "log",
        port=1,
        secret="x",
    )
    held.release()
    child = held.child
    leader = psutil.Process(child.pid)
    deadline = time.monotonic() + 10
    while not leader.children():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # One that had the number before, as its record tells.
    before = replace(child, started=child.started - 1, secret="y")
    assert before.groups() == set()
    leader.kill()
    leader.wait(10)
    assert not (child.alive() or before.alive())
    assert before.groups() == set()
    assert end(before)
    assert child.groups() == {child.pid}
    assert end(child)
    assert child.groups() == set()


async def test_one_that_never_listens_is_ended_and_started_again(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    editor = supervised(tmp_path, "--deaf-until", str(opened), ready_seconds=1.5)
    await editor.begin()
    try:
        with pytest.raises(Unavailable, match=r"did not listen at port \d+ .* within 1.5 s"):
            await editor.start()
        state = editor.state()
        assert state.status == "failed"
        assert "did not listen" in (state.problem.what if state.problem else "")
        await until(lambda: editor.state().status == "starting")
        second = editor.state()
        assert "did not listen" in (second.problem.what if second.problem else "")
        assert second.pid is not None
        await until(lambda: editor.state().status == "failed")
        assert not lives(second.pid)
        opened.touch()
        await until(lambda: editor.state().status == "running")
        assert editor.state().problem is None
    finally:
        await editor.end(leave=False)


async def test_one_that_dies_at_once_is_told_and_its_words_apart(tmp_path: Path) -> None:
    dying = supervised(tmp_path, "--dies")
    await dying.begin()
    with pytest.raises(Ended, match=r"^vscode ended\. ") as failed:
        await dying.start()
    assert "no room for an editor" in failed.value.said
    assert "no room for an editor" in str(failed.value.told())
    state = dying.state()
    assert state.status == "failed"
    # Everybody reads it.
    assert state.problem is not None
    assert "no room" not in state.problem.what + state.problem.cure
    await dying.stop()
    assert dying.state().status == "stopped"
    await dying.end(leave=False)


async def test_pauses_grow_and_begin_anew_after_one_that_lived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def hurry(seconds: float) -> None:
        """Pass over what would take minutes, and remember it."""
        if seconds in supervising.BACKOFF:
            pauses.append(seconds)
            seconds /= 100
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", hurry)
    monkeypatch.setattr(supervising, "STEADY", 0.5)
    opened = tmp_path / "opened"
    editor = supervised(tmp_path, "--dies-until", str(opened))
    await editor.begin()
    try:
        with pytest.raises(Ended):
            await editor.start()
        await until(lambda: len(pauses) >= 6)
        assert pauses[:6] == [1, 2, 5, 15, 60, 60]
        opened.touch()
        await until(lambda: editor.state().status == "running")
        # Longer than what counts as steady here.
        await sleep(1.5)
        pauses.clear()
        first = editor.child
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: editor.child not in (first, None) and bool(pauses))
        assert pauses[0] == 1
    finally:
        await editor.end(leave=False)
