"""Ports, folders and processes that tests use and leave nothing of."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


MEMORY = Path("/dev/shm")  # noqa: S108 - a new folder with a name nobody can guess
ROOM = 2 << 30


@contextmanager
def scratch_folder(name: str, *, in_memory: bool = False) -> Iterator[Path]:
    """A folder with a short path (Unix sockets take 107 characters), gone afterwards.

    Parameters
    ----------
    in_memory
        For what writes much and need not last: no disk, where this machine has memory to spare.
    """
    roomy = in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix=f"jx-{name}-", dir=MEMORY if roomy else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop(process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """Ask `process` to end, and after `seconds` make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    ready: Callable[[], object], what: str, seconds: float = 30, pause: float = 0.05
) -> None:
    """Return once `ready` says so.

    Raises
    ------
    TimeoutError
        It did not in time; `what` says what was awaited.
    """
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not after {seconds:g} s")
        time.sleep(pause)
