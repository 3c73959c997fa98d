"""Folders for the product's own PostgreSQL clusters, and the end of what runs in them."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from . import scratch


@contextmanager
def cluster_folder(*, in_memory: bool = True) -> Iterator[Path]:
    """A folder for `JupyterExt.cluster_dir`; a cluster that is left in it is killed at the end."""
    with scratch.scratch_folder("dir", in_memory=in_memory) as folder:
        # As root the cluster belongs to another user, who must pass through.
        folder.chmod(0o711)
        try:
            yield folder
        finally:
            for pid in postmasters(folder):
                end(pid)


def end(pid: int) -> None:
    """Kill a cluster, and wait for its end."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    scratch.wait_until(partial(_gone, pid), "the end of a cluster")


def postmasters(folder: Path) -> list[int]:
    """Return the processes of the clusters below a folder that run."""
    found = []
    for file in folder.glob("*/data/postmaster.pid"):
        pid = int(file.read_text().split()[0])
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == file.parent.resolve():
                found.append(pid)
    return found


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def system_user() -> str:
    """Return to whom a cluster's files belong where the tests run."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
