"""Containers and operations for programs on an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from . import calls
from .call import OnProgress, path, thing
from .containers import log_request
from .discovery import Server
from .events import Output, TerminalFrames, exec_parameters, log_of, terminal_frame
from .flow import Request
from .groups import AsyncGroup, AsyncMethod
from .sockets import Parameters, closing, connect_async
from .things import Thing

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncContainers(AsyncGroup):
    """Your containers."""

    list = AsyncMethod(calls.container_list)
    get = AsyncMethod(calls.container_get)
    create = AsyncMethod(calls.container_create)
    start = AsyncMethod(calls.container_start)
    stop = AsyncMethod(calls.container_stop)
    restart = AsyncMethod(calls.container_restart)
    keep = AsyncMethod(calls.container_keep)
    update = AsyncMethod(calls.container_update)
    delete = AsyncMethod(calls.container_delete)
    metrics = AsyncMethod(calls.container_metrics)
    changes = AsyncMethod(calls.container_changes)
    open = AsyncMethod(calls.container_open)
    connection = AsyncMethod(calls.container_connection)
    save = AsyncMethod(calls.container_save)
    put_archive = AsyncMethod(calls.container_put_archive)
    log_text = AsyncMethod(calls.container_log_text)

    def logs(self, ref: str | int, *, follow: bool = False, **options: Any) -> Any:
        """Return an awaitable of what a container has printed; with `follow` an async iterator.

        Parameters
        ----------
        options
            `tail` (lines), `since`, `until` (a time, or a `timedelta` before now), `timestamps`.
        """
        call = calls.container_log_text(ref, **options)
        return self._follow_logs(log_request(call)) if follow else self._client.call(call)

    async def _follow_logs(self, request: Request) -> AsyncIterator[Output]:
        async for sent in self._client.stream(request):
            output = log_of(sent)
            if output is not None:
                yield output

    def exec(
        self, ref: str | int, cmd: str | Sequence[str], *, tty: bool = False
    ) -> AsyncExecution:
        """Run a command in a container and stream what it prints; see `Containers.exec`."""
        return AsyncExecution(
            self._client.server,
            path("containers", ref, "exec"),
            exec_parameters(cmd, tty=tty),
            self._client.verify,
        )

    def get_archive(self, ref: str | int, where: str) -> AsyncIterator[bytes]:
        """Yield a file or folder of a container as a tar archive."""
        params = {"path": where}
        return self._client.download(Request("GET", path("containers", ref, "archive"), params))


class AsyncExecution:
    """A command that runs in a container.

    >>> async with client.containers.exec("web", ["ls", "-l"]) as run:
    ...     async for output in run:
    ...         print(output.text, end="")
    """

    def __init__(
        self, server: Server, where: str, parameters: Parameters, verify: bool | str
    ) -> None:
        self._opening = (server, where, parameters, verify)
        self._socket: ClientConnection | None = None
        self._frames = TerminalFrames()

    @property
    def exit_code(self) -> int | None:
        """Return the command's exit code, None while it runs."""
        return self._frames.exit_code

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _open(self) -> ClientConnection:
        if self._socket is None:
            self._socket = await connect_async(*self._opening)
        return self._socket

    async def __aiter__(self) -> AsyncIterator[Output]:
        from websockets.exceptions import ConnectionClosed

        socket = await self._open()
        while not self._frames.ended:
            try:
                output = self._frames.read(await socket.recv())
            except ConnectionClosed as error:
                if self._frames.exit_code is None:
                    raise closing(error) from None
                return
            if output is not None:
                yield output

    async def send(self, text: str) -> None:
        """Send text to its standard input."""
        await self._say("stdin", text)

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size."""
        await self._say("set_size", rows, columns, 0, 0)

    async def wait(self) -> int | None:
        """Read to the end and return the exit code."""
        async for _ in self:
            pass
        return self.exit_code

    async def end_input(self) -> None:
        """Tell it that its standard input has ended."""
        await self._say("stdin_end")

    async def _say(self, kind: str, *rest: object) -> None:
        from websockets.exceptions import ConnectionClosed

        socket = await self._open()
        try:
            await socket.send(terminal_frame(kind, *rest))
        except ConnectionClosed as error:
            raise closing(error) from None

    async def close(self) -> None:
        """Leave it; a command that still runs is hung up."""
        if self._socket is not None:
            await self._socket.close()


class AsyncOperations(AsyncGroup):
    """Long work: pulls, creations."""

    list = AsyncMethod(calls.operation_list)
    get = AsyncMethod(calls.operation_get)
    cancel = AsyncMethod(calls.operation_cancel)

    async def follow(self, ref: str, progress: OnProgress | None = None) -> Thing:
        """Wait for an operation's end and return what it made."""
        result = await self._client.follow(await self.get(ref), progress)
        return thing(result)
