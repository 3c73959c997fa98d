"""Numbers of services."""

from __future__ import annotations

from ..system.metrics import Metric
from .manager import ServiceManager


async def service_metrics(services: ServiceManager) -> list[Metric]:
    """Return which services are up, since when, and what memory they take."""
    found = await services.measured()
    up = [((each.name,), float(each.status == "running")) for each in found]
    memory = [((each.name,), float(each.memory_bytes)) for each in found if each.memory_bytes]
    uptime = [((each.name,), float(each.uptime)) for each in found if each.uptime is not None]
    name = ("service",)
    return [
        Metric("service_up", "Whether the service runs", name, up),
        Metric("service_memory_bytes", "Resident memory of the service", name, memory),
        Metric("service_uptime_seconds", "Seconds since the service was started", name, uptime),
    ]
