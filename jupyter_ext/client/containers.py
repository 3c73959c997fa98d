"""Containers and operations for programs that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, overload

from . import calls
from .call import Call, OnProgress, path, text_of, thing
from .events import Output, TerminalFrames, exec_parameters, log_of, terminal_frame
from .flow import Request
from .groups import Group, Method
from .sockets import closing, connect
from .things import Thing


class Containers(Group):
    """Your containers."""

    list = Method(calls.container_list)
    get = Method(calls.container_get)
    create = Method(calls.container_create)
    start = Method(calls.container_start)
    stop = Method(calls.container_stop)
    restart = Method(calls.container_restart)
    keep = Method(calls.container_keep)
    update = Method(calls.container_update)
    delete = Method(calls.container_delete)
    metrics = Method(calls.container_metrics)
    changes = Method(calls.container_changes)
    open = Method(calls.container_open)
    connection = Method(calls.container_connection)
    save = Method(calls.container_save)
    put_archive = Method(calls.container_put_archive)

    @overload
    def logs(self, ref: str | int, *, follow: Literal[False] = False, **options: Any) -> str: ...

    @overload
    def logs(
        self, ref: str | int, *, follow: Literal[True], **options: Any
    ) -> Iterator[Output]: ...

    def logs(
        self, ref: str | int, *, follow: bool = False, **options: Any
    ) -> str | Iterator[Output]:
        """Return what a container has printed; with `follow` an iterator over what it prints.

        Parameters
        ----------
        options
            `tail` (lines), `since`, `until` (a time, or a `timedelta` before now), `timestamps`.
        """
        call = calls.container_log_text(ref, **options)
        return self._follow_logs(log_request(call)) if follow else self._client.call(call)

    def _follow_logs(self, request: Request) -> Iterator[Output]:
        for sent in self._client.stream(request):
            output = log_of(sent)
            if output is not None:
                yield output

    def exec(self, ref: str | int, cmd: str | Sequence[str], *, tty: bool = False) -> Execution:
        """Run a command in a container and stream what it prints.

        Parameters
        ----------
        cmd
            A text is run by the container's ``sh``, a list as it is.
        tty
            Give it a terminal; then everything it prints is ``stdout``.
        """
        return Execution(self._client, path("containers", ref, "exec"), cmd, tty=tty)

    def get_archive(self, ref: str | int, where: str) -> Iterator[bytes]:
        """Yield a file or folder of a container as a tar archive."""
        params = {"path": where}
        return self._client.download(Request("GET", path("containers", ref, "archive"), params))


class Execution:
    """A command that runs in a container.

    Iterate to get its output; afterwards `exit_code` is known.

    >>> with client.containers.exec("web", ["ls", "-l"]) as run:
    ...     for output in run:
    ...         print(output.text, end="")
    >>> run.exit_code
    0
    """

    def __init__(self, client: Any, where: str, cmd: str | Sequence[str], *, tty: bool) -> None:
        parameters = exec_parameters(cmd, tty=tty)
        self._socket = connect(client.server, where, parameters, client.verify)
        self._frames = TerminalFrames()

    @property
    def exit_code(self) -> int | None:
        """Return the command's exit code, None while it runs."""
        return self._frames.exit_code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Output]:
        from websockets.exceptions import ConnectionClosed

        while not self._frames.ended:
            try:
                output = self._frames.read(self._socket.recv())
            except ConnectionClosed as error:
                if self._frames.exit_code is None:
                    raise closing(error) from None
                return
            if output is not None:
                yield output

    def send(self, text: str) -> None:
        """Send text to its standard input."""
        self._say("stdin", text)

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size."""
        self._say("set_size", rows, columns, 0, 0)

    def wait(self) -> int | None:
        """Read to the end and return the exit code."""
        for _ in self:
            pass
        return self.exit_code

    def end_input(self) -> None:
        """Tell it that its standard input has ended."""
        self._say("stdin_end")

    def _say(self, kind: str, *rest: object) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(terminal_frame(kind, *rest))
        except ConnectionClosed as error:
            raise closing(error) from None

    def close(self) -> None:
        """Leave it; a command that still runs is hung up."""
        self._socket.close()


class Operations(Group):
    """Long work: pulls, creations."""

    list = Method(calls.operation_list)
    get = Method(calls.operation_get)
    cancel = Method(calls.operation_cancel)

    def follow(self, ref: str, progress: OnProgress | None = None) -> Thing:
        """Wait for an operation's end and return what it made."""
        result = self._client.follow(self.get(ref), progress)
        return thing(result)


def log_request(call: Call[str]) -> Request:
    """Return the request that follows a log."""
    params = {**call.parameters(), "follow": text_of(True)}
    return Request("GET", call.path, params, {"Accept": "text/event-stream"})
