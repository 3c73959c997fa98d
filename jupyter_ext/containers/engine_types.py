"""What a container engine's driver takes and returns: our words, none of the engine's library.

Times are in UTC, sizes in bytes, durations in seconds, CPU in cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Stream = Literal["stdout", "stderr"]

#: The states that the engine knows; "removing" is told as "dead": nothing can be done with it.
STATUSES = ("created", "running", "paused", "restarting", "exited", "dead")


@dataclass(frozen=True, slots=True)
class EngineMount:
    """A folder or volume inside a container.

    Parameters
    ----------
    source
        The folder on the engine's machine, or the name of a volume.
    target
        The path in the container.
    kind
        ``bind``, ``volume`` or ``tmpfs``.
    """

    source: str
    target: str
    read_only: bool = False
    kind: str = "bind"


@dataclass(frozen=True, slots=True)
class EnginePort:
    """Where a port is published; `host_port` None lets the engine choose one."""

    host_port: int | None = None
    host_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EngineNetwork:
    """A container's place in a network."""

    ip: str = ""
    gateway: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """What only an inspect tells of a container.

    Parameters
    ----------
    health
        ``healthy``, ``unhealthy``, ``starting``, or None where the image has no health check.
    cpu
        Cores that it may use, None without a limit.
    memory
        Bytes that it may use, None without a limit.
    published
        The ports as they were asked for, also while it is stopped.
    gpus
        Ids of the NVIDIA GPUs that it was made with; ``all`` is any number of them.
    tmpfs
        Folders of it that are in memory, and the options that they were asked for with.
    passing
        Whether the engine removes it as soon as it ends.
    """

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    published: Mapping[str, EnginePort | None] = field(default_factory=dict)
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restart_count: int = 0
    restart_policy: str = "no"
    health: str | None = None
    cpu: float | None = None
    memory: int | None = None
    pids_limit: int | None = None
    shm_size: int | None = None
    gpus: tuple[str, ...] = ()
    network_mode: str = ""
    log_driver: str = ""
    cgroup_parent: str = ""
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False
    #: Where the engine keeps the files that differ from the image, on its own machine.
    upper_folder: str = ""


@dataclass(frozen=True, slots=True)
class EngineContainer:
    """A container as the engine sees it.

    A listing fills everything but `detail`, which an inspect adds.

    Parameters
    ----------
    image
        The name it was started by, ``nginx:latest``; an id where that names another image now.
    ports
        ``{"80/tcp": 8080}``, None for a port that is not published.
    """

    id: str
    name: str
    status: str
    image: str
    image_id: str
    created_at: datetime
    ports: Mapping[str, int | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, EngineNetwork] = field(default_factory=dict)
    mounts: tuple[EngineMount, ...] = ()
    detail: ContainerDetail | None = None
    #: When the engine was asked, on this process's monotonic clock: the later answer is the newer.
    read_at: float = field(default=0.0, compare=False)

    @property
    def running(self) -> bool:
        """Whether processes of it exist: running, paused or about to be restarted."""
        return self.status in ("running", "paused", "restarting")


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to be made.

    Parameters
    ----------
    name
        The engine's name of it, ``<user>.<name>``.
    command, entrypoint
        None leaves the image's.
    ports
        ``{"80/tcp": EnginePort(8080)}``; None exposes the port without publishing it.
    cpu
        Cores, None for no limit.
    memory
        Bytes, None for no limit. Swap is never added to it.
    shm_size
        Bytes of ``/dev/shm``.
    log_max_size, log_max_files
        Rotation of what it prints.
    init
        Run a small init as process 1, so that stopping takes no time-out and zombies are reaped.
    gpus
        Ids of NVIDIA GPUs to hand in; empty: none.
    tmpfs
        Folders in memory, with their options.
    """

    name: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, EnginePort | None] = field(default_factory=dict)
    mounts: tuple[EngineMount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu: float | None = None
    memory: int | None = None
    pids_limit: int | None = None
    shm_size: int | None = None
    restart_policy: str = "no"
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    network: str | None = None
    security_options: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    read_only: bool = False
    tty: bool = False
    open_stdin: bool = False
    init: bool = True
    log_max_size: int | None = None
    log_max_files: int | None = None
    gpus: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerUpdate:
    """What can be changed while a container lives; None leaves a thing as it is."""

    cpu: float | None = None
    memory: int | None = None
    pids_limit: int | None = None
    restart_policy: str | None = None


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something that happened at the engine.

    Parameters
    ----------
    kind
        ``container``, ``image``, ``network``, ``volume``, ``node``, ``daemon``.
    action
        The engine's word without its argument: ``start``, ``die``, ``health_status``.
    id
        Whom it happened to.
    """

    kind: str
    action: str
    id: str
    attributes: Mapping[str, str]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container used at a moment; counters count from its start.

    Parameters
    ----------
    cpu_usage
        Per cent of one core since the sample before (200: two cores busy); None for the first.
    memory_limit
        Its own limit, or the machine's memory where it has none.
    """

    id: str
    at: datetime
    cpu_usage: float | None
    memory_usage: int
    memory_limit: int
    rx_bytes: int = 0
    tx_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs from the image; `size` None where it can't be told."""

    path: str
    kind: Literal["added", "changed", "deleted"]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileChanges:
    """The first of a container's changed files, by path, and how many there are."""

    items: tuple[FileChange, ...]
    total: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself.

    Parameters
    ----------
    node
        Its id in the swarm that it is in; empty where it is in none.
    """

    id: str
    name: str
    version: str
    api_version: str
    operating_system: str
    architecture: str
    kernel: str
    cpus: int
    memory: int
    storage_driver: str
    cgroup_driver: str
    cgroup_version: str
    root: str
    runtimes: tuple[str, ...]
    default_runtime: str
    rootless: bool
    user_namespaces: bool
    warnings: tuple[str, ...] = ()
    node: str = ""


class ExecSession(Protocol):
    """A process that was started in a running container, with its streams."""

    id: str

    async def read(self) -> tuple[Stream, bytes] | None:
        """Wait for what it prints next; None when it has ended or the session is closed."""

    async def write(self, data: bytes) -> None:
        """Send to its standard input."""

    async def close_stdin(self) -> None:
        """Tell it that its standard input has ended."""

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size."""

    async def exit_code(self) -> int | None:
        """Its exit code, None while it runs."""

    async def close(self) -> None:
        """Leave it: its streams end, and it is hung up where it still runs."""
