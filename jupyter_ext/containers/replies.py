"""What replies hold, field by field, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict


class IdleItem(TypedDict):
    """How long a container has been idle, and when it is stopped for it, or for its age.

    `stops_at` is null where nothing stops it, `reason` is why it is or was stopped, and `warned_at`
    is null until its owner is warned. All moments but `stopped_at` are null while it does not run.
    """

    since: str | None
    stops_at: str | None
    kept_until: str | None
    warned_at: str | None
    stopped_at: str | None
    reason: Literal["idle", "lifetime"] | None


class ContainerItem(TypedDict):
    """A container in a list."""

    id: str
    cid: int
    name: str
    status: str
    image: str
    iid: int | None
    created_at: str | None
    owner: str
    ports: dict[str, int | None]
    device: int
    gpus: list[int]
    idle: IdleItem | None


class ContainerConfig(TypedDict):
    """What a container was made with."""

    command: list[str]
    entrypoint: list[str]
    environment: dict[str, str]
    working_dir: str
    user: str
    labels: dict[str, str]


class Mount(TypedDict):
    """A folder of the host, or a volume, in a container."""

    host_path: str
    container_path: str
    read_only: bool
    kind: str


class Network(TypedDict):
    """A container's place in a network."""

    ip: str


class ContainerState(TypedDict):
    """How a container does."""

    status: str
    running: bool
    paused: bool
    exit_code: int | None
    error: str
    oom_killed: bool
    started_at: str | None
    finished_at: str | None
    pid: int
    restart_count: int


class Step(TypedDict):
    """A part of a container's way up; `seconds` null where only the moment is known."""

    step: str
    at: str | None
    seconds: float | None


class ContainerDetails(ContainerItem):
    """All of a container; `cpu` in cores and `mem` in MB, 0 without a limit."""

    config: ContainerConfig
    mounts: list[Mount]
    networks: dict[str, Network]
    state: ContainerState
    health: str | None
    cpu: float
    mem: int
    memory_bytes: int
    restart_policy: str
    startup: list[Step]
    stale_since: str | None


class ImageItem(TypedDict):
    """An image; `size` in bytes, `owner` null where it is everybody's.

    `shared_with` are the users whom its owner shares it with; each of them sees only themself.
    `connect` where its containers take ssh, JupyterLab and TensorBoard.
    """

    id: str
    iid: int | None
    tags: list[str]
    size: int
    created_at: str | None
    owner: str | None
    public: bool
    shared_with: list[str]
    connect: bool


class ShareItem(TypedDict):
    """A user whom an image is shared with, and since when."""

    username: str
    shared_at: str | None


class ServicePorts(TypedDict):
    """The host's ports that lead to a container's services; null where there is none."""

    ssh: int | None
    jupyter: int | None
    tensorboard: int | None


class Connection(TypedDict):
    """How to get into a container; `password` is there only where it was asked for."""

    ip: str
    user: str
    ports: ServicePorts
    has_password: bool
    password: NotRequired[str | None]


class Removed(TypedDict):
    """What is gone."""

    id: str


class Logs(TypedDict):
    """What a container printed."""

    logs: str


class ChangedFile(TypedDict):
    """A file that differs from the image; `size` in bytes, null where there is none."""

    path: str
    kind: Literal["added", "changed", "deleted"]
    size: int | None


class Changes(TypedDict):
    """Files that differ from the image; `truncated` where there are more than are listed.

    `size` is of those that are listed, in bytes: what saving the container adds to its image.
    """

    total: int
    size: int
    truncated: bool
    items: list[ChangedFile]


class Unpacked(TypedDict):
    """A tar that was unpacked; `size` in bytes."""

    id: str
    path: str
    size: int


class Traffic(TypedDict):
    """Counters of a container's network, in bytes since it started."""

    rx_bytes: int
    tx_bytes: int


class Disk(TypedDict):
    """Counters of what a container read and wrote, in bytes since it started."""

    read_bytes: int
    write_bytes: int


class Measure(TypedDict):
    """What a container uses: CPU in per cent of one core, memory in bytes."""

    timestamp: str | None
    cpu_usage: float
    memory_usage: int
    memory_limit: int
    network: Traffic
    block: Disk
    pids: int
    gpus: list[dict[str, Any]]


class Point(TypedDict):
    """A moment of a history."""

    timestamp: str | None
    cpu_usage: float
    memory_usage: int


class Metrics(Measure):
    """What a container uses, and what it used."""

    id: str
    cid: int
    history: NotRequired[list[Point]]
