"""A program that the server keeps running: started, watched, started again, found again."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from ..devices.threads import in_a_thread
from ..errors import PlatformError, Unavailable
from ..postgres.files import free_port
from ..postgres.owned_files import shorten
from ..system.schemas import Problem
from . import child as children
from . import logs, measures
from .child import Child, Record
from .unit import ALL_ACTIONS, State

THREAD = "jupyter_ext-services"

LOOK_SECONDS = 0.5

BACKOFF = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before it is started again; one that has lived for a minute begins at the first."""

STEADY = 60.0

READY_SECONDS = 45.0
"""That a program has until it listens; then it is ended, and started again."""

LARGEST_LOG = 8 << 20
KEPT_LOG = 1 << 20

_log = logging.getLogger(__name__)


class Ended(Unavailable):
    """A program ended before it listened.

    Parameters
    ----------
    said
        The last line of its log, for whoever may read that.
    """

    def __init__(self, what: str, cure: str, said: str) -> None:
        super().__init__(what, cure)
        self.said = said

    def told(self) -> Unavailable:
        """Return the same with what it said."""
        what = self.what.rstrip(".")
        told = f"{what}: {self.said}" if self.said else f"{what} without a word."
        return Unavailable(told, self.cure)


class Supervised:
    """One program that listens at a port of this machine.

    Parameters
    ----------
    command
        With ``{port}`` where its port belongs.
    secret_variable
        Of its environment, in which it finds a secret that others of this machine don't know.
    folder
        In which it starts.
    place
        Folder of what is remembered of it, and of its log.
    cure
        How to install it.
    ready_seconds
        That it has until it listens.
    """

    kind = "process"

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        secret_variable: str,
        folder: Path,
        place: Path,
        cure: str,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._secret_variable = secret_variable
        self._folder = folder
        self._place = place
        self._record_file = place / f"{name}.json"
        self.log = place / f"{name}.log"
        self._cure = cure
        self._ready_seconds = ready_seconds
        self._record = Record()
        self._ready = False
        self._installed = False
        self._problem: Problem | None = None
        self._changing = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    @property
    def child(self) -> Child | None:
        """Its process, where it runs and listens."""
        found = self._record.child
        return found if self._ready and found is not None and found.alive() else None

    def state(self) -> State:
        """Return how it is, at once."""
        found = self._record.child
        if found is not None and found.alive():
            if self._ready:
                return State("running", found.pid, found.port, opens=True)
            # Why it did not come up the last time.
            return State("starting", found.pid, found.port, problem=self._problem)
        if self._record.wanted:
            status = "failed" if self._problem is not None else "starting"
            return State(status, problem=self._problem)
        if not self._installed:
            missing = Problem(service=self.name, what=self._missing, cure=self._cure)
            return State("not_installed", problem=missing, actions=("start",))
        return State("stopped", actions=ALL_ACTIONS)

    async def refresh(self) -> None:
        """Look whether its program is installed; its process is watched."""
        self._installed = await in_a_thread(self._look, THREAD)

    # -- life ------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Find what an earlier server left running, or start again what it had running."""
        if self._watching is None:
            self._record = await in_a_thread(partial(Record.read, self._record_file), THREAD)
            await self.refresh()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def end(self, *, leave: bool) -> None:
        """Watch no more.

        Parameters
        ----------
        leave
            Let it run, for the server that comes next; otherwise that one starts it again.
        """
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        found = self._record.child
        if found is not None and not leave:
            await in_a_thread(partial(children.end, found), THREAD)

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises
        ------
        Unavailable
            It is not installed, or does not listen in time.
        Ended
            It ended before it listened.
        """
        await self._need()
        async with self._changing:
            await self._remember(wanted=True)
            try:
                await self._run()
            except PlatformError:
                if not self._record.child:
                    await self._remember(wanted=False)
                raise

    async def stop(self) -> None:
        """Stop it with all that it has started.

        Raises
        ------
        Unavailable
            It does not end.
        """
        async with self._changing:
            await self._remember(wanted=False)
            self._problem = None
            await self._halt()

    async def restart(self) -> None:
        """Stop it where it runs, and start it."""
        await self._need()
        async with self._changing:
            await self._remember(wanted=True)
            await self._halt()
            await self._run()

    async def logs(self, tail: int, since: datetime | None) -> Sequence[str]:
        """Return the end of its log."""
        found = self._record.child
        known = [found.secret] if found is not None else []
        return await in_a_thread(partial(logs.read, self.log, tail, since, known), THREAD)

    # -- inside ----------------------------------------------------------------------------------

    def _look(self) -> bool:
        return bool(self._command) and shutil.which(self._command[0]) is not None

    async def _need(self) -> None:
        await self.refresh()
        if not self._installed:
            raise Unavailable(self._missing, self._cure)

    @property
    def _missing(self) -> str:
        program = self._command[0] if self._command else "Its program"
        return f"{program} is not installed on this machine."

    async def _remember(self, *, wanted: bool, ended: Child | None = None) -> None:
        """Write down whether it shall run, and that a process of it has ended."""
        self._record = await in_a_thread(partial(self._note, wanted, ended), THREAD)

    def _note(self, wanted: bool, ended: Child | None) -> Record:
        with self._alone():
            # Another server of this home may have started it in the meantime.
            there = Record.read(self._record_file).child or self._record.child
            record = Record(wanted, None if there == ended else there)
            record.write(self._record_file)
            return record

    async def _halt(self) -> None:
        """End its process; whoever calls holds the lock."""
        found = self._record.child
        if found is None:
            return
        self._ready = False
        if not await in_a_thread(partial(children.end, found), THREAD):
            raise Unavailable(f"{self.name} (process {found.pid}) does not end.", "Try again.")
        await self._remember(wanted=self._record.wanted, ended=found)

    async def _run(self) -> None:
        """See that it runs and listens; whoever calls holds the lock."""
        try:
            if self._record.child is None or not self._record.child.alive():
                self._ready = False
                self._record = await in_a_thread(self._spawn, THREAD)
            await self._await_port()
            self._problem = None
        except Unavailable as error:
            # Everybody reads it, so it has no line of the log.
            self._problem = Problem(
                service=self.name, what=error.what, cure=f"`pig logs {self.name}` says more."
            )
            raise

    def _spawn(self) -> Record:
        left = Record.read(self._record_file).child
        if left is not None and not left.alive() and not children.end(left):
            # They would go on with its files and its port.
            raise Unavailable(f"What {self.name} left running does not end.", "Try again.")
        with self._alone():
            # Another one may be ahead.
            there = Record.read(self._record_file)
            if there.child is not None and there.child.alive():
                return Record(True, there.child)
            last = there.child.port if there.child else 0
            port, secret = free_port(last), secrets.token_hex(32)
            command = [part.replace("{port}", str(port)) for part in self._command]
            environment: Mapping[str, str] = {self._secret_variable: secret}
            try:
                held = children.spawn(
                    command,
                    folder=self._folder,
                    environment=environment,
                    log=self.log,
                    port=port,
                    secret=secret,
                )
            except OSError as error:
                raise Unavailable(f"{self.name} can't be started: {error}.", "") from error
            record = Record(True, held.child)
            try:
                record.write(self._record_file)
            except OSError:
                held.give_up()
                raise
            held.release()
            return record

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from starting it, or writing of it, at the same time: moments.

        Raises
        ------
        Unavailable
            What is remembered of it can't be written.
        """
        try:
            self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._place / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise Unavailable(
                f"{error.filename or self._place} can't be written: {error.strerror}.",
                "Is the disk full?",
            ) from error

    async def _await_port(self) -> None:
        found = self._record.child
        if found is None or self._ready:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self._ready_seconds
        while loop.time() < until:
            if not found.alive():
                said = await self._last_words()
                raise Ended(f"{self.name} ended.", f"Its log is {self.log}.", said)
            if await in_a_thread(partial(measures.listens, found.pid, found.port), THREAD):
                self._ready = True
                return
            await asyncio.sleep(0.1)
        ended = await in_a_thread(partial(children.end, found), THREAD)
        raise Unavailable(
            f"{self.name} did not listen at port {found.port} of 127.0.0.1 within "
            f"{self._ready_seconds:g} s{' and was ended' if ended else ', and does not end'}.",
            f"Its log is {self.log}.",
        )

    async def _last_words(self) -> str:
        said = list(await self.logs(1, None))
        return said[0][:200] if said else ""

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        attempt, since, looked = 0, loop.time(), 0.0
        while True:
            found = self._record.child
            if self._record.wanted and not (self._ready and found is not None and found.alive()):
                died = self._ready
                try:
                    async with self._changing:
                        if self._record.wanted:
                            if died:
                                said = await self._last_words()
                                _log.warning("%s ended; it is started again. %s", self.name, said)
                            await self._run()
                            since = loop.time()
                except PlatformError as error:
                    _log.warning("%s", error.told() if isinstance(error, Ended) else error)
                except Exception:
                    _log.exception("%s could not be looked after", self.name)
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1
                continue
            if loop.time() - since > STEADY:
                attempt = 0
            if loop.time() - looked > STEADY:
                looked = loop.time()
                await in_a_thread(self._shorten, THREAD)
            await asyncio.sleep(LOOK_SECONDS)

    def _shorten(self) -> None:
        """Keep the end of a long log; the program goes on writing behind it."""
        try:
            shorten(self.log, LARGEST_LOG, KEPT_LOG)
        except OSError as error:
            _log.debug("%s could not be shortened: %s", self.log, error)
