"""A container's use, as the engine measures it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .docker_link import EngineLink
from .docker_parse import parse_time
from .engine_types import Sample


async def stats_once(link: EngineLink, container: str) -> Sample:
    """Measure a container through the engine, which takes one to two seconds.

    The engine measures twice for it; the first frame of a stream would have no CPU before.
    """
    subject = ("container", container)
    params = {"stream": "false"}
    path = f"/containers/{container}/stats"
    async with await link.stream("GET", path, subject, params=params) as stream:
        return read_stats(container, await stream.only_object())


def read_stats(container: str, found: Mapping[str, Any]) -> Sample:
    """Read a frame of the engine's statistics, of cgroup v1 and v2."""
    memory = found.get("memory_stats") or {}
    details = memory.get("stats") or {}
    # What can be dropped at once does not count as used, as in `docker stats`.
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (found.get("networks") or {}).values()
    read, written = _block(found.get("blkio_stats") or {})
    return Sample(
        id=found.get("id") or container,
        at=parse_time(found.get("read")) or datetime.now(UTC),
        cpu_usage=_cpu(found),
        memory_usage=max(0, (memory.get("usage") or 0) - cache),
        memory_limit=memory.get("limit") or 0,
        rx_bytes=sum(net.get("rx_bytes", 0) for net in networks),
        tx_bytes=sum(net.get("tx_bytes", 0) for net in networks),
        read_bytes=read,
        write_bytes=written,
        pids=(found.get("pids_stats") or {}).get("current") or 0,
    )


def _cpu(found: Mapping[str, Any]) -> float | None:
    now, before = found.get("cpu_stats") or {}, found.get("precpu_stats") or {}
    system, system_before = now.get("system_cpu_usage"), before.get("system_cpu_usage")
    if not system or not system_before or system <= system_before:
        return None
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    cores = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ()) or 1
    return max(0.0, 100.0 * float(cores) * float(used) / float(system - system_before))


def _block(found: Mapping[str, Any]) -> tuple[int, int]:
    read = written = 0
    for entry in found.get("io_service_bytes_recursive") or ():
        if entry["op"].lower() == "read":
            read += entry["value"]
        elif entry["op"].lower() == "write":
            written += entry["value"]
    return read, written
