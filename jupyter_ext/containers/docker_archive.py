"""Files in and out of a container, as tar streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .docker_link import EngineLink
from .docker_logs import require_end

PIECE = 1 << 18


async def get(link: EngineLink, container: str, path: str) -> AsyncIterator[bytes]:
    """Yield a tar of a file or folder of a container."""
    async with await link.stream(
        "GET",
        f"/containers/{container}/archive",
        ("path", path),
        params={"path": path},
        deadline=60,
    ) as stream:
        while data := await stream.read():
            yield data
        require_end(stream)


async def put(
    link: EngineLink, container: str, path: str, body: AsyncIterator[bytes] | bytes
) -> None:
    """Unpack a tar into a folder of a container."""
    pieces = _pieces(body) if isinstance(body, bytes) else body
    stream = await link.stream(
        "PUT",
        f"/containers/{container}/archive",
        ("path", path),
        params={"path": path, "noOverwriteDirNonDir": "1"},
        headers={"Content-Type": "application/x-tar"},
        body=pieces,
        deadline=None,
    )
    stream.close()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    """Yield bytes in pieces, so that the engine can refuse before it has all of them."""
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]
