"""Making, changing and removing a container."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, NotFound, Unavailable
from .docker_errors import EngineFault
from .docker_link import EngineLink
from .docker_parse import inspected_container
from .engine_types import ContainerSpec, ContainerUpdate, EngineContainer, EngineMount, EnginePort

if TYPE_CHECKING:
    from .docker_client import EngineClient

#: Names one try to make a container, so that what an interrupted one left is found.
ATTEMPT_LABEL = "jupyter_ext.attempt"

#: Seconds to wait for a removal that is under way, since it frees the name only when it ends.
REMOVAL_PATIENCE = 10.0


async def run(
    link: EngineLink, spec: ContainerSpec, deadline: float, *, start: bool = True
) -> EngineContainer:
    """Make a container, start it where asked to, and return it as it is then.

    All in one go of one thread: three calls of the engine and no way through the loop between them.
    """
    attempt = secrets.token_hex(8)
    config = engine_config(spec)
    config["Labels"] = {**config["Labels"], ATTEMPT_LABEL: attempt}
    try:
        return await link.act(_run, ("container", spec.name), deadline, config, spec.name, start)
    except (Unavailable, asyncio.CancelledError):
        # Nobody knows whether the engine still does it; what comes of it is removed.
        link.chores.tidy(lambda: _remove_attempt(link, attempt))
        raise


def _run(
    client: EngineClient, config: Mapping[str, Any], name: str, start: bool
) -> EngineContainer:
    made = _create(client, config, name)
    try:
        if start:
            client.act("/containers/{0}/start", made)
        read_at = time.monotonic()
        return inspected_container(client.inspect_container(made), read_at)
    except BaseException:
        # The engine keeps a container that it could not start, for example for a busy port.
        with contextlib.suppress(Exception):
            client.remove_container(made, force=True, v=True)
        raise


def _create(client: EngineClient, config: Mapping[str, Any], name: str) -> str:
    until = time.monotonic() + REMOVAL_PATIENCE
    while True:
        try:
            return str(client.create_container_from_config(config, name)["Id"])
        except Exception as error:
            if _status(error) != 409 or time.monotonic() > until or not _going(client, name):
                raise
        time.sleep(0.05)


def _going(client: EngineClient, name: str) -> bool:
    """Whether the container that has the name is being removed."""
    try:
        found = client.inspect_container(name)
    except Exception as error:
        return _status(error) == 404
    status = found["State"]["Status"]
    leaving = found["HostConfig"].get("AutoRemove") and status in ("exited", "dead")
    return bool(leaving) or status == "removing"


def _status(error: Exception) -> int:
    from .docker_client import fault_of

    fault = fault_of(error)
    return fault.status if isinstance(fault, EngineFault) else 0


async def _remove_attempt(link: EngineLink, attempt: str) -> None:
    """Remove what an interrupted try left, also when the engine makes it only after a while."""

    def work(client: EngineClient) -> bool:
        filters = {"label": f"{ATTEMPT_LABEL}={attempt}"}
        left = client.containers(all=True, filters=filters, quiet=True)
        for item in left:
            client.remove_container(item["Id"], force=True, v=True)
        return bool(left)

    for pause in (0.0, 0.5, 2.0, 5.0, 15.0):
        await asyncio.sleep(pause)
        try:
            if await link.act(work, ("container", ""), 30.0):
                return
        except (NotFound, Conflict):
            # One that the engine is still making is listed and can't be removed yet.
            continue


async def remove(
    link: EngineLink, container: str, *, force: bool, volumes: bool, deadline: float
) -> None:
    """Remove a container and return when its name is free, whoever removes it."""

    def work(client: EngineClient) -> None:
        try:
            client.remove_container(container, force=force, v=volumes)
        except Exception as error:
            if _status(error) != 409 or "in progress" not in str(error):
                raise
            until = time.monotonic() + REMOVAL_PATIENCE
            while _going(client, container) and time.monotonic() < until:
                time.sleep(0.05)
                with contextlib.suppress(Exception):
                    client.inspect_container(container)
                    continue
                return

    await link.act(work, ("container", container), deadline)


async def update(
    link: EngineLink, container: str, change: ContainerUpdate, deadline: float
) -> EngineContainer:
    """Change a container's limits and return it as it is then."""
    data: dict[str, Any] = {}
    if change.cpu is not None:
        data["NanoCpus"] = round(change.cpu * 1e9)
    if change.memory is not None:
        data |= {"Memory": change.memory, "MemorySwap": change.memory}
    if change.pids_limit is not None:
        data["PidsLimit"] = change.pids_limit
    if change.restart_policy is not None:
        data["RestartPolicy"] = restart_policy(change.restart_policy)

    def work(client: EngineClient) -> EngineContainer:
        client.post_json("/containers/{0}/update", container, data=data)
        read_at = time.monotonic()
        return inspected_container(client.inspect_container(container), read_at)

    return await link.act(work, ("container", container), deadline)


def restart_policy(text: str) -> dict[str, Any]:
    """Read ``no``, ``always``, ``unless-stopped``, ``on-failure`` or ``on-failure:3``."""
    name, _, count = text.partition(":")
    policy: dict[str, Any] = {"Name": name or "no"}
    if count:
        policy["MaximumRetryCount"] = int(count)
    return policy


def engine_config(spec: ContainerSpec) -> dict[str, Any]:
    """Return the engine's words for a container to be made."""
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": dict(spec.labels),
        "ExposedPorts": {port: {} for port in spec.ports},
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "HostConfig": _host_config(spec),
    }
    optional: dict[str, Any] = {
        "Cmd": None if spec.command is None else list(spec.command),
        "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "User": spec.user or None,
        "WorkingDir": spec.working_dir or None,
        "Hostname": spec.hostname or None,
    }
    return config | {key: value for key, value in optional.items() if value is not None}


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    host: dict[str, Any] = {
        "PortBindings": {k: [_binding(v)] for k, v in spec.ports.items() if v is not None},
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "RestartPolicy": restart_policy(spec.restart_policy),
        "SecurityOpt": list(spec.security_options),
        "CapDrop": list(spec.capabilities_dropped),
        "ReadonlyRootfs": spec.read_only,
        "Init": spec.init,
    }
    if spec.cpu is not None:
        host["NanoCpus"] = round(spec.cpu * 1e9)
    if spec.memory is not None:
        # The same number for both leaves no swap on top.
        host |= {"Memory": spec.memory, "MemorySwap": spec.memory}
    if spec.pids_limit is not None:
        host["PidsLimit"] = spec.pids_limit
    if spec.shm_size is not None:
        host["ShmSize"] = spec.shm_size
    if spec.network is not None:
        host["NetworkMode"] = spec.network
    if spec.tmpfs:
        host["Tmpfs"] = dict(spec.tmpfs)
    rotation = {"max-size": spec.log_max_size, "max-file": spec.log_max_files}
    if any(rotation.values()):
        settings = {name: str(value) for name, value in rotation.items() if value}
        host["LogConfig"] = {"Type": "json-file", "Config": settings}
    if spec.gpus:
        request = {"Driver": "nvidia", "DeviceIDs": list(spec.gpus), "Capabilities": [["gpu"]]}
        host["DeviceRequests"] = [request]
    return host


def _binding(port: EnginePort) -> dict[str, str]:
    return {"HostIp": port.host_ip, "HostPort": str(port.host_port) if port.host_port else ""}


def _mount(mount: EngineMount) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Type": mount.kind,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }
    if mount.kind != "tmpfs":
        found["Source"] = mount.source
    return found
