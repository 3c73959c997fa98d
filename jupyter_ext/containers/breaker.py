"""Whether an engine answers, known to everybody who would otherwise wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from ..errors import Unavailable


class Breaker:
    """A switch between an engine and its callers that opens while the engine does not answer.

    Parameters
    ----------
    ping
        Ask the engine for a sign of life; raises where there is none. Uses none of its threads.
    refusal
        Make the error that callers get; its argument is what was seen.
    deadline
        Seconds that a sign of life may take.
    tolerance
        After so many calls in a row that were too slow no new ones are tried for a while, even if
        the engine gives a sign of life.
    pause
        Seconds between two tries to reach an engine that does not answer.
    """

    def __init__(
        self,
        ping: Callable[[], Awaitable[object]],
        refusal: Callable[[str], Unavailable],
        *,
        deadline: float = 2.0,
        tolerance: int = 3,
        pause: float = 1.0,
    ) -> None:
        self._ping = ping
        self.refusal = refusal
        self.deadline = deadline
        self._tolerance = tolerance
        self._pause = pause
        self._reason: str | None = None
        self._slow = 0
        self._asking: asyncio.Task[bool] | None = None
        self._probing: asyncio.Task[None] | None = None
        #: Called when calls are refused from now on, with the reason, and when they pass again.
        self.on_open: list[Callable[[str], None]] = []
        self.on_close: list[Callable[[], None]] = []

    @property
    def open(self) -> bool:
        """Whether calls are refused."""
        return self._reason is not None

    def check(self) -> None:
        """Raise the refusal where calls are refused."""
        if self._reason is not None:
            raise self.refusal(self._reason)

    def succeeded(self) -> None:
        """Note that a call was answered in time."""
        self._slow = 0

    def timed_out(self) -> None:
        """Note that a call was not answered in time though the engine gives signs of life."""
        self._slow += 1
        if self._slow >= self._tolerance:
            self._slow = 0
            self.trip("does not finish what it is asked")

    async def alive(self) -> bool:
        """Ask for a sign of life, once for all who want to know, and trip where there is none."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(self.deadline):
                await self._ping()
        except TimeoutError:
            self.trip("does not answer")
            return False
        except Exception as error:
            self.trip(str(error) or "does not answer")
            return False
        return True

    def trip(self, reason: str) -> None:
        """Refuse all calls until the engine answers again."""
        if self._reason is not None:
            return
        self._reason = reason
        self._probing = asyncio.get_running_loop().create_task(self._probe())
        for callback in list(self.on_open):
            callback(reason)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self.deadline):
                    await self._ping()
                break
        self.mend()

    def mend(self) -> None:
        """Let calls pass again."""
        if self._reason is None:
            return
        self._reason = None
        probing, self._probing = self._probing, None
        if probing is not None and probing is not asyncio.current_task():
            probing.cancel()
        for callback in list(self.on_close):
            callback()

    async def close(self) -> None:
        """End what runs in the background."""
        tasks = [task for task in (self._asking, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
