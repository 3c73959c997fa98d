"""Threads of an engine: bounded, with deadlines, and a breaker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from jupyter_ext.containers.breaker import Breaker
from jupyter_ext.containers.engine import EngineThreads
from jupyter_ext.errors import Unavailable

from ..engines.steps import at_once, until


class Line:
    """A resource whose calls wait until somebody cuts them off."""

    def __init__(self) -> None:
        self.cut = threading.Event()
        self.closed = False

    def begin(self, deadline: float) -> None:
        self.cut.clear()

    def abort(self) -> None:
        self.cut.set()

    def close(self) -> None:
        self.closed = True

    def hang(self) -> None:
        if self.cut.wait(30):
            raise ConnectionError("cut off")


class Engine:
    """An engine that may be hanging, and its threads."""

    def __init__(self, **options: float | int) -> None:
        self.alive = True
        self.pings = 0
        self.lines: list[Line] = []
        self.breaker = Breaker(
            self.ping, lambda reason: Unavailable(f"It {reason}."), deadline=0.1, pause=0.05
        )
        self.threads = EngineThreads(
            "test",
            self.line,
            self.breaker,
            **{"workers": 2, "patience": 0.1, **options},  # type: ignore[arg-type]
        )

    async def ping(self) -> None:
        self.pings += 1
        if not self.alive:
            await asyncio.sleep(30)

    def line(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]


@pytest.fixture
def engine(jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Engine]:
    engine = Engine()
    yield engine
    jp_asyncio_loop.run_until_complete(engine.threads.close())
    jp_asyncio_loop.run_until_complete(engine.breaker.close())


async def test_a_result_and_an_error_come_back(engine: Engine) -> None:
    assert await engine.threads.call(lambda line, n: n + 1, 1.0, 41) == 42
    with pytest.raises(KeyError):
        await engine.threads.call(lambda line: dict[str, int]()["x"], 1.0)


async def test_no_more_threads_than_workers(engine: Engine) -> None:
    running = 0
    most = 0

    def work(line: Line) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1

    await asyncio.gather(*(engine.threads.call(work, 5.0) for _ in range(20)))
    assert (most, engine.threads.threads) == (2, 2)


async def test_the_loop_runs_while_calls_wait(engine: Engine) -> None:
    go = threading.Event()
    call = asyncio.ensure_future(engine.threads.call(lambda line: go.wait(30), 60.0))
    for _ in range(10):
        await asyncio.sleep(0.01)
    # Had the loop waited for it, it would have ended, and without having been let go.
    assert not call.done()
    go.set()
    assert await call


async def test_an_engine_that_hangs_fails_all_calls_soon(engine: Engine) -> None:
    engine.alive = False
    calls = [engine.threads.call(Line.hang, 60.0) for _ in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    # By the missing sign of life, which comes long before any deadline of theirs.
    assert all(isinstance(result, Unavailable) for result in results)
    assert all("does not answer" in str(result) for result in results), results
    with pytest.raises(Unavailable, match="does not answer"):
        at_once(engine.threads.call(Line.hang, 60.0))


async def test_threads_that_hung_are_free_again(engine: Engine) -> None:
    engine.alive = False
    with pytest.raises(Unavailable):
        await engine.threads.call(Line.hang, 60.0)
    engine.alive = True
    await until(lambda: not engine.breaker.open)
    # Both threads answer at once: none is stuck in the call that was given up.
    gate = threading.Barrier(2, timeout=20)
    await asyncio.gather(*(engine.threads.call(lambda line: gate.wait(), 30.0) for _ in range(2)))
    assert engine.threads.threads == 2


async def test_hangs_again_and_again_pile_nothing_up(engine: Engine) -> None:
    for _ in range(5):
        engine.alive = False
        with pytest.raises(Unavailable):
            await engine.threads.call(Line.hang, 60.0)
        engine.alive = True
        await until(lambda: not engine.breaker.open)
    assert engine.threads.threads <= 2
    assert sum(thread.name == "test" for thread in threading.enumerate()) <= 2


async def test_a_slow_call_goes_on_while_the_engine_is_alive(engine: Engine) -> None:
    def slow(line: Line) -> str:
        time.sleep(0.4)
        return "done"

    assert await engine.threads.call(slow, 5.0) == "done"
    assert engine.pings >= 2


async def test_a_call_has_a_deadline_though_the_engine_is_alive(engine: Engine) -> None:
    with pytest.raises(Unavailable, match="did not finish within 0.3 s"):
        await engine.threads.call(Line.hang, 0.3)
    assert not engine.breaker.open


async def test_the_deadline_does_not_count_the_queue(engine: Engine) -> None:
    calls = [engine.threads.call(lambda line: time.sleep(0.25), 0.5) for _ in range(8)]
    assert await asyncio.gather(*calls) == [None] * 8


async def test_many_calls_too_slow_open_the_breaker_for_a_while(engine: Engine) -> None:
    for _ in range(3):
        with pytest.raises(Unavailable):
            await engine.threads.call(Line.hang, 0.05)
    assert engine.breaker.open
    await until(lambda: not engine.breaker.open)


async def test_an_answer_in_between_forgives(engine: Engine) -> None:
    for _ in range(4):
        with pytest.raises(Unavailable):
            await engine.threads.call(Line.hang, 0.05)
        await engine.threads.call(lambda line: None, 1.0)
    assert not engine.breaker.open


async def test_one_sign_of_life_is_asked_for_by_all(engine: Engine) -> None:
    engine.alive = False
    with contextlib.suppress(Unavailable):
        await asyncio.gather(*(engine.threads.call(Line.hang, 60.0) for _ in range(8)))
    assert engine.pings == 1


async def test_a_cancelled_call_is_cut_off(engine: Engine) -> None:
    call = asyncio.ensure_future(engine.threads.call(Line.hang, 60.0))
    await until(lambda: engine.lines)
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: engine.lines[0].cut.is_set())
    assert await engine.threads.call(lambda line: 1, 1.0) == 1


async def test_a_cancelled_call_in_the_queue_never_runs(engine: Engine) -> None:
    ran = []
    busy = [asyncio.ensure_future(engine.threads.call(Line.hang, 60.0)) for _ in range(2)]
    waiting = asyncio.ensure_future(engine.threads.call(lambda line: ran.append(1), 60.0))
    await asyncio.sleep(0.05)
    for call in (waiting, *busy):
        call.cancel()
    await asyncio.gather(waiting, *busy, return_exceptions=True)
    await engine.threads.call(lambda line: None, 1.0)
    assert not ran


async def test_a_full_queue_refuses(jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    engine = Engine(backlog=1, workers=1)
    calls = [asyncio.ensure_future(engine.threads.call(Line.hang, 60.0)) for _ in range(2)]
    await until(lambda: engine.lines)
    await asyncio.sleep(0.05)
    extra = [asyncio.ensure_future(engine.threads.call(Line.hang, 60.0)) for _ in range(2)]
    done, _ = await asyncio.wait(extra, return_when=asyncio.FIRST_COMPLETED, timeout=1)
    assert any("too much to do" in str(call.exception()) for call in done)
    await engine.threads.close()
    await asyncio.gather(*calls, *extra, return_exceptions=True)
    await engine.breaker.close()


async def test_idle_threads_end_and_close_their_lines() -> None:
    engine = Engine(idle=0.05)
    await engine.threads.call(lambda line: None, 1.0)
    await until(lambda: engine.threads.threads == 0)
    await until(lambda: engine.lines[0].closed)
    assert await engine.threads.call(lambda line: 7, 1.0) == 7
    await engine.threads.close()


async def test_closing_ends_what_runs() -> None:
    engine = Engine()
    call = asyncio.ensure_future(engine.threads.call(Line.hang, 60.0))
    await until(lambda: engine.lines)
    await engine.threads.close()
    with pytest.raises(Unavailable):
        await call
    await until(lambda: engine.threads.threads == 0)


async def test_who_listens_hears_both_turns(engine: Engine) -> None:
    heard: list[str] = []
    engine.breaker.on_open.append(lambda reason: heard.append(reason))
    engine.breaker.on_close.append(lambda: heard.append("back"))
    engine.alive = False
    with pytest.raises(Unavailable):
        await engine.threads.call(Line.hang, 60.0)
    engine.alive = True
    await until(lambda: len(heard) == 2)
    assert heard == ["does not answer", "back"]
