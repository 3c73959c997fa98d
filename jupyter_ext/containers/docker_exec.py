"""A process in a running container, with its streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import NotFound, PlatformError
from .docker_http import EngineStream
from .docker_link import EngineLink
from .docker_logs import frames
from .docker_sockets import in_thread
from .engine_types import Stream

#: Seconds between hanging a process up and killing it.
GRACE = 2.0


class DockerExec:
    """A process in a running container.

    Leaving it hangs it up. The engine itself would let it run on for ever, since nothing tells a
    process of a container that nobody listens any more: its input ends, and where it still runs, it
    and what it has started get SIGHUP and, two seconds later, SIGKILL. That needs the engine to be
    on this machine; on others only its input ends, which is enough for shells.
    """

    def __init__(
        self,
        link: EngineLink,
        id_: str,
        container: str,
        stream: EngineStream,
        stack: ExitStack,
        tty: bool,
    ) -> None:
        self.id = id_
        self._container = container
        self._link = link
        self._stream = stream
        self._stack = stack
        self._frames: AsyncIterator[tuple[Stream, bytes]] = frames(stream, tty=tty)
        self._tty = tty
        self._closed = False
        self._ended = False

    async def read(self) -> tuple[Stream, bytes] | None:
        """Wait for what it prints next; None when it has ended or the session is closed."""
        found = await anext(self._frames, None)
        self._ended = self._ended or found is None
        return found

    async def write(self, data: bytes) -> None:
        """Send to its standard input; nothing where it has ended."""
        with contextlib.suppress(OSError):
            await self._stream.write(data)

    async def close_stdin(self) -> None:
        """Tell it that its standard input has ended."""
        if self._tty:
            # A terminal has no end; what a person types for it is Ctrl-D.
            await self.write(b"\x04")
        else:
            self._stream.end_writing()

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size; nothing where it has ended."""
        params = {"h": str(rows), "w": str(columns)}
        with contextlib.suppress(PlatformError):
            await self._link.look(
                lambda client: client.act("/exec/{0}/resize", self.id, params=params),
                ("exec", self.id),
            )

    async def exit_code(self) -> int | None:
        """Its exit code, None while it runs."""
        return (await self._inspect()).get("ExitCode")

    async def close(self) -> None:
        """Leave it: its streams end, and it is hung up where it still runs."""
        if self._closed:
            return
        self._closed = True
        ended = self._ended
        if not ended:
            await self.close_stdin()
        self._stream.close()
        self._stack.close()
        if not ended:
            self._link.chores.run(self._hang_up())

    async def __aenter__(self) -> DockerExec:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._link.look(
            lambda client: client.exec_inspect(self.id), ("exec", self.id)
        )
        return found

    async def _hang_up(self) -> None:
        if not self._link.address.local:
            return
        # A container that is gone took its processes along.
        with contextlib.suppress(PlatformError):
            await asyncio.sleep(0.1)
            found = await self._inspect()
            leader = found.get("Pid") or 0
            if not found.get("Running") or not leader:
                return
            for number in (signal.SIGHUP, signal.SIGKILL):
                # What a shell has started outlives the shell, so all that it leads are meant.
                pids = await in_thread(lambda: _session(leader, self._container))
                await self._signal(pids, number)
                await asyncio.sleep(GRACE)

    async def _signal(self, pids: list[int], number: signal.Signals) -> None:
        forbidden = []
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                forbidden.append(pid)
        if forbidden:
            await self._signal_inside(forbidden, number)

    async def _signal_inside(self, pids: list[int], number: signal.Signals) -> None:
        """Let the container's own shell send the signal, since only the engine may."""
        inside = " ".join(str(pid) for pid in map(_pid_inside, pids) if pid is not None)
        if not inside:
            return
        config = {"Cmd": ["sh", "-c", f"kill -{number.value} {inside}"], "User": "0"}
        id_ = await _create(self._link, self._container, config)
        body = json.dumps({"Detach": True}).encode()
        headers = {"Content-Type": "application/json"}
        stream = await self._link.stream(
            "POST", f"/exec/{id_}/start", ("exec", id_), headers=headers, body=body
        )
        stream.close()


def _session(leader: int, container: str) -> list[int]:
    """Return the processes of a container whose session a process leads, itself first."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # pid (name) state parent group session; the name may hold anything.
            words = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(words) > 3 and int(words[3]) == leader and _belongs(int(folder.name), container):
            found.append(int(folder.name))
    return sorted(found)


def _belongs(pid: int, container: str) -> bool:
    """Whether a process is the container's, and not another one that got its number later."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _pid_inside(pid: int) -> int | None:
    """Return a process's number as its container sees it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None


async def _create(link: EngineLink, container: str, config: Mapping[str, Any]) -> str:
    found = await link.look(
        lambda client: client.post_json("/containers/{0}/exec", container, data=config),
        ("container", container),
    )
    return str(found["Id"])


async def start_exec(
    link: EngineLink,
    container: str,
    config: Mapping[str, Any],
    size: tuple[int, int] | None,
    user: str,
) -> DockerExec:
    """Start a process in a running container and return it.

    Raises
    ------
    NotFound
        There is no such container.
    Conflict
        It does not run.
    InvalidRequest
        It has no such program.
    """
    with ExitStack() as stack:
        stack.enter_context(link.slot(user))
        id_ = await _create(link, container, config)
        tty = bool(config.get("Tty"))
        start: dict[str, Any] = {"Detach": False, "Tty": tty}
        stream = await link.stream(
            "POST",
            f"/exec/{id_}/start",
            ("exec", id_),
            headers={"Content-Type": "application/json"},
            body=json.dumps(start).encode(),
            upgrade=True,
        )
        found = await link.look(
            lambda client: client.inspect_container(container), ("container", container)
        )
        session = DockerExec(link, id_, found["Id"], stream, stack.pop_all(), tty)
    if tty and size is not None:
        with contextlib.suppress(NotFound):
            await session.resize(*size)
    return session
