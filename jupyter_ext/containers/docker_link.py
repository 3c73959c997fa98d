"""What all calls of one engine share: its address, threads, breaker, version and streams."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote, urlencode

from ..errors import PlatformError, Unavailable
from .breaker import Breaker
from .chores import Chores
from .docker_address import EngineAddress
from .docker_errors import EngineFault, translate, unavailable
from .docker_http import EngineStream, open_stream
from .docker_sockets import make_dialer
from .engine import EngineThreads
from .slots import StreamSlots

if TYPE_CHECKING:
    from .docker_client import EngineClient

T = TypeVar("T")
P = ParamSpec("P")

#: The newest version of the Engine API that this was written for, and the oldest that it can use.
NEWEST_API = (1, 45)
OLDEST_API = (1, 24)


class EngineLink:
    """The way to one engine.

    Calls of different kinds have threads of their own, so that none waits behind slower ones.

    Parameters
    ----------
    actors, readers
        Threads for the two kinds of calls, at most.
    deadline
        Seconds that a call which only looks may take.
    patience, ping_deadline
        Seconds until a slow call makes the engine doubted, and that its sign of life may take: the
        sum is how long anybody waits for an engine that hangs.
    streams_per_user
        Streams that a user may have open at once.
    """

    def __init__(
        self,
        address: EngineAddress,
        *,
        actors: int = 8,
        readers: int = 4,
        deadline: float = 10.0,
        patience: float = 1.5,
        ping_deadline: float = 2.0,
        streams_per_user: int = 64,
    ) -> None:
        self.address = address
        self.dialer = make_dialer(address)
        self.deadline = deadline
        self.breaker = Breaker(self._ping, self._refusal, deadline=ping_deadline)
        self._version: tuple[int, int] | None = None

        def lane(name: str, workers: int) -> EngineThreads[EngineClient]:
            return EngineThreads(
                f"docker-{name}", self._client, self.breaker, workers=workers, patience=patience
            )

        self._readers = lane("look", readers)
        self._actors = lane("act", actors)
        # A stop waits for the container, for as long as it likes, and holds nothing up meanwhile.
        self._waiters = lane("wait", actors * 4)
        # While a container starts, the engine answers nobody who asks about it. The mirror asks
        # about all that start; in threads of its own it keeps no person waiting.
        self._followers = lane("mirror", actors)
        self._lanes = (self._readers, self._actors, self._waiters, self._followers)
        self.engine_time: float | None = None
        self.slot = StreamSlots(streams_per_user)
        self.chores = Chores(address.url, self.breaker)

    # -- what it knows

    @property
    def version(self) -> str:
        """The version of the API that the engine and we agreed on."""
        major, minor = self._version or OLDEST_API
        return f"{major}.{minor}"

    @property
    def threads(self) -> int:
        """How many threads calls have now."""
        return sum(lane.threads for lane in self._lanes)

    @property
    def streams(self) -> int:
        """How many streams of users are open."""
        return self.slot.open

    # -- calls

    async def look(
        self,
        work: Callable[Concatenate[EngineClient, P], T],
        subject: tuple[str, str],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a call that changes nothing.

        Parameters
        ----------
        subject
            What the call is about, for the error: ``("container", "a1b2…")``.
        """
        return await self._call(self._readers, self.deadline, work, subject, *args, **kwargs)

    async def follow(
        self,
        work: Callable[Concatenate[EngineClient, P], T],
        subject: tuple[str, str],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a call of the mirror's."""
        return await self._call(self._followers, self.deadline, work, subject, *args, **kwargs)

    async def act(
        self,
        work: Callable[Concatenate[EngineClient, P], T],
        subject: tuple[str, str],
        deadline: float,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a call that changes something and may take `deadline` seconds."""
        return await self._call(self._actors, deadline, work, subject, *args, **kwargs)

    async def wait(
        self,
        work: Callable[Concatenate[EngineClient, P], T],
        subject: tuple[str, str],
        deadline: float,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a call that waits for a container to end."""
        return await self._call(self._waiters, deadline, work, subject, *args, **kwargs)

    async def _call(
        self,
        threads: EngineThreads[EngineClient],
        deadline: float,
        work: Callable[Concatenate[EngineClient, P], T],
        subject: tuple[str, str],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            if self._version is None:
                self.breaker.check()
                await self.ping()
            return await threads.call(work, deadline, *args, **kwargs)
        except PlatformError:
            raise
        except Exception as error:
            raise self.explain(error, subject) from error

    def explain(self, error: Exception, subject: tuple[str, str]) -> Exception:
        """Return our word for what a call or stream raised; what is not the engine's stays."""
        # The library is there where its errors are; elsewhere it need not be loaded for this.
        fault: EngineFault | OSError | None
        if isinstance(error, EngineFault | OSError) and not hasattr(error, "request"):
            fault = error
        else:
            from .docker_client import fault_of

            fault = fault_of(error)
        if isinstance(fault, EngineFault):
            return translate(fault, *subject)
        if isinstance(fault, OSError):
            return self._refusal(str(fault) or "does not answer")
        return error

    def _client(self) -> EngineClient:
        # In a thread, since loading the library takes a while.
        from .docker_client import EngineClient

        return EngineClient(self.dialer, lambda: self.version)

    def _refusal(self, reason: str) -> Unavailable:
        return unavailable(self.address, reason)

    # -- streams

    async def stream(
        self,
        method: str,
        path: str,
        subject: tuple[str, str],
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        upgrade: bool = False,
        deadline: float | None = 10.0,
    ) -> EngineStream:
        """Open a stream; it uses none of the threads and is the caller's to close."""
        self.breaker.check()
        try:
            if self._version is None:
                await self.ping()
            query = f"?{urlencode(params)}" if params else ""
            opening = asyncio.ensure_future(
                open_stream(
                    self.dialer,
                    method,
                    f"/v{self.version}{quote(path)}{query}",
                    headers=headers,
                    body=body,
                    upgrade=upgrade,
                    deadline=deadline,
                )
            )
            stream = await self._doubting(opening)
        except PlatformError:
            raise
        except Exception as error:
            raise self.explain(error, subject) from error
        stream.failure = lambda words: self.explain(EngineFault(0, words), subject)
        return stream

    async def _doubting(self, opening: asyncio.Future[EngineStream]) -> EngineStream:
        """Wait for a stream's head; a slow one makes the engine doubted, as a slow call does."""
        try:
            while True:
                done, _ = await asyncio.wait((opening,), timeout=1.5)
                if done:
                    return opening.result()
                if not await self.breaker.alive():
                    raise TimeoutError
        finally:
            if not opening.done():
                opening.cancel()

    # -- signs of life

    async def ping(self) -> None:
        """Ask for a sign of life and agree on a version.

        Raises
        ------
        Unavailable
            There is none, or the engine is too old.
        """
        try:
            await self.dialer.prepare()
            async with asyncio.timeout(self.breaker.deadline):
                await self._ping()
        except TimeoutError as error:
            self.breaker.trip("does not answer")
            raise self._refusal("does not answer") from error
        except EngineFault as error:
            # Whoever refuses even this is no engine, or one that is spoken to in the wrong way.
            raise self._refusal(error.message) from error
        except OSError as error:
            raise self._refusal(str(error) or "does not answer") from error
        self.breaker.mend()

    async def _ping(self) -> None:
        stream = await open_stream(self.dialer, "GET", "/_ping", deadline=None)
        stream.close()
        self._version = self._agree(stream.headers.get("api-version", ""))
        with contextlib.suppress(ValueError):
            # The engine's own clock, cut to its second: events are asked for by it.
            self.engine_time = parsedate_to_datetime(stream.headers.get("date", "")).timestamp()

    def _agree(self, theirs: str) -> tuple[int, int]:
        found = re.fullmatch(r"(\d+)\.(\d+)", theirs)
        version = min((int(found[1]), int(found[2])), NEWEST_API) if found else OLDEST_API
        if version < OLDEST_API:
            raise Unavailable(f"Docker at {self.address.url} is too old.", "Update it.")
        return version

    async def close(self) -> None:
        """End all that runs."""
        await self.chores.close()
        for lane in self._lanes:
            await lane.close()
        await self.breaker.close()
        self.dialer.close()
        # Closed connections are given up in the loop's next round.
        await asyncio.sleep(0)
