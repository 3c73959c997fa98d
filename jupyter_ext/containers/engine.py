"""Threads for an engine whose library blocks: bounded, with deadlines, and a breaker for hangs.

A call that is slow is doubted: the engine is asked for a sign of life, and where it gives none all
its calls fail at once, also those that wait in the queue, and new ones fail without being tried
until it answers again. So an engine that hangs costs nobody more than a few seconds, and threads
that it holds end with their sockets instead of piling up.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from .breaker import Breaker

T = TypeVar("T")
P = ParamSpec("P")


class Resource(Protocol):
    """What a thread talks to the engine with; each thread has its own."""

    def begin(self, deadline: float) -> None:
        """Prepare for a call that may take `deadline` seconds."""

    def abort(self) -> None:
        """End the call that another thread is waiting in, by closing its socket."""

    def close(self) -> None:
        """Close all connections."""


R = TypeVar("R", bound=Resource)


class _Job(Generic[T]):
    """A call on its way through a thread."""

    __slots__ = ("deadline", "future", "loop", "resource", "started", "timer", "work")

    def __init__(self, work: Callable[[Any], T], deadline: float) -> None:
        self.work = work
        self.deadline = deadline
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.started: float | None = None
        self.resource: Resource | None = None
        self.timer: asyncio.TimerHandle | None = None


class EngineThreads(Generic[R]):
    """A few threads that make an engine's blocking calls.

    The threads are daemons and not those of `concurrent.futures`, whose end the interpreter waits
    for: a hung engine must not keep a server from stopping.

    Parameters
    ----------
    make
        Make a thread's resource; called in the thread, and must not wait for the engine.
    workers
        Threads at most; they start when they are needed and end when they are idle.
    backlog
        Calls that may wait for a thread.
    patience
        Seconds after which a call is slow enough to ask the engine for a sign of life.
    idle
        Seconds after which a thread without work ends.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], R],
        breaker: Breaker,
        *,
        workers: int = 8,
        backlog: int = 512,
        patience: float = 1.5,
        idle: float = 30.0,
    ) -> None:
        self._name = name
        self._make = make
        self._breaker = breaker
        self._workers = workers
        self._backlog = backlog
        self._patience = patience
        self._idle = idle
        self._change = threading.Condition()
        self._queue: collections.deque[_Job[Any]] = collections.deque()
        self._jobs: set[_Job[Any]] = set()
        self._threads = 0
        self._waiting = 0
        self._closed = False
        self._checks: set[asyncio.Task[None]] = set()
        breaker.on_open.append(self._fail_all)

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return self._threads

    async def call(
        self,
        work: Callable[Concatenate[R, P], T],
        deadline: float,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` with a thread's resource and wait for its result.

        Parameters
        ----------
        deadline
            Seconds that it may take once a thread has begun it.

        Raises
        ------
        Unavailable
            The engine gives no sign of life, or the deadline has passed.
        """
        self._breaker.check()
        if self._closed or len(self._queue) >= self._backlog:
            raise self._breaker.refusal("has too much to do")
        job: _Job[T] = _Job(lambda resource: work(resource, *args, **kwargs), deadline)
        self._jobs.add(job)
        job.timer = job.loop.call_later(min(self._patience, deadline), self._doubt, job)
        self._submit(job)
        try:
            result = await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        finally:
            job.timer.cancel()
            self._jobs.discard(job)
        self._breaker.succeeded()
        return result

    async def close(self) -> None:
        """Refuse new calls, end the running ones and let the threads go."""
        self._closed = True
        self._fail_all("is being left")
        with self._change:
            self._change.notify_all()
        for check in list(self._checks):
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    # -- on the loop

    def _submit(self, job: _Job[Any]) -> None:
        with self._change:
            self._queue.append(job)
            if self._waiting >= len(self._queue):
                self._change.notify()
            elif self._threads < self._workers:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _doubt(self, job: _Job[Any]) -> None:
        """Ask for a sign of life because of a slow call."""
        check = job.loop.create_task(self._check(job))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    async def _check(self, job: _Job[Any]) -> None:
        if not await self._breaker.alive() or job.future.done():
            return
        left = job.deadline - (0 if job.started is None else time.monotonic() - job.started)
        if left > 0:
            job.timer = job.loop.call_later(min(self._patience, left), self._doubt, job)
            return
        self._fail(job, f"did not finish within {job.deadline:g} s")
        self._breaker.timed_out()

    def _fail_all(self, reason: str) -> None:
        for job in list(self._jobs):
            self._fail(job, reason)

    def _fail(self, job: _Job[Any], reason: str) -> None:
        if not job.future.done():
            job.future.set_exception(self._breaker.refusal(reason))
        self._abandon(job)

    def _abandon(self, job: _Job[Any]) -> None:
        with self._change:
            with contextlib.suppress(ValueError):
                self._queue.remove(job)
            # Under the lock, so that the thread can't be in its next call by now.
            if job.resource is not None:
                job.resource.abort()

    # -- in the threads

    def _run(self) -> None:
        resource: R | None = None
        while (job := self._next()) is not None:
            result: Any = None
            failure: BaseException | None = None
            try:
                if resource is None:
                    resource = self._make()
                resource.begin(job.deadline)
                with self._change:
                    job.resource = resource
                    job.started = time.monotonic()
                result = job.work(resource)
            except BaseException as error:
                failure = error
            with self._change:
                job.resource = None
            # The loop may be gone by now, and nobody waits then.
            with contextlib.suppress(RuntimeError):
                job.loop.call_soon_threadsafe(_settle, job, result, failure)
            del job, result, failure
        if resource is not None:
            resource.close()

    def _next(self) -> _Job[Any] | None:
        with self._change:
            while not self._queue:
                self._waiting += 1
                came = not self._closed and self._change.wait(self._idle)
                self._waiting -= 1
                if not came and not self._queue:
                    self._threads -= 1
                    return None
            return self._queue.popleft()


def _settle(job: _Job[T], result: T, failure: BaseException | None) -> None:
    if job.future.done():
        return
    if failure is None:
        job.future.set_result(result)
    else:
        job.future.set_exception(failure)
