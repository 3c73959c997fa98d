"""Building an image from a recipe, by the builder that every engine has in itself."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from ..errors import Conflict
from .docker_link import EngineLink
from .docker_logs import require_end
from .image_types import BuildProgress

LAST_LINES = 15
"""Of a step's output, in the error where it fails."""

_USUAL = (
    "The base must be of Debian's family, with apt, and the engine must reach its packages and "
    "PyPI."
)
_NO_ROOM = "Docker's disk is full: make room, for example with `docker system prune`."

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_ENGINES_OWN = re.compile(r" ---> |Removing intermediate container ")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


async def build(
    link: EngineLink, recipe: Path, arguments: Mapping[str, str], *, fresh: bool
) -> AsyncGenerator[BuildProgress, None]:
    """Build an image and yield each line of it; ends when the image is there, still without a name.

    The engine goes on only while this is read.

    Parameters
    ----------
    recipe
        A folder with a Dockerfile and what it copies.
    arguments
        Its build arguments.
    fresh
        Whether the engine shall do every step again, and not take what an earlier build left.

    Raises
    ------
    Conflict
        A step failed; names it and the end of its output.
    Unavailable
        The engine does not answer.
    """
    params = {
        "buildargs": json.dumps(dict(arguments)),
        "nocache": str(fresh).lower(),
        # Containers of steps that failed go, too.
        "rm": "true",
        "forcerm": "true",
    }
    told = _Told()
    async with await link.stream(
        "POST",
        "/build",
        ("image", recipe.name),
        params=params,
        headers={"Content-Type": "application/x-tar"},
        body=packed(recipe),
        deadline=None,
    ) as stream:
        async for item in stream.objects():
            if "error" in item:
                raise told.failure(recipe.name, str(item["error"]))
            for progress in told.read(str(item.get("stream", ""))):
                yield progress
            if image := (item.get("aux") or {}).get("ID"):
                yield told.made(str(image))
        require_end(stream)


def packed(recipe: Path) -> bytes:
    """Return a recipe's files as a tar that is the same wherever they are installed.

    It ends where the format says, without the usual filling: an engine that has not read all of a
    request does not notice that its client goes away, and would build on.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in sorted(path for path in recipe.iterdir() if path.is_file()):
            info = tarfile.TarInfo(file.name)
            content = file.read_bytes()
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
        end = tar.offset
    return buffer.getvalue()[: end + 2 * tarfile.BLOCKSIZE]


class _Told:
    """What the engine has told of a build so far."""

    def __init__(self) -> None:
        self._step = self._steps = 0
        self._instruction = ""
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._pending = ""

    def read(self, text: str) -> list[BuildProgress]:
        """Take in a piece of text, which may end anywhere; return its whole lines."""
        *lines, self._pending = (self._pending + text).split("\n")
        return [self._line(_ESCAPES.sub("", line).rstrip()) for line in lines if line.strip()]

    def _line(self, line: str) -> BuildProgress:
        if found := _STEP.match(line):
            self._step, self._steps = int(found[1]), int(found[2])
            self._instruction = " ".join(found[3].split())
            self._last.clear()
        elif not _ENGINES_OWN.match(line):
            self._last.append(line)
        return BuildProgress(self._step, self._steps, self._instruction, line)

    def made(self, image: str) -> BuildProgress:
        """Tell that the image is there."""
        return BuildProgress(self._step, self._steps, self._instruction, image=image)

    def failure(self, image: str, words: str) -> Conflict:
        """Say which step failed and how."""
        self.read("\n")
        where = "before its first step"
        if self._step:
            where = f"at step {self._step} of {self._steps} ({shortened(self._instruction)})"
        output = "".join(f"\n  {line}" for line in self._last)
        cure = _NO_ROOM if "no space left on device" in words + output else _USUAL
        said = f"The image can't be built: it failed {where}: {words.strip().rstrip('.')}. {cure}"
        return Conflict(
            "image", image, f"{said} The end of its output:{output}" if output else said
        )


def shortened(instruction: str, length: int = 80) -> str:
    """Return the beginning of a long instruction."""
    return instruction if len(instruction) <= length else f"{instruction[: length - 1]}…"
