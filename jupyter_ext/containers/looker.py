"""Looks at the host's files without holding anybody up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ..errors import Unavailable

SECONDS = 5.0
"""That the file system may take to say what a folder is."""

T = TypeVar("T")


class Looker:
    """Looks at the file system in threads of its own: a dead network share must hold up nobody."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "jupyter_ext-folders")

    async def __call__(self, work: Callable[..., T], *arguments: object) -> T:
        """Run `work` and wait for it.

        Raises
        ------
        Unavailable
            The file system does not answer.
        """
        loop = asyncio.get_running_loop()
        looking = loop.run_in_executor(self._threads, partial(work, *arguments))
        try:
            return await asyncio.wait_for(looking, SECONDS)
        except TimeoutError:
            raise Unavailable(
                "The file system does not answer.", "Is a network share gone?"
            ) from None

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
