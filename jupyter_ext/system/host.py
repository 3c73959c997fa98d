"""Readings of the machine, or of the cgroup that limits this server."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

from ..units import size_text
from .schemas import Resources, System, Traffic

GIB = 1 << 30
MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MEMORY_USES = (
    Path("/sys/fs/cgroup/memory.current"),
    Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def operating_system() -> str:
    """Return name and version, "Debian GNU/Linux 12"."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return f"{platform.system()} {platform.release()}"
    return f"{release['NAME']} {release.get('VERSION_ID', '')}".strip()


def memory_limit(total: int) -> int | None:
    """Return the server's own limit in bytes where its cgroup sets one below `total`."""
    for path in MEMORY_LIMITS:
        text = _read(path)
        if text.isdecimal() and int(text) < total:
            return int(text)
    return None


def describe(folder: Path) -> System:
    """Return what the machine has; `folder` names the disk."""
    total = psutil.virtual_memory().total
    memory = memory_limit(total) or total
    disk = psutil.disk_usage(str(folder)).total
    return System(
        hostname=platform.node(),
        os=operating_system(),
        cpu=psutil.cpu_count() or 1,
        memory=size_text(memory),
        memory_bytes=memory,
        disk=size_text(disk),
        disk_bytes=disk,
    )


def measure(folder: Path, cpu_percent: float) -> Resources:
    """Return how busy the machine is; `cpu_percent` comes from whoever measures over time."""
    memory = psutil.virtual_memory()
    total, used = memory.total, memory.total - memory.available
    limit = memory_limit(memory.total)
    if limit is not None:
        total = limit
        used = next((int(text) for path in MEMORY_USES if (text := _read(path)).isdecimal()), used)
    interfaces = psutil.net_io_counters(pernic=True)
    return Resources(
        cpu_usage=round(cpu_percent, 1),
        memory_usage=round(used / GIB, 2),
        memory_percent=round(100 * used / total, 1),
        memory_total=round(total / GIB, 2),
        disk_usage=psutil.disk_usage(str(folder)).percent,
        network=Traffic(
            rx_bytes=sum(io.bytes_recv for name, io in interfaces.items() if name != "lo"),
            tx_bytes=sum(io.bytes_sent for name, io in interfaces.items() if name != "lo"),
        ),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
