"""What a crash interrupted is finished or undone, by one server, and never left running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ..errors import PlatformError, Unavailable
from .ledger import Ledger
from .records import OperationRecord
from .running import Live, Progress, Resumed
from .schemas import Operation, Problem, Recovered

Recover = Callable[[Operation, dict[str, Any]], Awaitable["str | Recovered | Resumed[Any]"]]
"""Finishes, undoes, or goes on; answers a text where it undid."""

PATIENCE = 60.0
"""Seconds that one recovery may take; a longer one is tried again later."""

INTERRUPTED = "INTERRUPTED"

_log = logging.getLogger(__name__)


class _End(Protocol):
    async def __call__(self, live: Live, ending: dict[str, Any], **more: Any) -> None: ...


class _GoOn(Protocol):
    async def __call__(
        self,
        live: Live,
        work: Callable[[Progress], Awaitable[Any]],
        present: Callable[[Any], Any],
        progress: Progress,
    ) -> None: ...


class Recovery:
    """Takes over from dead servers.

    Parameters
    ----------
    adopt
        Runs a recovery as a task of this process.
    end
        Writes how an operation ended.
    go_on
        Does what is left of one as if it had begun here.
    """

    def __init__(
        self,
        ledger: Ledger,
        adopt: Callable[[Operation, Callable[[Live, Progress], Awaitable[None]]], None],
        end: _End,
        go_on: _GoOn,
    ) -> None:
        self._ledger = ledger
        self._adopt = adopt
        self._end = end
        self._go_on = go_on
        self._handlers: dict[str, Recover] = {}

    def register(self, kind: str, recover: Recover) -> None:
        """Say how a kind is recovered."""
        self._handlers[kind] = recover

    async def take_over(self) -> None:
        """Begin to recover what dead servers left, and what could not be undone before."""
        records = {record.id: record for record in await self._ledger.due()}
        records |= {record.id: record for record in await self._ledger.take_over()}
        for record in records.values():
            _log.info("Recovering the operation %s (%s)", record.id, record.kind)
            self._adopt(record.view(), _bound(self._recover, record))

    async def _recover(self, record: OperationRecord, live: Live, progress: Progress) -> None:
        """Bring one to its end."""
        handler = self._handlers.get(record.kind)
        due = False
        outcome: str | Recovered | Resumed[Any]
        if handler is None:
            outcome = "The server stopped while this was going on."
        else:
            try:
                async with asyncio.timeout(PATIENCE):
                    outcome = await handler(record.view(), dict(record.input))
            except (Unavailable, TimeoutError, asyncio.CancelledError) as error:
                if live.interrupted is not None:
                    # This server stops as well; the next one begins again.
                    live.error = live.interrupted
                    return
                due = True
                why = str(error) or "its recovery took too long"
                outcome = f"The server stopped meanwhile. What is left of it is undone later: {why}"
            except PlatformError as error:
                outcome = f"The server stopped meanwhile, and it could not be undone: {error}"
            except Exception:
                _log.exception("The operation %s (%s) is not recovered", record.id, record.kind)
                outcome = "The server stopped meanwhile, and it could not be undone."
        if due and not live.operation.active:
            # Said already; only the attempt failed again.
            return
        if isinstance(outcome, Resumed):
            live.recovering = False
            await self._go_on(live, outcome.work, outcome.present, progress)
            return
        if isinstance(outcome, str):
            outcome = Recovered(outcome)
        await self._end(live, _ending(outcome), recovery_due=due)


def _ending(outcome: Recovered) -> dict[str, Any]:
    if outcome.succeeded:
        return {
            "state": "succeeded",
            "progress": 1.0,
            "message": outcome.message,
            "result": outcome.result,
            "error": None,
        }
    return {
        "state": "failed",
        "message": outcome.message,
        "error": Problem(code=INTERRUPTED, message=outcome.message),
    }


def _bound(
    call: Callable[[OperationRecord, Live, Progress], Awaitable[None]], record: OperationRecord
) -> Callable[[Live, Progress], Awaitable[None]]:
    return lambda live, progress: call(record, live, progress)
