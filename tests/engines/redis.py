"""A real Redis on 127.0.0.1, which servers of a team count requests in."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import require, scratch


@dataclass
class Redis:
    """A running Redis.

    Attributes
    ----------
    url
        Its address as a client takes it.
    """

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it."""
        scratch.stop(self.process)


@contextmanager
def redis() -> Iterator[Redis]:
    """Run Debian's redis-server, which keeps nothing."""
    program = require.program("redis", "redis-server")
    with scratch.scratch_folder("redis") as folder:
        port = scratch.free_port()
        options = {"port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(folder)}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (folder / "redis.log").open("wb") as log:
            process = subprocess.Popen(
                [program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        running = Redis(f"redis://127.0.0.1:{port}/0", process)
        try:
            scratch.wait_until(lambda: _listens(port), "Redis's first answer", 15)
            yield running
        finally:
            running.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
