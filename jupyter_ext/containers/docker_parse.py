"""The engine's JSON as our types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .engine_types import (
    ContainerDetail,
    EngineContainer,
    EngineEvent,
    EngineInfo,
    EngineMount,
    EngineNetwork,
    EnginePort,
)
from .image_types import EngineImage

Json = Mapping[str, Any]


def parse_time(text: str | None) -> datetime | None:
    """Read a time of the engine's; None for its year 1, which means never."""
    if not text or text.startswith("0001-"):
        return None
    # The engine writes nanoseconds, of which Python reads six digits.
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest.rstrip("Z").split("+")[0].split("-")[0]
        text = f"{head}.{digits[:6]}{rest[len(digits) :]}"
    return datetime.fromisoformat(text).astimezone(UTC)


def _seconds(number: float) -> datetime:
    return datetime.fromtimestamp(int(number), UTC)


def _status(word: str) -> str:
    return "dead" if word == "removing" else word


def _name(names: Sequence[str]) -> str:
    # Links of other containers are names too: "/other/alias".
    own = [name.lstrip("/") for name in names if name.count("/") == 1]
    return own[0] if own else (names[0].lstrip("/") if names else "")


def _networks(networks: Json | None) -> dict[str, EngineNetwork]:
    return {
        name: EngineNetwork(
            (net := about or {}).get("IPAddress") or "",
            net.get("Gateway") or "",
            net.get("MacAddress") or "",
        )
        for name, about in (networks or {}).items()
    }


def _mounts(mounts: Sequence[Json] | None) -> tuple[EngineMount, ...]:
    found = (
        EngineMount(
            (m.get("Name") if m.get("Type") == "volume" else m.get("Source")) or "",
            m.get("Destination") or "",
            not m.get("RW", True),
            m.get("Type") or "bind",
        )
        for m in mounts or ()
    )
    # The engine lists them in an order that changes from call to call.
    return tuple(sorted(found, key=lambda mount: mount.target))


def _text(environment: Sequence[str] | None) -> dict[str, str]:
    pairs = (item.partition("=") for item in environment or ())
    return {name: value for name, _, value in pairs}


def listed_container(item: Json, read_at: float) -> EngineContainer:
    """Read an entry of the list of containers."""
    ports: dict[str, int | None] = {}
    for port in item.get("Ports") or ():
        key = f"{port['PrivatePort']}/{port.get('Type', 'tcp')}"
        # Published on IPv4 and IPv6 it comes twice, and the first number counts.
        ports[key] = ports.get(key) or port.get("PublicPort")
    return EngineContainer(
        id=item["Id"],
        name=_name(item.get("Names") or ()),
        status=_status(item.get("State") or ""),
        image=item.get("Image") or "",
        image_id=item.get("ImageID") or "",
        created_at=_seconds(item.get("Created") or 0),
        ports=dict(sorted(ports.items())),
        labels=item.get("Labels") or {},
        networks=_networks((item.get("NetworkSettings") or {}).get("Networks")),
        mounts=_mounts(item.get("Mounts")),
        read_at=read_at,
    )


def _bound(bindings: Sequence[Json] | None) -> int | None:
    for binding in bindings or ():
        if binding.get("HostPort"):
            return int(binding["HostPort"])
    return None


def _published(host: Json, config: Json) -> dict[str, EnginePort | None]:
    ports: dict[str, EnginePort | None] = dict.fromkeys(config.get("ExposedPorts") or {})
    for key, bindings in (host.get("PortBindings") or {}).items():
        for binding in (bindings or ())[:1]:
            ports[key] = EnginePort(
                int(binding["HostPort"]) if binding.get("HostPort") else None,
                binding.get("HostIp") or "",
            )
    return dict(sorted(ports.items()))


def _cores(host: Json) -> float | None:
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / 1e9
    if (host.get("CpuQuota") or 0) > 0:
        return float(host["CpuQuota"]) / float(host.get("CpuPeriod") or 100_000)
    return None


def _gpus(host: Json) -> tuple[str, ...]:
    """Ids of GPUs; a request for some without saying which may get any."""
    requests = [
        request
        for request in host.get("DeviceRequests") or ()
        if any("gpu" in words for words in request.get("Capabilities") or ())
    ]
    if any(not request.get("DeviceIDs") for request in requests):
        return ("all",)
    return tuple(uuid for request in requests for uuid in request["DeviceIDs"])


def _tmpfs(host: Json) -> dict[str, str]:
    """Folders in memory; those of ``--mount`` are told elsewhere than those of ``--tmpfs``."""
    found = dict(host.get("Tmpfs") or {})
    for mount in host.get("Mounts") or ():
        if mount.get("Type") == "tmpfs":
            options = mount.get("TmpfsOptions") or {}
            words = []
            if size := options.get("SizeBytes"):
                words.append(f"size={size}")
            if mode := options.get("Mode"):
                words.append(f"mode={mode:o}")
            found[mount["Target"]] = ",".join(words)
    return dict(sorted(found.items()))


