"""The Jupyter server in which this runs, as a service: it ends and comes back after its answer."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

from ..errors import Conflict
from . import logs
from .unit import State

JOURNAL_LINES = 2000

ANSWER_SECONDS = 0.5
"""That the answer gets to its reader before the server ends, even where nobody is warned."""

End = Literal["stop", "restart"]


class Host(Protocol):
    """The server, as far as its end is concerned."""

    @property
    def port(self) -> int | None:
        """Where it listens; None at a Unix socket."""

    @property
    def kernels(self) -> int:
        """How many run."""

    @property
    def hidden(self) -> Sequence[str]:
        """What must not be read in its log."""

    def obstacle(self) -> str | None:
        """Say why it can't start itself again, and what does; None where it can."""

    def end(self, *, come_back: bool) -> None:
        """End in order; with `come_back` the same process becomes the same server again."""


class Journal(logging.Handler):
    """The last lines of the server's log, in memory."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=JOURNAL_LINES)
        self._text = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        try:
            text = self._text.format(record)
        except Exception:
            self.handleError(record)
            return
        first, *more = text.splitlines() or [""]
        self.lines.append(f"{moment} {record.levelname} {record.name}: {first}"[: logs.LINE])
        self.lines.extend(line[: logs.LINE] for line in more)


class JupyterUnit:
    """The server in which all this runs.

    Parameters
    ----------
    warning
        Seconds between the warning and the end.
    warn
        Called with what to tell, and in how many seconds it comes true.
    """

    name = "jupyter"
    kind = "jupyter"

    def __init__(
        self, host: Host, journal: Journal, warning: float, warn: Callable[[str, str, float], None]
    ) -> None:
        self._host = host
        self._journal = journal
        self._warning = warning
        self._warn = warn
        self._ending: End | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The process may have been another server before.
        self._since = time.time()

    @property
    def restarts(self) -> bool:
        """Whether it ends in order to come back."""
        return self._ending == "restart"

    def state(self) -> State:
        """Return how it is, at once."""
        words = {None: "running", "stop": "stopping", "restart": "restarting"}
        return State(words[self._ending], os.getpid(), self._host.port, since=self._since)

    async def refresh(self) -> None:
        """Do nothing: it is here."""

    async def start(self) -> None:
        """Do nothing: who could be asked runs.

        Raises
        ------
        Conflict
            It is about to end.
        """
        if self._ending is not None:
            raise Conflict("service", self.name, "The server is about to end.")

    async def stop(self) -> None:
        """End, after the answer and a warning."""
        self._end("stop", "The server stops in {seconds}; its {kernels} are shut down.")

    async def restart(self) -> None:
        """End, after the answer and a warning, and come back.

        Raises
        ------
        Conflict
            Somebody else starts this server, and has to start it again.
        """
        if (obstacle := self._host.obstacle()) is not None:
            raise Conflict("service", self.name, obstacle)
        self._end("restart", "The server restarts in {seconds}; its {kernels} are shut down.")

    async def logs(self, tail: int, since: datetime | None) -> Sequence[str]:
        """Return its last lines since it was started."""
        lines = logs.since(tuple(self._journal.lines), since)[-tail:]
        hidden = list(self._host.hidden)
        # One that is as long as any was cut by the journal, perhaps amid a secret.
        return [logs.clean(line, hidden, whole=len(line) < logs.LINE) for line in lines]

    def _end(self, how: End, words: str) -> None:
        before, self._ending = self._ending, how
        seconds = max(self._warning, ANSWER_SECONDS)
        if before == how:
            return
        number = self._host.kernels
        kernels = "1 kernel" if number == 1 else f"{number} kernels"
        self._warn(how, words.format(seconds=f"{seconds:g} s", kernels=kernels), seconds)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._now)

    def _now(self) -> None:
        self._host.end(come_back=self.restarts)
