"""The tasks of operations: begun, told of, written down, ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from ..errors import PlatformError, Unavailable
from ..store.leases import LeaseLost
from ..store.types import utcnow
from .ledger import Ledger
from .running import EVENT_SPACING, WRITE_SPACING, Live, Progress, Throttle
from .schemas import Operation, Problem, jsonable

T = TypeVar("T")
Json = Any

RETRY_SECONDS = 0.5
"""Until the end of an operation is written again, where the store did not answer; grows tenfold."""

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Whoever tells of changes."""

    def publish(
        self, topic: str, data: Any, *, owner: str | None = None, key: str | None = None
    ) -> object:
        """Tell the owner; a newer message replaces an older one of the same key."""


class Worker:
    """Does the operations of this process.

    Attributes
    ----------
    live
        What goes on here, by id.
    """

    def __init__(self, ledger: Ledger, bus: Publisher) -> None:
        self.live: dict[str, Live] = {}
        self._ledger = ledger
        self._bus = bus
        self._tasks: set[asyncio.Future[None]] = set()

    def begin(
        self,
        live: Live,
        work: Callable[[Progress], Awaitable[T]],
        present: Callable[[T], Json],
    ) -> None:
        """Begin what is written down already."""
        self._launch(live, partial(self.go_on, live, work, present))

    def adopt(
        self, operation: Operation, recover: Callable[[Live, Progress], Awaitable[None]]
    ) -> None:
        """Bring an interrupted operation to its end as a task of this process."""
        if operation.id in self.live:
            return
        live = Live(operation, self._ledger.lease.id)
        live.recovering = True

        async def run(progress: Progress) -> None:
            await recover(live, progress)

        self._launch(live, run)

    def cancel(self, live: Live) -> None:
        """Stop it because somebody asked for it; its end is `cancelled`."""
        if live.task is not None and not live.cancel_requested and not live.recovering:
            live.cancel_requested = True
            live.task.cancel()

    def interrupt(self, live: Live, reason: BaseException) -> None:
        """Stop it without an end: it is, or will be, somebody else's."""
        live.interrupted = reason
        if live.task is not None:
            live.task.cancel()

    def lease_lost(self, server: str) -> None:
        """Stop all that this process did under a name that was taken for dead."""
        for live in list(self.live.values()):
            if live.server == server:
                self.interrupt(live, LeaseLost())

    async def stop(self) -> None:
        """Stop everything; the next server brings it to its end."""
        reason = Unavailable("The server was stopped.", "The operation is recovered at its start.")
        lives = list(self.live.values())
        for live in lives:
            self.interrupt(live, reason)
        tasks = [live.task for live in lives if live.task is not None]
        await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)

    def background(self, call: Callable[[], Awaitable[None]]) -> None:
        """Do something beside."""
        task = asyncio.ensure_future(call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _launch(self, live: Live, run: Callable[[Progress], Awaitable[None]]) -> None:
        """Make a task of it, and tell of every change."""
        self.live[live.operation.id] = live
        events = Throttle(EVENT_SPACING, partial(self._publish, live))
        save = partial(self.background, partial(self._save, live))
        # Its row was written a moment ago: short work is not held up by another write.
        writes = Throttle(WRITE_SPACING, save, called=True)

        def changed() -> None:
            if not live.ended.is_set():
                events.trigger()
                writes.trigger()

        def done(task: asyncio.Task[None]) -> None:
            # Not in the task itself, which may be stopped before its first step.
            events.cancel()
            writes.cancel()
            self.live.pop(live.operation.id, None)
            if live.operation.active and live.error is None:
                failure = None if task.cancelled() else task.exception()
                live.error = live.interrupted or failure or LeaseLost()
            live.ended.set()

        events.trigger()
        progress = Progress(live, changed, partial(self._write, live))
        live.task = asyncio.get_running_loop().create_task(self._run(run, progress))
        live.task.add_done_callback(done)

    async def _run(self, run: Callable[[Progress], Awaitable[None]], progress: Progress) -> None:
        await run(progress)

    async def go_on(
        self,
        live: Live,
        work: Callable[[Progress], Awaitable[T]],
        present: Callable[[T], Json],
        progress: Progress,
    ) -> None:
        """Do the work and write how it ended."""
        operation = live.operation
        ending: dict[str, Any]
        try:
            live.value = await work(progress)
            ending = {"state": "succeeded", "progress": 1.0, "result": present(live.value)}
        except asyncio.CancelledError:
            ending = {"state": "cancelled", "message": "Cancelled."}
        except Exception as error:
            live.error = error
            ending = {"state": "failed", "error": problem_of(error), "message": str(error)}
            if not isinstance(error, PlatformError):
                _log.exception("The operation %s (%s) failed", operation.id, operation.kind)
                ending["message"] = ending["error"].message
        if live.interrupted is not None:
            live.error = live.interrupted
            return
        await self.end(live, ending)

    async def end(self, live: Live, ending: dict[str, Any], **more: Any) -> None:
        """Write an end, however long the store takes to answer, then tell of it.

        No failure and no cancellation may leave the row as if the work went on.
        """
        changes = {"log": list(live.lines), **ending, "ended_at": utcnow()}
        final = live.operation.model_copy(update=changes)
        wait = RETRY_SECONDS
        while True:
            try:
                async with live.writing:
                    ends = live.operation.active
                    also = live.with_success if final.state == "succeeded" else ()
                    await self._ledger.write(final, live.server, ends=ends, also=also, **more)
                    live.operation = final
                break
            except LeaseLost as error:
                live.error = live.interrupted = error
                return
            except asyncio.CancelledError:
                if live.interrupted is not None:
                    live.error = live.interrupted
                    return
                continue
            except Unavailable as error:
                _log.warning("The end of %s can't be written yet: %s", final.id, error)
            except Exception:
                _log.exception("The end of %s can't be written whole", final.id)
                final = final.model_copy(update={"result": None, "log": [], "details": {}})
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(wait)
            if live.interrupted is not None:
                live.error = live.interrupted
                return
            wait = min(wait * 2, RETRY_SECONDS * 10)
        for tell in live.after_success if final.state == "succeeded" else ():
            tell()
        self._publish(live)

    async def _save(self, live: Live) -> None:
        """Write progress, for other servers and for whoever recovers it."""
        async with live.writing:
            if live.ended.is_set() or not live.operation.active:
                return
            try:
                await self._ledger.write(live.current(), live.server)
            except LeaseLost as error:
                self.interrupt(live, error)
            except Unavailable as error:
                _log.warning("The progress of %s is not written: %s", live.operation.id, error)
            except Exception:
                _log.exception("The progress of %s is not written", live.operation.id)

    async def _write(self, live: Live) -> None:
        async with live.writing:
            await self._ledger.write(live.current(), live.server)

    def _publish(self, live: Live) -> None:
        operation = live.current()
        self._bus.publish(
            "operations", jsonable(operation), owner=operation.owner, key=operation.id
        )


def problem_of(error: BaseException) -> Problem:
    """Say what went wrong; of an unknown failure only that it was one."""
    if isinstance(error, PlatformError):
        return Problem(
            code=error.code, message=error.message, details=jsonable(error.details | error.fields)
        )
    return Problem(
        code="INTERNAL_ERROR",
        message="Something went wrong inside the server. Its log says more.",
    )