def _detail(item: Json) -> ContainerDetail:
    config, host = item.get("Config") or {}, item.get("HostConfig") or {}
    state = item.get("State") or {}
    ended = state.get("Status") in ("exited", "dead")
    pids = host.get("PidsLimit") or 0
    return ContainerDetail(
        command=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        environment=_text(config.get("Env")),
        working_dir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        hostname=config.get("Hostname") or "",
        tty=bool(config.get("Tty")),
        open_stdin=bool(config.get("OpenStdin")),
        published=_published(host, config),
        pid=state.get("Pid") or 0,
        exit_code=state.get("ExitCode") if ended else None,
        error=state.get("Error") or "",
        oom_killed=bool(state.get("OOMKilled")),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=parse_time(state.get("FinishedAt")),
        restart_count=item.get("RestartCount") or 0,
        restart_policy=(host.get("RestartPolicy") or {}).get("Name") or "no",
        health=(state.get("Health") or {}).get("Status"),
        cpu=_cores(host),
        memory=host.get("Memory") or None,
        pids_limit=pids if pids > 0 else None,
        shm_size=host.get("ShmSize") or None,
        gpus=_gpus(host),
        network_mode=host.get("NetworkMode") or "",
        log_driver=(host.get("LogConfig") or {}).get("Type") or "",
        cgroup_parent=host.get("CgroupParent") or "",
        tmpfs=_tmpfs(host),
        passing=bool(host.get("AutoRemove")),
        upper_folder=((item.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir") or "",
    )


def inspected_container(item: Json, read_at: float) -> EngineContainer:
    """Read an inspect of a container; what a listing tells is the same in both."""
    config, state = item.get("Config") or {}, item.get("State") or {}
    settings = item.get("NetworkSettings") or {}
    created = parse_time(item.get("Created"))
    return EngineContainer(
        id=item["Id"],
        name=(item.get("Name") or "").lstrip("/"),
        status=_status(state.get("Status") or ""),
        image=config.get("Image") or "",
        image_id=item.get("Image") or "",
        created_at=_seconds(created.timestamp() if created else 0),
        ports={k: _bound(v) for k, v in sorted((settings.get("Ports") or {}).items())},
        labels=config.get("Labels") or {},
        networks=_networks(settings.get("Networks")),
        mounts=_mounts(item.get("Mounts")),
        detail=_detail(item),
        read_at=read_at,
    )


def _names(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in names or () if not name.startswith("<none>")))


def listed_image(item: Json) -> EngineImage:
    """Read an entry of the list of images."""
    containers = item.get("Containers", -1)
    return EngineImage(
        id=item["Id"],
        tags=_names(item.get("RepoTags")),
        digests=_names(item.get("RepoDigests")),
        size=item.get("Size") or 0,
        created_at=_seconds(item.get("Created") or 0),
        labels=item.get("Labels") or {},
        parent=item.get("ParentId") or "",
        containers=containers if containers >= 0 else None,
    )


def inspected_image(item: Json) -> EngineImage:
    """Read an inspect of an image."""
    config = item.get("Config") or {}
    created = parse_time(item.get("Created"))
    return EngineImage(
        id=item["Id"],
        tags=_names(item.get("RepoTags")),
        digests=_names(item.get("RepoDigests")),
        size=item.get("Size") or 0,
        created_at=_seconds(created.timestamp() if created else 0),
        labels=config.get("Labels") or {},
        parent=item.get("Parent") or "",
        architecture=item.get("Architecture") or "",
        os=item.get("Os") or "",
        command=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        environment=_text(config.get("Env")),
        exposed=tuple(sorted(config.get("ExposedPorts") or ())),
        user=config.get("User") or "",
        working_dir=config.get("WorkingDir") or "",
    )


def read_event(item: Json) -> EngineEvent:
    """Read an event; its action loses the argument that some have (``health_status: healthy``)."""
    actor = item.get("Actor") or {}
    return EngineEvent(
        kind=item.get("Type") or "",
        action=(item.get("Action") or item.get("status") or "").partition(":")[0],
        id=actor.get("ID") or item.get("id") or "",
        attributes=actor.get("Attributes") or {},
        time_ns=item.get("timeNano") or 0,
    )


def read_info(item: Json, api_version: str) -> EngineInfo:
    """Read what an engine says of itself."""
    options = item.get("SecurityOptions") or ()
    return EngineInfo(
        id=item.get("ID") or "",
        name=item.get("Name") or "",
        version=item.get("ServerVersion") or "",
        api_version=api_version,
        operating_system=item.get("OperatingSystem") or "",
        architecture=item.get("Architecture") or "",
        kernel=item.get("KernelVersion") or "",
        cpus=item.get("NCPU") or 0,
        memory=item.get("MemTotal") or 0,
        storage_driver=item.get("Driver") or "",
        cgroup_driver=item.get("CgroupDriver") or "",
        cgroup_version=str(item.get("CgroupVersion") or "1"),
        root=item.get("DockerRootDir") or "",
        runtimes=tuple(sorted(item.get("Runtimes") or ())),
        default_runtime=item.get("DefaultRuntime") or "",
        rootless=any("rootless" in option for option in options),
        user_namespaces=any("userns" in option for option in options),
        warnings=tuple(item.get("Warnings") or ()),
        node=(item.get("Swarm") or {}).get("NodeID") or "",
    )
