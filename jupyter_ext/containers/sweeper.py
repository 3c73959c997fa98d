"""One thread that reads the files of all containers at once."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence

from .cgroups import CgroupReader, Counters, Target


class Sweeper:
    """Reads cgroup files in a thread of its own, one sweep at a time.

    Reading hundreds of files would hold the loop for milliseconds, and the engine's own threads may
    all be waiting for it just when somebody wants to see what is going on.
    """

    def __init__(self, reader: CgroupReader | None = None) -> None:
        self._reader = reader
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def sweep(self, targets: Sequence[Target], *, all_: bool = False) -> dict[str, Counters]:
        """Measure containers; those that can't be measured here are left out.

        Parameters
        ----------
        all_
            Whether no others run; the files of those that ran before are closed then.
        """
        if not targets and self._thread is None:
            return {}
        loop = asyncio.get_running_loop()
        future: asyncio.Future[dict[str, Counters]] = loop.create_future()

        def settle(found: dict[str, Counters] | None, failure: Exception | None) -> None:
            if future.done():
                return
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(found or {})

        def work() -> None:
            found, failure = None, None
            try:
                if self._reader is None:
                    self._reader = CgroupReader()
                found = self._reader.sweep(targets)
                if all_:
                    self._reader.keep_only(found)
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, found, failure)

        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="container-stats", daemon=True)
            self._thread.start()
        self._work.put(work)
        return await future

    def close(self) -> None:
        """Let the thread end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
        if self._reader is not None:
            self._reader.close()
