"""A session whose statements end before their cancellation is heard.

A statement that is under way can't be taken back: SQLite runs it in a thread, which nothing stops.
Whoever was cancelled while it ran would leave a connection behind that still holds the one writer's
lock, for as long as some cursor of it lives. So a cancellation waits for the statement
(milliseconds), and the connection stays in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

T = TypeVar("T")

STATEMENTS = (
    "close",
    "commit",
    "connection",
    "delete",
    "execute",
    "flush",
    "get",
    "get_one",
    "merge",
    "refresh",
    "rollback",
    "run_sync",
    "scalar",
    "scalars",
)
"""What a session says to the database. Streams are not among them: nothing here needs one."""


class Session(AsyncSession):
    """`AsyncSession`, but for cancellations."""

    def begin_nested(self) -> AsyncSessionTransaction:
        """Begin a savepoint, to be used with ``async with``."""
        return cast(AsyncSessionTransaction, _Savepoint(super().begin_nested()))


class _Savepoint:
    def __init__(self, inner: AsyncSessionTransaction) -> None:
        self._inner = inner

    async def __aenter__(self) -> AsyncSessionTransaction:
        return await finished(self._inner.__aenter__())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await finished(self._inner.__aexit__(kind, error, trace))


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end; a cancellation of the waiting task comes after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:  # noqa: S110 - the task's own, raised below
            pass
    if cancelled is not None and not task.cancelled():
        # Fetched, so that nobody complains of it.
        task.exception()
        raise cancelled
    return task.result()


def _uninterrupted(
    call: Callable[..., Coroutine[Any, Any, T]],
) -> Callable[..., Coroutine[Any, Any, T]]:
    @wraps(call)
    async def whole(*args: Any, **kwargs: Any) -> T:
        return await finished(call(*args, **kwargs))

    return whole


for _name in STATEMENTS:
    setattr(Session, _name, _uninterrupted(getattr(AsyncSession, _name)))
