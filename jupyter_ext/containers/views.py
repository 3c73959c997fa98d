"""Containers and images as the document writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..devices.schemas import GpuMeasure
from .connection import NOTEBOOK, PASSWORD_VARIABLE
from .engine_types import ContainerDetail, EngineContainer, FileChange, Sample
from .fields import MEGABYTE
from .image_types import EngineImage
from .marks import NOTEBOOK as IMAGE_KIND
from .records import NOTEBOOK_IID
from .replies import (
    ChangedFile,
    ContainerDetails,
    ContainerItem,
    IdleItem,
    ImageItem,
    Measure,
    Step,
)


@dataclass(frozen=True, slots=True)
class Container:
    """What a manager hands out: the engine's side of a container, and ours.

    Parameters
    ----------
    owner
        The owner's user name.
    gpus
        The numbers of the GPUs that it was made with.
    idle
        What the rules of time say of it; None where there are none.
    """

    cid: int
    name: str
    owner: str
    device: int
    engine: EngineContainer
    iid: int | None = None
    stale_since: datetime | None = None
    startup: tuple[Step, ...] = ()
    gpus: tuple[int, ...] = ()
    idle: IdleItem | None = None

    @property
    def id(self) -> str:
        """The engine's id."""
        return self.engine.id


@dataclass(frozen=True, slots=True)
class Image:
    """What a manager hands out of an image.

    Parameters
    ----------
    owner
        The owner's user name, None where it is everybody's.
    shared_with
        Names of those whom its owner shares it with, as far as the viewer may know.
    """

    iid: int | None
    owner: str | None
    public: bool
    engine: EngineImage
    shared_with: tuple[str, ...] = ()


def moment(value: datetime | None) -> str | None:
    """A moment as RFC 3339 in UTC."""
    if value is None:
        return None
    text = value.astimezone(UTC).isoformat(timespec="microseconds" if value.microsecond else "auto")
    return text.replace("+00:00", "Z")


def container(item: Container) -> ContainerItem:
    """An entry of a list; it holds nothing that only an inspect tells."""
    engine = item.engine
    return {
        "id": engine.id,
        "cid": item.cid,
        "name": item.name,
        "status": engine.status,
        "image": engine.image,
        "iid": item.iid,
        "created_at": moment(engine.created_at),
        "owner": item.owner,
        "ports": dict(engine.ports),
        "device": item.device,
        "gpus": list(item.gpus),
        "idle": item.idle,
    }


def detail(item: Container) -> ContainerDetails:
    """Everything that is known of a container."""
    engine = item.engine
    more = engine.detail or ContainerDetail()
    ports: dict[str, int | None] = dict(engine.ports)
    for key, port in more.published.items():
        # A stopped container publishes nothing, and still has its ports.
        if ports.get(key) is None:
            ports[key] = port.host_port if port else None
    return {
        **container(item),
        "ports": ports,
        "config": {
            "command": list(more.command),
            "entrypoint": list(more.entrypoint),
            # What opens a shell is told by `connections` alone, to whoever may open one.
            "environment": {
                name: value for name, value in more.environment.items() if name != PASSWORD_VARIABLE
            },
            "working_dir": more.working_dir,
            "user": more.user,
            "labels": dict(engine.labels),
        },
        "mounts": [
            {
                "host_path": mount.source,
                "container_path": mount.target,
                "read_only": mount.read_only,
                "kind": mount.kind,
            }
            for mount in engine.mounts
        ],
        "networks": {name: {"ip": network.ip} for name, network in engine.networks.items()},
        "state": {
            "status": engine.status,
            "running": engine.running,
            "paused": engine.status == "paused",
            "exit_code": more.exit_code,
            "error": more.error,
            "oom_killed": more.oom_killed,
            "started_at": moment(more.started_at),
            "finished_at": moment(more.finished_at),
            "pid": more.pid,
            "restart_count": more.restart_count,
        },
        "health": more.health,
        "cpu": more.cpu or 0,
        "mem": (more.memory or 0) // MEGABYTE,
        "memory_bytes": more.memory or 0,
        "restart_policy": more.restart_policy,
        "startup": list(item.startup) or _startup(engine, more),
        "stale_since": moment(item.stale_since),
    }


def _startup(engine: EngineContainer, more: ContainerDetail) -> list[Step]:
    """What the engine itself remembers, of a container that was not made by this process."""
    times = (("create", engine.created_at), ("start", more.started_at))
    return [{"step": step, "at": moment(at), "seconds": None} for step, at in times if at]


def image(item: Image) -> ImageItem:
    """An image, in a list and alone."""
    engine = item.engine
    return {
        "id": engine.id,
        "iid": item.iid,
        "tags": list(engine.tags),
        "size": engine.size,
        "created_at": moment(engine.created_at),
        "owner": item.owner,
        "public": item.public,
        "shared_with": list(item.shared_with),
        "connect": item.iid == NOTEBOOK_IID or engine.labels.get(IMAGE_KIND) == NOTEBOOK,
    }


def sample(item: Sample, gpus: Sequence[GpuMeasure]) -> Measure:
    """What a container, and the GPUs that it has, used at a moment."""
    return {
        "timestamp": moment(item.at),
        "cpu_usage": round(item.cpu_usage, 2) if item.cpu_usage is not None else 0.0,
        "memory_usage": item.memory_usage,
        "memory_limit": item.memory_limit,
        "network": {"rx_bytes": item.rx_bytes, "tx_bytes": item.tx_bytes},
        "block": {"read_bytes": item.read_bytes, "write_bytes": item.write_bytes},
        "pids": item.pids,
        "gpus": [each.model_dump() for each in gpus],
    }


def file_change(item: FileChange) -> ChangedFile:
    """A file that differs from the image."""
    return {"path": item.path, "kind": item.kind, "size": item.size}
