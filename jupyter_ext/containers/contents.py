"""What containers print, hold and run inside: logs, files, terminals."""

from __future__ import annotations

import asyncio
import codecs
import shlex
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..api.parsing import validate
from ..api.route import Channel, Chunk, Stream, Upload
from ..errors import Conflict, InvalidRequest, NotFound, PlatformError, TooLarge
from . import views
from .access import Access
from .defaults import ContainerDefaults
from .replies import Changes, Logs, Unpacked
from .schemas import ExecQuery, LogsQuery, PathQuery
from .sessions import Sessions
from .terminal import serve_terminal
from .views import Container

if TYPE_CHECKING:
    from .engines import Engines

CHANGES = 10_000
"""Files that are listed at most."""

PIECE = 256 * 1024

# Finds a shell inside, since many images have only one of them.
SHELL = ["/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash; exec /bin/sh"]


class ContainerContents:
    """The inside of containers."""

    def __init__(self, access: Access, engines: Engines, defaults: ContainerDefaults) -> None:
        self._access = access
        self._engines = engines
        self._defaults = defaults
        self.sessions = Sessions()

    # -- logs ------------------------------------------------------------------------------------

    async def logs(self, caller: Account, ref: str, query: LogsQuery) -> Logs | Stream:
        """What a container printed; with `follow` what it goes on to print.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Unavailable
            The engine does not answer.
        """
        found = await self._access.find(caller, ref)
        if query.follow:
            return Stream(self._followed(caller, found, query))
        text = await self._engines.driver(found.id).logs(
            found.id,
            tail=query.tail,
            since=query.since,
            until=query.until,
            timestamps=query.timestamps,
        )
        return {"logs": text}

    async def _followed(
        self, caller: Account, found: Container, query: LogsQuery
    ) -> AsyncIterator[Chunk]:
        async for stream, text in self._lines(caller, found, query):
            yield Chunk({"stream": stream, "text": text}, event="log")
        yield Chunk({"ended": True}, event="end")

    async def _lines(
        self, caller: Account, found: Container, query: LogsQuery
    ) -> AsyncIterator[tuple[str, str]]:
        """Text as it comes; a letter whose bytes come in two pieces stays whole."""
        decoders: dict[str, codecs.IncrementalDecoder] = {}
        new = codecs.getincrementaldecoder("utf-8")
        source = self._engines.driver(found.id).follow_logs(
            found.id,
            tail=query.tail,
            since=query.since,
            timestamps=query.timestamps,
            user=caller.id,
        )
        async for stream, data in source:
            text = decoders.setdefault(stream, new("replace")).decode(data)
            if text:
                yield stream, text

    async def log_snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a subscription; the lines come as frames."""
        found = await self._access.find(caller, _ref(data))
        _log_query(data)
        return {"cid": found.cid}

    async def log_frames(
        self, caller: Account, data: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Everything that a container prints, for a subscription."""
        found = await self._access.find(caller, _ref(data))
        async for stream, text in self._lines(caller, found, _log_query(data)):
            yield {"cid": found.cid, "text": text, "stream": stream}
        yield {"cid": found.cid, "ended": True}

    # -- terminals -------------------------------------------------------------------------------

    async def exec(self, caller: Account, channel: Channel, ref: str, query: ExecQuery) -> None:
        """Run a command in a container, its terminal on the channel.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Conflict
            It does not run.
        InvalidRequest
            It has no such program.
        """
        found = await self._access.fresh(caller, ref)
        if found.engine.status != "running":
            raise Conflict(
                "container",
                found.name,
                f"{found.name} is {found.engine.status}. Start it, then open a terminal.",
            )
        session = await self._engines.driver(found.id).exec(
            found.id,
            _words(query.cmd),
            tty=query.tty,
            environment={"TERM": "xterm-256color"} if query.tty else {},
            size=(24, 80) if query.tty else None,
            user=caller.id,
        )
        try:
            with self.sessions.open(found.id):
                await serve_terminal(channel, session)
        finally:
            await session.close()

    # -- files -----------------------------------------------------------------------------------

    async def changes(self, caller: Account, ref: str) -> Changes:
        """Files that were added, changed or deleted since the container was made.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        """
        found = await self._access.find(caller, ref)
        changed = await self._engines.driver(found.id).changes(found.id, CHANGES)
        return {
            "total": changed.total,
            "size": sum(item.size or 0 for item in changed.items),
            "truncated": changed.total > len(changed.items),
            "items": [views.file_change(item) for item in changed.items],
        }

    async def read_archive(self, caller: Account, ref: str, query: PathQuery) -> Stream:
        """A file or folder of a container, as tar.

        Raises
        ------
        NotFound
            No such container or path.
        Forbidden
            It is a user's container with folders of the host, which the engine would read as root.
        """
        found = await self._access.find(caller, ref)
        await self._access.refuse_as_root(found)
        pieces = self._engines.driver(found.id).get_archive(found.id, query.path, user=caller.id)
        try:
            # Now, so that a path that is not there is an error and not an empty file.
            first = await anext(pieces)
        except StopAsyncIteration:
            first = b""
        except NotFound as error:
            raise NotFound("path", query.path, _reason(error, query.path)) from None
        name = query.path.rstrip("/").rpartition("/")[2] or found.name
        return Stream(
            self._bounded(first, pieces), content_type="application/x-tar", filename=f"{name}.tar"
        )

    async def _bounded(self, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[Chunk]:
        """End a file that is too long in the middle, so that no reader takes it for whole."""
        limit = self._defaults.archive_limit
        size = len(first)
        yield Chunk(first)
        async for piece in rest:
            size += len(piece)
            if size > limit:
                raise TooLarge(limit)
            yield Chunk(piece)

    async def write_archive(
        self, caller: Account, ref: str, query: PathQuery, body: Upload
    ) -> Unpacked:
        """Unpack a tar into a folder of a container.

        Raises
        ------
        NotFound
            No such container or folder.
        Forbidden
            It is a user's container with folders of the host, where the engine would write as root.
        InvalidRequest
            It is no tar, or the path no folder.
        """
        found = await self._access.find(caller, ref)
        await self._access.refuse_as_root(found)
        try:
            await self._engines.driver(found.id).put_archive(
                found.id, query.path, _pieces(body), user=caller.id
            )
        except NotFound as error:
            raise NotFound("path", query.path, _reason(error, query.path)) from None
        return {"id": found.id, "path": query.path, "size": body.size}


def _reason(error: PlatformError, path: str) -> str:
    return f"There is no {path} in the container. {error.message}"


async def _pieces(body: Upload) -> AsyncIterator[bytes]:
    while piece := body.file.read(PIECE):
        yield piece
        await asyncio.sleep(0)


def _words(command: str | None) -> list[str]:
    if command is None or not command.strip():
        return SHELL
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InvalidRequest(fields={"cmd": str(error)}) from None


def _ref(data: Mapping[str, Any]) -> str:
    ref = data.get("cid", data.get("id"))
    if not isinstance(ref, int | str) or isinstance(ref, bool):
        raise InvalidRequest(fields={"cid": "is needed"})
    return str(ref)


def _log_query(data: Mapping[str, Any]) -> LogsQuery:
    known = {name: data[name] for name in ("tail", "since", "timestamps") if name in data}
    return validate(LogsQuery, known)
