"""Numbers of containers and GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from ..devices.schemas import GpuMeasure
from ..system.metrics import Metric
from .engine_types import EngineContainer


async def container_metrics(containers: Mapping[str, EngineContainer]) -> list[Metric]:
    """Return how many containers are in which state."""
    found = Counter(each.status for each in containers.values())
    samples = [((status,), float(number)) for status, number in sorted(found.items())]
    return [Metric("containers", "Containers by state", ("state",), samples)]


async def gpu_metrics(measures: Callable[[], list[GpuMeasure]]) -> list[Metric]:
    """Return how busy this machine's GPUs are."""
    gpus = measures()

    def metric(name: str, text: str, value: Callable[[GpuMeasure], float | None]) -> Metric:
        told = [((str(each.gid),), value(each)) for each in gpus]
        return Metric(name, text, ("gid",), [(gid, n) for gid, n in told if n is not None])

    return [
        Metric.one("gpus", "GPUs that are known", len(gpus)),
        metric(
            "gpu_utilization_ratio",
            "How busy the GPU is, from 0 to 1",
            lambda gpu: None if gpu.utilization is None else gpu.utilization / 100,
        ),
        metric("gpu_memory_used_bytes", "Memory in use", lambda gpu: gpu.memory_used),
        metric("gpu_temperature_celsius", "Temperature", lambda gpu: gpu.temperature),
        metric("gpu_power_watts", "Power draw", lambda gpu: gpu.power),
    ]
