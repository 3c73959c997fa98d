"""Docker's driver: containers, and the way to all else that the engine does."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from traitlets import Float, Integer, Unicode
from traitlets.config import LoggingConfigurable

from . import (
    docker_archive,
    docker_build,
    docker_files,
    docker_flatten,
    docker_images,
    docker_logs,
    docker_networks,
    docker_remake,
    docker_run,
    docker_swarm,
)
from .docker_address import EngineAddress, find_address
from .docker_exec import DockerExec, start_exec
from .docker_link import EngineLink
from .docker_parse import inspected_container, listed_container, read_event, read_info
from .docker_stats import stats_once
from .engine_types import (
    ContainerSpec,
    ContainerUpdate,
    EngineContainer,
    EngineEvent,
    EngineInfo,
    FileChanges,
    Sample,
    Stream,
)
from .image_types import (
    BuildProgress,
    EngineImage,
    FlattenProgress,
    PullProgress,
    RegistryLogin,
)
from .swarm_types import Membership, SwarmNode, SwarmTask

if TYPE_CHECKING:
    from .docker_client import EngineClient

#: Events that change what the mirror shows; `exec_*` and its like stay at the engine.
WATCHED = {
    "container": [
        *("create", "start", "die", "destroy", "pause", "unpause", "restart"),
        *("rename", "update", "oom", "health_status", "commit"),
    ],
    "image": ["pull", "tag", "untag", "delete", "import", "load"],
    "network": ["connect", "disconnect"],
    "node": ["create", "update", "remove"],
}


class DockerDriver(LoggingConfigurable):
    """One Docker engine.

    Every call has a deadline and raises `Unavailable` with its cure where the engine does not
    answer; an engine that hangs costs a caller less than five seconds.
    """

    address = Unicode(
        "",
        help="Address of the engine: unix:///path, tcp://host:port or ssh://user@host. "
        "Empty: as the docker command finds it (DOCKER_HOST, contexts, sockets).",
    ).tag(config=True)
    workers = Integer(
        8, min=1, help="Threads for calls that change something (create, start, stop, remove)."
    ).tag(config=True)
    readers = Integer(4, min=1, help="Threads for calls that only look (list, inspect).").tag(
        config=True
    )
    deadline = Float(10.0, help="Seconds that a call which only looks may take.").tag(config=True)
    action_deadline = Float(
        60.0,
        help="Seconds that a call which changes something may take while the engine is alive; "
        "one that hangs is noticed in patience + ping_deadline seconds.",
    ).tag(config=True)
    commit_deadline = Float(
        3600.0, help="Seconds that saving a container as an image may take."
    ).tag(config=True)
    patience = Float(
        1.5, help="Seconds after which a slow call makes the driver ask for a sign of life."
    ).tag(config=True)
    ping_deadline = Float(2.0, help="Seconds that the engine's sign of life may take.").tag(
        config=True
    )
    streams_per_user = Integer(
        64, min=1, help="Streams (followed logs, terminals, file transfers) open at once per user."
    ).tag(config=True)

    _link: EngineLink | None = None
    _target: EngineAddress | None = None

    def at(self, target: EngineAddress) -> Self:
        """Drive the engine of another device, whatever `address` says."""
        self._target = target
        return self

    @property
    def link(self) -> EngineLink:
        """The way to the engine; nothing is opened before the first call.

        Raises
        ------
        InvalidRequest
            The address can't be understood.
        """
        if self._link is None:
            self._link = EngineLink(
                self._target or find_address(self.address),
                actors=self.workers,
                readers=self.readers,
                deadline=self.deadline,
                patience=self.patience,
                ping_deadline=self.ping_deadline,
                streams_per_user=self.streams_per_user,
            )
        return self._link

    @property
    def local(self) -> bool:
        """Whether the engine's files and processes are this machine's."""
        return self.link.address.local

    async def close(self) -> None:
        """End all that runs."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    # -- the engine itself

    async def ping(self) -> None:
        """Ask for a sign of life; raises `Unavailable` where there is none."""
        await self.link.ping()

    async def info(self) -> EngineInfo:
        """Ask what the engine says of itself."""
        found = await self.link.look(lambda client: client.info(), ("engine", ""))
        return read_info(found, self.link.version)

    async def events(self, since: float | None = None) -> AsyncIterator[EngineEvent]:
        """Yield what happens at the engine from `since` (epoch seconds) or the last second on.

        The first event is empty and says that from now on none is missed.
        """
        start = self.link.engine_time if since is None else since
        async for item in docker_logs.events(self.link, WATCHED, start):
            yield read_event(item)

    # -- containers

    async def list_containers(self, *, mirror: bool = False) -> list[EngineContainer]:
        """List all containers by one call; the mirror's calls have threads of their own."""
        read_at = time.monotonic()

        def work(client: EngineClient) -> list[EngineContainer]:
            return [listed_container(item, read_at) for item in client.containers(all=True)]

        return await (self.link.follow if mirror else self.link.look)(work, ("containers", ""))

    async def inspect(self, container: str, *, mirror: bool = False) -> EngineContainer:
        """Read all of one container."""
        read_at = time.monotonic()

        def work(client: EngineClient) -> EngineContainer:
            return inspected_container(client.inspect_container(container), read_at)

        call = self.link.follow if mirror else self.link.look
        return await call(work, ("container", container))

    async def create(self, spec: ContainerSpec) -> EngineContainer:
        """Make a container without starting it."""
        return await docker_run.run(self.link, spec, self.action_deadline, start=False)

    async def run(self, spec: ContainerSpec) -> EngineContainer:
        """Make a container and start it; nothing stays behind where it can't be started."""
        return await docker_run.run(self.link, spec, self.action_deadline)

    async def remake(
        self, container: str, image: str, gpus: Sequence[str], shm_size: int | None
    ) -> EngineContainer:
        """Make and start a container like a stopped one, with other GPUs; that one stays aside."""
        change = partial(docker_remake.with_gpus, gpus=gpus, shm_size=shm_size)
        return await docker_remake.remake(self.link, container, image, self.action_deadline, change)

    async def put_beside(self, container: str, image: str) -> EngineContainer:
        """Make a container like another one, which stays, aside; it is not started."""
        return await docker_remake.remake(
            self.link, container, image, self.action_deadline, start=False
        )

    async def volume_made(self, name: str) -> str:
        """Return when a volume was made, in the engine's words; raises `NotFound`."""
        found = await self.link.look(lambda client: client.inspect_volume(name), ("volume", name))
        return str(found.get("CreatedAt") or "")

    async def start(self, container: str) -> bool:
        """Start a container; False where it runs already."""
        return await self._act("start", container)

    async def stop(self, container: str, timeout: float = 10) -> bool:
        """Stop a container, killing it after `timeout` seconds; False where it does not run."""
        return await self._act("stop", container, {"t": int(timeout)}, timeout)

    async def restart(self, container: str, timeout: float = 10) -> bool:
        """Stop and start a container."""
        return await self._act("restart", container, {"t": int(timeout)}, timeout)

    async def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a signal to a container's first process."""
        await self._act("kill", container, {"signal": signal})

    async def pause(self, container: str) -> None:
        """Freeze a container's processes."""
        await self._act("pause", container)

    async def unpause(self, container: str) -> None:
        """Let a container's processes go on."""
        await self._act("unpause", container)

    async def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        await self._act("rename", container, {"name": name})

    async def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container and return when its name is free; `volumes`: its unnamed ones too."""
        await docker_run.remove(
            self.link, container, force=force, volumes=volumes, deadline=self.action_deadline
        )

    async def update(self, container: str, change: ContainerUpdate) -> EngineContainer:
        """Change a container's limits and return it as it is then."""
        return await docker_run.update(self.link, container, change, self.action_deadline)

    async def _act(
        self,
        verb: str,
        container: str,
        params: Mapping[str, Any] | None = None,
        extra: float = 0,
    ) -> bool:
        return await (self.link.wait if extra else self.link.act)(
            lambda client: client.act(f"/containers/{{0}}/{verb}", container, params=params),
            ("container", container),
            self.action_deadline + extra,
        )

    async def ensure_network(self, name: str) -> None:
        """Make a bridge network of this name where there is none."""
        await docker_networks.ensure(self.link, name)

    # -- the swarm that it manages

    async def membership(self) -> Membership:
        """Ask for its place in a swarm."""
        return await docker_swarm.membership(self.link)

    async def nodes(self) -> list[SwarmNode]:
        """List the nodes of its swarm; raises `Unavailable` where it manages none."""
        return await docker_swarm.nodes(self.link)

    async def tasks(self) -> list[SwarmTask]:
        """List the tasks of its swarm that have not ended."""
        return await docker_swarm.tasks(self.link)

    async def ensure_overlay(self, name: str, *, encrypted: bool = False) -> None:
        """Make a network of this name over all nodes where there is none."""
        await docker_swarm.ensure_overlay(self.link, name, encrypted=encrypted)

    # -- what is in them

    async def logs(
        self,
        container: str,
        *,
        tail: int | None = 100,
        since: datetime | None = None,
        until: datetime | None = None,
        timestamps: bool = False,
        limit: int = 16 << 20,
    ) -> str:
        """Return what a container printed, at most the last `limit` bytes."""
        return await docker_logs.logs(
            self.link,
            container,
            docker_logs.query(tail=tail, since=since, until=until, timestamps=timestamps),
            limit,
        )

    async def follow_logs(
        self,
        container: str,
        *,
        tail: int | None = 100,
        since: datetime | None = None,
        timestamps: bool = False,
        user: str = "",
    ) -> AsyncIterator[tuple[Stream, bytes]]:
        """Yield what a container prints until it ends; `user` is whose stream it counts as."""
        query = docker_logs.query(tail=tail, since=since, timestamps=timestamps, follow=True)
        with self.link.slot(user):
            async for part in docker_logs.follow(self.link, container, query):
                yield part

    async def exec(
        self,
        container: str,
        command: list[str],
        *,
        tty: bool = False,
        stdin: bool = True,
        environment: Mapping[str, str] | None = None,
        working_dir: str = "",
        user_in_container: str = "",
        size: tuple[int, int] | None = None,
        user: str = "",
    ) -> DockerExec:
        """Start a process in a running container; `size` is its terminal's rows and columns."""
        config = {
            "Cmd": command,
            "Tty": tty,
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": True,
            "Env": [f"{k}={v}" for k, v in (environment or {}).items()],
            "WorkingDir": working_dir,
            "User": user_in_container,
        }
        return await start_exec(self.link, container, config, size, user)

    async def changes(self, container: str, limit: int = 10_000) -> FileChanges:
        """List the first files that differ from the image, by path, with sizes."""
        return await docker_files.changes(self.link, container, limit)

    async def get_archive(
        self, container: str, path: str, *, user: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield a tar of a file or folder of a container."""
        with self.link.slot(user):
            async for data in docker_archive.get(self.link, container, path):
                yield data

    async def put_archive(
        self, container: str, path: str, body: AsyncIterator[bytes] | bytes, *, user: str = ""
    ) -> None:
        """Unpack a tar into a folder of a container."""
        with self.link.slot(user):
            await docker_archive.put(self.link, container, path, body)

    async def stats_once(self, container: str) -> Sample:
        """Measure a container through the engine, which takes one to two seconds."""
        return await stats_once(self.link, container)

    # -- images

    async def list_images(self) -> list[EngineImage]:
        """List images that have a name or are nobody's parent."""
        return await docker_images.list_images(self.link)

    async def inspect_image(self, ref: str) -> EngineImage:
        """Read all of one image."""
        return await docker_images.inspect(self.link, ref)

    async def commit(
        self, container: str, repository: str, tag: str, labels: Mapping[str, str] | None = None
    ) -> str:
        """Save a container's files as an image, without its secrets; return the image's id."""
        return await docker_images.commit(
            self.link, container, repository, tag, labels or {}, self.commit_deadline
        )

    async def layers(self, container: str) -> int:
        """Count the layers of the image that a container is based on."""
        return await docker_flatten.layers(self.link, container)

    def flatten(
        self, container: str, repository: str, tag: str, labels: Mapping[str, str], mark: str
    ) -> AsyncGenerator[FlattenProgress, None]:
        """Save a container's files as `commit` does, in one layer; `mark` is for `sweep`."""
        return docker_flatten.flatten(
            self.link, container, repository, tag, labels, mark, self.commit_deadline
        )

    async def release(self, container: str, since: float) -> None:
        """Let a container go on that a `flatten` paused after `since`, where nobody has since."""
        await docker_flatten.release(self.link, container, since)

    async def sweep(self, mark: str) -> None:
        """Remove what a `flatten` that came to no end made on its way."""
        await docker_flatten.sweep(self.link, mark)

    def build(
        self, recipe: Path, arguments: Mapping[str, str], *, fresh: bool = False
    ) -> AsyncGenerator[BuildProgress, None]:
        """Build an image of a folder with a Dockerfile. The engine goes on only while it's read."""
        return docker_build.build(self.link, recipe, arguments, fresh=fresh)

    async def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image another name."""
        await docker_images.tag(self.link, image, repository, tag)

    async def remove_image(self, ref: str, *, force: bool = False) -> None:
        """Remove an image's name, or the image where it is its last one."""
        await docker_images.remove(self.link, ref, force=force, deadline=self.action_deadline)

    async def pull(
        self, name: str, tag: str = "latest", auth: RegistryLogin | None = None
    ) -> AsyncIterator[PullProgress]:
        """Pull an image; `tag` may be a digest. The engine goes on only while this is read."""
        async for progress in docker_images.pull(self.link, name, tag, auth):
            yield progress

    async def push(
        self, name: str, tag: str = "latest", auth: RegistryLogin | None = None
    ) -> AsyncIterator[PullProgress]:
        """Push an image; what the registry refuses is raised, though the engine only tells."""
        async for progress in docker_images.push(self.link, name, tag, auth):
            yield progress
