"""Which parts of the desk have numbers for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .containers.metrics import container_metrics, gpu_metrics
from .operations.metrics import operation_metrics
from .services.metrics import service_metrics
from .snapshots.metrics import snapshot_metrics
from .system.metrics import Source

if TYPE_CHECKING:
    from .assembly import Desk


def sources(desk: Desk) -> Mapping[str, Source]:
    """Return them by name."""
    return {
        "status": desk.system.metrics,
        "services": lambda: service_metrics(desk.rooms.manager),
        "databases": desk.postgres.metrics,
        "backups": desk.postgres.backup_metrics,
        "snapshots": lambda: snapshot_metrics(desk.store),
        "operations": lambda: operation_metrics(desk.store),
        "containers": lambda: container_metrics(desk.containers.engines.containers),
        "gpus": lambda: gpu_metrics(desk.gpu_watch.measures),
        "loop": desk.loop_lag.metrics,
    }
