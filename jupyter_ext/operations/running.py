"""Work that is going on in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import Conflict
from .schemas import Operation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
U = TypeVar("U")

LOG_LINES = 1000
"""Of each operation; older ones are let go."""

LINE_LENGTH = 2000

EVENT_SPACING = 0.2
"""Seconds between two events of one operation's progress."""

WRITE_SPACING = 2.0
"""Seconds between two writes of one operation's progress; other servers see it that late."""


class Throttle:
    """Calls at once, and then at most once in `spacing` seconds; the last call is never lost.

    Parameters
    ----------
    called
        It was called a moment ago, by somebody else.
    """

    def __init__(self, spacing: float, call: Callable[[], None], *, called: bool = False) -> None:
        self._spacing = spacing
        self._call = call
        self._next = asyncio.get_running_loop().time() + spacing if called else 0.0
        self._timer: asyncio.TimerHandle | None = None

    def trigger(self) -> None:
        """Call now or soon."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._next - loop.time()
        if wait <= 0:
            self._fire()
        else:
            self._timer = loop.call_later(wait, self._fire)

    def cancel(self) -> None:
        """Forget what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._next = asyncio.get_running_loop().time() + self._spacing
        self._call()


class Live:
    """One operation in this process: its state in memory, its task and its outcome."""

    def __init__(self, operation: Operation, server: str) -> None:
        self.operation = operation
        self.server = server
        """The name under which this process does it."""
        self.lines: deque[str] = deque(operation.log, maxlen=LOG_LINES)
        self.task: asyncio.Task[None] | None = None
        self.recovering = False
        self.cancel_requested = False
        self.interrupted: BaseException | None = None
        """Why the task is stopped without an end of its own: somebody else brings it to one."""
        self.ended = asyncio.Event()
        self.value: Any = None
        self.error: BaseException | None = None
        self.writing = asyncio.Lock()
        self.with_success: list[Callable[[AsyncSession], Awaitable[object]]] = []
        """Called in the transaction that writes a good end."""
        self.after_success: list[Callable[[], None]] = []
        """Called when that is committed."""

    def current(self) -> Operation:
        """Return a copy of its state now."""
        changes: dict[str, Any] = {"log": list(self.lines)}
        if self.cancel_requested and self.operation.active:
            changes["message"] = "Being cancelled"
        return self.operation.model_copy(update=changes)


class Progress:
    """How work tells what it does; cheap enough for every line of an engine's stream."""

    def __init__(
        self, live: Live, changed: Callable[[], None], write: Callable[[], Awaitable[None]]
    ) -> None:
        self._live = live
        self._changed = changed
        self._write = write

    @property
    def operation(self) -> Operation:
        """The operation, as it is now."""
        return self._live.current()

    @property
    def interrupted(self) -> bool:
        """Whether it is being stopped for another server to bring it to its end."""
        return self._live.interrupted is not None

    async def update(
        self,
        fraction: float | None = None,
        message: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Say how far it is; what is None stays as it is.

        Parameters
        ----------
        fraction
            0 to 1.
        details
            Facts for a program, in place of the former ones: the layers of a pull, say.
        """
        operation = self._live.operation
        if fraction is not None:
            operation.progress = min(max(float(fraction), 0.0), 1.0)
        if message is not None:
            operation.message = message
        if details is not None:
            operation.details = details
        self._changed()

    def report(self, fraction: float) -> None:
        """Say how far it is, from where nothing can be awaited."""
        self._live.operation.progress = min(max(float(fraction), 0.0), 1.0)
        self._changed()

    def enter(self, phase: str) -> None:
        """Say what begins, in a word that programs know."""
        operation = self._live.operation
        operation.details = {**operation.details, "phase": str(phase)}
        self._changed()

    async def keep(self, details: dict[str, Any]) -> None:
        """Write details down at once, before that is done which whoever recovers it must know of.

        Raises
        ------
        Unavailable
            The store does not answer, or takes this server for dead.
        """
        await self.update(details=details)
        await self._write()

    def with_success(
        self, write: Callable[[AsyncSession], Awaitable[object]], tell: Callable[[], None]
    ) -> None:
        """Write more in the transaction that writes a good end, and tell of it then.

        Parameters
        ----------
        write
            Called as ``await write(session)``; again where that can't be committed.
        tell
            Called once it is.
        """
        self._live.with_success.append(write)
        self._live.after_success.append(tell)

    def log(self, line: str) -> None:
        """Add a line for whoever wants to know more."""
        self._live.lines.append(line[:LINE_LENGTH])
        self._changed()


@dataclass(frozen=True)
class Resumed(Generic[T]):
    """Work that a server takes over from a dead one and goes on with, however long it takes.

    Parameters
    ----------
    present
        Turns the result into what is kept and shown.
    """

    work: Callable[[Progress], Awaitable[T]]
    present: Callable[[T], Any]


class Running(Generic[T]):
    """Long work that a manager began. Whoever waits for it may go away: the work goes on."""

    def __init__(self, live: Live, turn: Callable[[Any], T] | None = None) -> None:
        self._live = live
        self._turn = turn

    def turned(self, turn: Callable[[T], U]) -> Running[U]:
        """Return the same work with another result: what `turn` makes of this one's."""
        return Running(self._live, turn)

    @property
    def operation(self) -> Operation:
        """The operation, as it is now."""
        return self._live.current()

    def current(self) -> Operation:
        """Return the operation, as it is now."""
        return self._live.current()

    async def ended(self) -> None:
        """Wait for the end, good or bad."""
        await self._live.ended.wait()

    async def wait(self) -> T:
        """Wait for the result.

        Raises
        ------
        PlatformError
            What the work raised; `Conflict` where somebody cancelled it.
        """
        await self._live.ended.wait()
        if self._live.error is not None:
            raise self._live.error
        if self._live.operation.state == "cancelled":
            operation = self._live.operation
            raise Conflict("operation", operation.id, f"{operation.message}")
        value: T = self._live.value if self._turn is None else self._turn(self._live.value)
        return value
