"""How long a process has run and what memory it takes, with those that it started."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Measure:
    """Of a process.

    Parameters
    ----------
    uptime
        Seconds.
    memory
        Bytes: what is resident; of its children only what they don't share.
    """

    uptime: int
    memory: int


def measure(pids: Collection[int], own: int) -> dict[int, Measure]:
    """Return what processes take; those that are gone are left out. Blocks: it reads ``/proc``.

    Parameters
    ----------
    own
        This server's process, whose children are kernels and services and counted there.
    """
    found: dict[int, Measure] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            uptime = max(0, int(time.time() - process.create_time()))
            memory = process.memory_info().rss
            if pid != own:
                memory += sum(map(_unshared, process.children(recursive=True)))
        except psutil.Error:
            continue
        found[pid] = Measure(uptime, memory)
    return found


def listens(pid: int, port: int) -> bool:
    """Whether a process, or one that it started, listens at a port: nobody else's is trusted."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return False
    return any(port in _ports(each) for each in family)


def _unshared(process: psutil.Process) -> int:
    try:
        taken = process.memory_info()
    except psutil.Error:
        return 0
    return max(0, int(taken.rss) - int(getattr(taken, "shared", 0)))


def _ports(process: psutil.Process) -> set[int]:
    try:
        # Its name before psutil 6.
        look = getattr(process, "net_connections", None) or process.connections
        return {each.laddr.port for each in look("tcp") if each.status == psutil.CONN_LISTEN}
    except psutil.Error:
        return set()
