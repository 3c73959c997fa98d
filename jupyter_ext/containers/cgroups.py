"""What containers use, read from this machine's cgroup files (v1 and v2)."""

from __future__ import annotations

import os
import resource
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

#: A limit above this is how cgroup v1 says that there is none.
_NO_LIMIT = 1 << 62

#: A container's files in the order of `_Group.read`: CPU, memory, what of it is cache, its limit,
#: disks, number and ids of processes. Each has its controller in v1, and how much of it is read.
_VERSION_1 = (
    ("cpuacct", "cpuacct.usage", 32),
    ("memory", "memory.usage_in_bytes", 32),
    ("memory", "memory.stat", 8192),
    ("memory", "memory.limit_in_bytes", 32),
    ("blkio", "blkio.throttle.io_service_bytes_recursive", 8192),
    ("pids", "pids.current", 32),
    ("memory", "cgroup.procs", 32),
)
_VERSION_2 = (
    ("", "cpu.stat", 512),
    ("", "memory.current", 32),
    ("", "memory.stat", 8192),
    ("", "memory.max", 32),
    ("", "io.stat", 8192),
    ("", "pids.current", 32),
    ("", "cgroup.procs", 32),
)

#: Files that are kept open at most; opening one takes eight times as long as reading it.
_KEPT_OPEN = 3500


@dataclass(frozen=True, slots=True)
class Target:
    """A running container to be measured.

    Parameters
    ----------
    pid
        Its first process where that is known; tells the way where its files are in no usual place.
    parent
        The cgroup that it was put below on request.
    own_network
        Whether its network is not the machine's.
    """

    id: str
    pid: int = 0
    parent: str = ""
    own_network: bool = True


@dataclass(frozen=True, slots=True)
class Counters:
    """What a container has used since its start, and what it uses now; `cpu` in nanoseconds."""

    cpu: int
    memory: int
    limit: int
    rx: int
    tx: int
    read: int
    written: int
    pids: int


class _Group:
    """A container's files, kept open."""

    __slots__ = ("_files", "path")

    def __init__(self, root: str, path: str, version: int) -> None:
        self.path = path
        self._files: list[tuple[int, int]] = []
        try:
            for controller, name, size in _VERSION_1 if version == 1 else _VERSION_2:
                file = f"{root}/{controller}/{path}/{name}"
                self._files.append((_open(file, needed=not self._files), size))
        except OSError:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """Read all; raises `OSError` where the container has ended since."""
        return [os.pread(fd, size, 0) if fd >= 0 else b"" for fd, size in self._files]

    def close(self) -> None:
        for fd, _ in self._files:
            if fd >= 0:
                os.close(fd)
        self._files.clear()


