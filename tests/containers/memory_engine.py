"""An engine of containers that lives in memory, for tests of the rules around it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from traitlets.config import LoggingConfigurable

from jupyter_ext.containers.docker_address import EngineAddress
from jupyter_ext.containers.engine_types import (
    ContainerDetail,
    ContainerSpec,
    ContainerUpdate,
    EngineContainer,
    EngineEvent,
    EngineInfo,
    EngineNetwork,
    FileChange,
    FileChanges,
    Sample,
)
from jupyter_ext.containers.image_types import EngineImage, LayerProgress, PullProgress
from jupyter_ext.containers.swarm_types import Membership
from jupyter_ext.errors import Conflict, NotFound, Unavailable

DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = EngineInfo(
    id="engine",
    name="memory",
    version="20.10",
    api_version="1.41",
    operating_system="Linux",
    architecture="x86_64",
    kernel="6",
    cpus=4,
    memory=8 << 30,
    storage_driver="memory",
    cgroup_driver="cgroupfs",
    cgroup_version="2",
    root="/nowhere/docker",
    runtimes=("runc",),
    default_runtime="runc",
    rootless=False,
    user_namespaces=False,
)


@dataclass
class Link:
    """Where the engine would be."""

    address: EngineAddress = field(default_factory=lambda: EngineAddress("unix:///nowhere/d.sock"))


class MemoryEngine(LoggingConfigurable):
    """Does what a driver does, and remembers what it was asked."""

    local = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.link = Link()
        self.containers: dict[str, EngineContainer] = {}
        self.images: dict[str, EngineImage] = {}
        self.specs: dict[str, ContainerSpec] = {}
        self.networks: list[str] = []
        self.calls: list[str] = []
        self.registry: dict[str, str] = {}
        """What can be pulled: name to the image's id."""
        self.problem: Unavailable | None = None
        self.machine = MACHINE
        self.busy_ports: set[int] = set()
        """Ports that a foreign process has."""
        self.pull_gate = asyncio.Event()
        self.pull_gate.set()
        self.pulls = 0
        self.printed: list[tuple[str, bytes]] = []
        self._listeners: list[asyncio.Queue[EngineEvent | Unavailable]] = []
        self._clock = DAY_ONE

    # -- what a test does to it ------------------------------------------------------------------

    def add_image(self, tag: str = "busybox:latest", *, digests: tuple[str, ...] = ()) -> str:
        """Put an image there as `docker import` would."""
        id_ = f"sha256:{secrets.token_hex(32)}"
        self._clock += timedelta(seconds=1)
        tags = (tag,) if tag else ()
        self.images[id_] = EngineImage(id_, tags, digests, 1000, self._clock)
        self.emit("image", "import", id_)
        return id_

    def add_container(self, name: str, image: str, labels: dict[str, str] | None = None) -> str:
        """Start a container as the plain `docker run` would."""
        spec = ContainerSpec(name=name, image=image, labels=labels or {})
        made = self._make(spec, "running")
        self.emit("container", "start", made.id)
        return made.id

    def vanish(self, id_: str, *, silently: bool = False) -> None:
        """Remove a container as `docker rm -f` would."""
        del self.containers[id_]
        if not silently:
            self.emit("container", "destroy", id_)

    def go_away(self) -> None:
        """Stop answering."""
        self.problem = Unavailable("Docker does not answer.", "Is it running?")
        for listener in self._listeners:
            listener.put_nowait(self.problem)

    def come_back(self) -> None:
        """Answer again."""
        self.problem = None

    def emit(self, kind: str, action: str, id_: str) -> None:
        """Tell of an event."""
        event = EngineEvent(kind, action, id_, {}, time.time_ns())
        for listener in self._listeners:
            listener.put_nowait(event)

    # -- the engine ------------------------------------------------------------------------------

    async def _asked(self, call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem

    async def ping(self) -> None:
        await self._asked("ping")

    async def info(self) -> EngineInfo:
        await self._asked("info")
        return self.machine

    async def membership(self) -> Membership:
        return Membership("inactive", False, "")

    async def close(self) -> None:
        self._listeners.clear()

    async def events(self, since: float | None = None) -> AsyncIterator[EngineEvent]:
        await self._asked("events")
        queue: asyncio.Queue[EngineEvent | Unavailable] = asyncio.Queue()
        self._listeners.append(queue)
        yield EngineEvent("daemon", "", "", {}, 0)
        while True:
            event = await queue.get()
            if isinstance(event, Unavailable):
                raise event
            yield event

    async def ensure_network(self, name: str) -> None:
        await self._asked("ensure_network")
        self.networks.append(name)

    # -- containers ------------------------------------------------------------------------------

    def _make(self, spec: ContainerSpec, status: str) -> EngineContainer:
        if any(item.name == spec.name for item in self.containers.values()):
            raise Conflict("container", spec.name)
        image = self._image(spec.image)
        id_ = secrets.token_hex(32)
        self._clock += timedelta(seconds=1)
        ports = {key: port.host_port if port else None for key, port in spec.ports.items()}
        made = EngineContainer(
            id=id_,
            name=spec.name,
            status=status,
            image=spec.image,
            image_id=image.id,
            created_at=self._clock,
            ports=ports,
            labels=dict(spec.labels),
            networks={spec.network or "bridge": EngineNetwork("10.0.0.2")},
            mounts=spec.mounts,
            detail=ContainerDetail(
                command=spec.command or (),
                environment=dict(spec.environment),
                user=spec.user,
                published=dict(spec.ports),
                restart_policy=spec.restart_policy,
                cpu=spec.cpu,
                memory=spec.memory,
            ),
            read_at=time.monotonic(),
        )
        self.specs[spec.name] = spec
        self.containers[id_] = made
        return made

    def _at(self, id_: str) -> EngineContainer:
        if id_ not in self.containers:
            raise NotFound("container", id_)
        return self.containers[id_]

    def _set(self, id_: str, **changes: Any) -> EngineContainer:
        changed = replace(self._at(id_), read_at=time.monotonic(), **changes)
        self.containers[id_] = changed
        return changed

    async def list_containers(self, *, mirror: bool = False) -> list[EngineContainer]:
        await self._asked("list_containers")
        now = time.monotonic()
        return [replace(item, detail=None, read_at=now) for item in self.containers.values()]

    async def inspect(self, container: str, *, mirror: bool = False) -> EngineContainer:
        await self._asked("inspect")
        return replace(self._at(container), read_at=time.monotonic())

    async def run(self, spec: ContainerSpec) -> EngineContainer:
        await self._asked("run")
        wanted = {port.host_port for port in spec.ports.values() if port}
        if taken := wanted & self.busy_ports:
            raise Conflict("port", taken.pop())
        made = self._make(spec, "running")
        self.emit("container", "create", made.id)
        self.emit("container", "start", made.id)
        return made

    async def start(self, container: str) -> bool:
        await self._asked("start")
        was = self._at(container).status
        self._set(container, status="running")
        self.emit("container", "start", container)
        return was != "running"

    async def stop(self, container: str, timeout: float = 10) -> bool:
        await self._asked(f"stop {timeout:g}")
        was = self._at(container).status
        self._set(container, status="exited")
        self.emit("container", "die", container)
        return was == "running"

    async def unpause(self, container: str) -> None:
        await self._asked("unpause")
        self._set(container, status="running")

    async def sweep(self, mark: str) -> None:
        await self._asked("sweep")

    async def release(self, container: str, since: float) -> None:
        await self._asked("release")
        self._set(container, status="running")

    async def kill(self, container: str, signal: str = "KILL") -> None:
        await self._asked("kill")
        self._set(container, status="exited")

    async def rename(self, container: str, name: str) -> None:
        await self._asked("rename")
        if any(item.name == name for item in self.containers.values()):
            raise Conflict("container", name)
        self._set(container, name=name)
        self.emit("container", "rename", container)

    async def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        await self._asked(f"remove force={force} volumes={volumes}")
        if self._at(container).running and not force:
            raise Conflict("container", container)
        del self.containers[container]
        self.emit("container", "destroy", container)

    async def update(self, container: str, change: ContainerUpdate) -> EngineContainer:
        await self._asked("update")
        detail = self._at(container).detail
        assert detail is not None
        given = {
            name: value
            for name in ("cpu", "memory", "restart_policy")
            if (value := getattr(change, name)) is not None
        }
        return self._set(container, detail=replace(detail, **given))

    # -- inside ----------------------------------------------------------------------------------

    async def logs(self, container: str, **query: Any) -> str:
        await self._asked("logs")
        self._at(container)
        return b"".join(data for _, data in self.printed).decode()

    async def follow_logs(self, container: str, **query: Any) -> AsyncIterator[tuple[str, bytes]]:
        await self._asked("follow_logs")
        for part in self.printed:
            yield part

    async def changes(self, container: str, limit: int = 10_000) -> FileChanges:
        await self._asked("changes")
        found = (FileChange("/etc/old", "deleted"), FileChange("/new", "added", 5))
        return FileChanges(found[:limit], len(found))

    async def get_archive(
        self, container: str, path: str, *, user: str = ""
    ) -> AsyncIterator[bytes]:
        await self._asked("get_archive")
        if path != "/data":
            raise NotFound("path", path, f"Docker says: no {path}")
        yield b"one"
        yield b"two"

    async def stats_once(self, container: str) -> Sample:
        await self._asked("stats_once")
        return Sample(container, datetime.now(UTC), 12.5, 1000, 2000, 1, 2, 3, 4, 5)

    # -- images ----------------------------------------------------------------------------------

    def _image(self, ref: str) -> EngineImage:
        for image in self.images.values():
            begin = image.id.removeprefix("sha256:")
            if ref in (*image.tags, *image.digests, image.id) or begin.startswith(ref):
                return image
        raise NotFound("image", ref)

    async def list_images(self) -> list[EngineImage]:
        await self._asked("list_images")
        return list(self.images.values())

    async def inspect_image(self, ref: str) -> EngineImage:
        await self._asked(f"inspect_image {ref}")
        return self._image(ref)

    async def remove_image(self, ref: str, *, force: bool = False) -> None:
        await self._asked(f"remove_image {ref}")
        image = self._image(ref)
        left = tuple(tag for tag in image.tags if tag != ref)
        if ref != image.id and left:
            self.images[image.id] = replace(image, tags=left)
        else:
            del self.images[image.id]
        self.emit("image", "delete", image.id)

    async def pull(self, name: str, tag: str = "latest") -> AsyncIterator[PullProgress]:
        await self._asked(f"pull {name} {tag}")
        self.pulls += 1
        yield PullProgress((LayerProgress("aaaaaaaaaaaa", "Downloading", 5, 10),), 0.3, "Pulling")
        await self.pull_gate.wait()
        ref = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"
        if ref not in self.registry:
            raise NotFound("image", ref, f"The image {ref} can't be pulled: not found.")
        id_ = self.registry[ref]
        known = self.images.get(id_)
        self._clock += timedelta(seconds=1)
        self.images[id_] = (
            replace(known, tags=(*known.tags, ref))
            if known
            else EngineImage(id_, (ref,), (), 2000, self._clock)
        )
        self.emit("image", "pull", ref)
        yield PullProgress((LayerProgress("aaaaaaaaaaaa", "Pull complete", 10, 10),), 1.0, "Done")
