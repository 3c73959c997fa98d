"""What containers print, and what happens at the engine, as streams."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .docker_http import EngineStream
from .docker_link import EngineLink
from .engine_types import Stream

_HEADER = struct.Struct(">BxxxL")


def query(
    *,
    tail: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    timestamps: bool = False,
    follow: bool = False,
) -> dict[str, str]:
    """Return the engine's words for what is wanted of a container's output."""
    params = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail)}
    if since is not None:
        params["since"] = f"{since.timestamp():.6f}"
    if until is not None:
        params["until"] = f"{until.timestamp():.6f}"
    if timestamps:
        params["timestamps"] = "1"
    if follow:
        params["follow"] = "1"
    return params


async def frames(stream: EngineStream, *, tty: bool) -> AsyncIterator[tuple[Stream, bytes]]:
    """Take an output apart: a terminal's is all of a piece, others come in frames with a head."""
    while True:
        if tty:
            if not (data := await stream.read()):
                return
            yield "stdout", data
            continue
        head = await stream.read_exactly(_HEADER.size)
        if len(head) < _HEADER.size:
            return
        number, size = _HEADER.unpack(head)
        if size:
            yield ("stderr" if number == 2 else "stdout"), await stream.read_exactly(size)


async def has_terminal(link: EngineLink, container: str) -> bool:
    """Whether a container prints to a terminal, which of older engines only an inspect tells."""
    found = await link.look(
        lambda client: client.inspect_container(container), ("container", container)
    )
    return bool(found["Config"].get("Tty"))


async def follow(
    link: EngineLink, container: str, params: Mapping[str, str]
) -> AsyncIterator[tuple[Stream, bytes]]:
    """Yield a container's output until it ends."""
    tty = await has_terminal(link, container)
    subject = ("container", container)
    path = f"/containers/{container}/logs"
    # An engine sends the head only with the first line, which may take for ever.
    async with await link.stream("GET", path, subject, params=params, deadline=None) as stream:
        async for part in frames(stream, tty=tty):
            yield part
        require_end(stream)


def require_end(stream: EngineStream) -> None:
    """Raise `Unavailable` where the engine broke off: nobody must take a part for the whole."""
    if not stream.complete:
        raise stream.failure("it broke off in the middle")


async def logs(link: EngineLink, container: str, params: Mapping[str, str], limit: int) -> str:
    """Return the end of a container's output, at most `limit` bytes of it."""
    parts: deque[bytes] = deque()
    size = 0
    async for _, data in follow(link, container, params):
        parts.append(data)
        size += len(data)
        while size - len(parts[0]) >= limit:
            size -= len(parts.popleft())
    return b"".join(parts)[-limit:].decode(errors="replace")


async def events(
    link: EngineLink, watched: Mapping[str, Sequence[str]], since: float | None
) -> AsyncIterator[dict[str, Any]]:
    """Yield the engine's events of the kinds and actions that are watched."""
    filters = {"type": list(watched), "event": sorted({a for v in watched.values() for a in v})}
    params = {"filters": json.dumps(filters)}
    if since is not None:
        params["since"] = f"{since:.9f}"
    async with await link.stream("GET", "/events", ("engine", ""), params=params) as stream:
        yield {}
        async for item in stream.objects():
            kind, action = item.get("Type", ""), item.get("Action", "").partition(":")[0]
            if action in watched.get(kind, ()):
                yield item