class CgroupReader:
    """Reads cgroup files; made for one thread at a time.

    Parameters
    ----------
    root, proc
        Where the kernel's files are mounted.
    """

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        self._root = str(root)
        self._proc = str(proc)
        self.version = 2 if (root / "cgroup.controllers").exists() else 1
        # Where the container was found that was looked for last; others are most likely there.
        self._usual = ["docker/{}", "system.slice/docker-{}.scope"]
        self._groups: dict[str, _Group] = {}
        self._machine = _field(_slurp(f"{self._proc}/meminfo"), b"MemTotal:") * 1024
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # A quarter is ours at most: the server needs files for its own connections.
        self._kept = min(_KEPT_OPEN, soft // 4) // len(_VERSION_1)

    def sweep(self, targets: Iterable[Target]) -> dict[str, Counters]:
        """Measure containers; one that is gone or can't be read is left out."""
        measured: dict[str, Counters] = {}
        for target in targets:
            counters = self.measure(target)
            if counters is not None:
                measured[target.id] = counters
        return measured

    def measure(self, target: Target) -> Counters | None:
        """Measure one container, None where its files can't be found or read."""
        known = self._groups.get(target.id)
        if known is not None:
            if (counters := self._counters(known, target)) is not None:
                return counters
            self.forget(target.id)
        for path in self._places(target):
            try:
                group = _Group(self._root, path, self.version)
            except OSError:
                continue
            counters = self._counters(group, target)
            if counters is not None and len(self._groups) < self._kept:
                self._groups[target.id] = group
            else:
                group.close()
            if counters is not None:
                return counters
        return None

    def keep_only(self, containers: Container[str]) -> None:
        """Close the files of all other containers."""
        for id_ in [id_ for id_ in self._groups if id_ not in containers]:
            self.forget(id_)

    def forget(self, container: str) -> None:
        """Close a container's files."""
        if (group := self._groups.pop(container, None)) is not None:
            group.close()

    def close(self) -> None:
        """Close all files."""
        self.keep_only(())

    # -- where

    def _places(self, target: Target) -> Iterable[str]:
        id_ = target.id
        if target.parent:
            parent = target.parent.strip("/")
            yield f"{parent}/{id_}"
            if parent.endswith(".slice"):
                yield f"{_slice_path(parent)}/docker-{id_}.scope"
        for usual in self._usual:
            yield usual.format(id_)
        path = self._path_of_process(target)
        if path:
            usual = path.replace(id_, "{}")
            if usual not in self._usual and "{" not in path:
                self._usual.insert(0, usual)
            yield path

    def _path_of_process(self, target: Target) -> str:
        """Return the container's path as the kernel tells it of its first process."""
        if not target.pid:
            return ""
        wanted = "" if self.version == 2 else "memory"
        for line in _slurp(f"{self._proc}/{target.pid}/cgroup").decode().splitlines():
            _, controllers, path = line.split(":", 2)
            if wanted in controllers.split(",") and target.id in path:
                # Processes may be in groups below the container's own.
                parts = path.strip("/").split("/")
                last = max(n for n, part in enumerate(parts) if target.id in part)
                return "/".join(parts[: last + 1])
        return ""

    # -- what

    def _counters(self, group: _Group, target: Target) -> Counters | None:
        try:
            cpu, memory, stat, limit, blocks, pids, procs = group.read()
            if self.version == 1:
                used, cache, disks = int(cpu), b"total_inactive_file ", _disks_1(blocks)
            else:
                used, cache, disks = (
                    _field(cpu, b"usage_usec ") * 1000,
                    b"\ninactive_file ",
                    _disks_2(blocks),
                )
            network = self._network(procs, target) if target.own_network else (0, 0)
            return Counters(
                used,
                max(0, int(memory or 0) - _field(stat, cache)),
                self._limit(limit.strip()),
                *network,
                *disks,
                int(pids or 0),
            )
        except (OSError, ValueError, IndexError):
            return None

    def _limit(self, text: bytes) -> int:
        limit = int(text) if text.isdigit() else 0
        return limit if 0 < limit < min(_NO_LIMIT, self._machine or _NO_LIMIT) else self._machine

    def _network(self, procs: bytes, target: Target) -> tuple[int, int]:
        """Count what passed the container's own interfaces, as one of its processes sees them.

        This file is not kept open: that would keep the network of a stopped container alive.
        """
        pid = procs.partition(b"\n")[0].decode() or str(target.pid)
        rx = tx = 0
        for line in _slurp(f"{self._proc}/{pid}/net/dev").splitlines()[2:]:
            name, _, numbers = line.partition(b":")
            words = numbers.split()
            if name.strip() != b"lo" and len(words) > 8:
                rx += int(words[0])
                tx += int(words[8])
        return rx, tx


def _open(path: str, *, needed: bool) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # Without CPU it is no container's group; a kernel may lack any other controller.
        if needed:
            raise
        return -1


def _slurp(path: str) -> bytes:
    fd = _open(path, needed=False)
    if fd < 0:
        return b""
    try:
        return os.read(fd, 16384)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _disks_1(text: bytes) -> tuple[int, int]:
    read = written = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == b"Read":
            read += int(words[2])
        elif len(words) == 3 and words[1] == b"Write":
            written += int(words[2])
    return read, written


def _disks_2(text: bytes) -> tuple[int, int]:
    words = text.split()
    read = sum(int(word[7:]) for word in words if word.startswith(b"rbytes="))
    return read, sum(int(word[7:]) for word in words if word.startswith(b"wbytes="))


def _field(text: bytes, name: bytes) -> int:
    """Return the number after a name; 0 where there is none."""
    at = text.find(name)
    if at < 0:
        return 0
    return int(text[at + len(name) : at + len(name) + 40].split(None, 1)[0])


def _slice_path(name: str) -> str:
    """Return the path of a systemd slice: ``a-b.slice`` lies in ``a.slice``."""
    parts = name.removesuffix(".slice").split("-")
    return "/".join(f"{'-'.join(parts[: n + 1])}.slice" for n in range(len(parts)))
