"""Making a container again of other files, or with what the engine fixes when it makes one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .docker_link import EngineLink
from .docker_parse import inspected_container
from .engine_types import EngineContainer

if TYPE_CHECKING:
    from .docker_client import EngineClient

ASIDE = "-before"
"""Behind the name of the old one, while both are there."""

VISIBLE = "NVIDIA_VISIBLE_DEVICES"

Json = dict[str, Any]


async def remake(
    link: EngineLink,
    container: str,
    image: str,
    deadline: float,
    change: Callable[[Json], None] = lambda config: None,
    *,
    start: bool = True,
) -> EngineContainer:
    """Make a container like another one; the old one stays, under a name aside.

    All in one go of one thread. Where it fails nothing new is there, and the old name is back.

    Parameters
    ----------
    image
        What the old one's files were saved as.
    change
        Changes the engine's words for the new one.
    start
        Whether it is started at once, which the old one's ports may be in the way of.
    """

    def work(client: EngineClient) -> EngineContainer:
        old = client.inspect_container(container)
        name = old["Name"].removeprefix("/")
        client.rename(container, name + ASIDE)
        made = None
        try:
            config = _config(old, image)
            change(config)
            first, others = _networks(old)
            config["NetworkingConfig"] = {"EndpointsConfig": first}
            made = str(client.create_container_from_config(config, name)["Id"])
            for network, endpoint in others.items():
                words = {"Container": made, "EndpointConfig": endpoint}
                client.tell_json("/networks/{0}/connect", network, data=words)
            if start:
                client.act("/containers/{0}/start", made)
            read_at = time.monotonic()
            return inspected_container(client.inspect_container(made), read_at)
        except BaseException:
            with contextlib.suppress(Exception):
                if made is not None:
                    client.remove_container(made, force=True)
            client.rename(container, name)
            raise

    return await link.act(work, ("container", container), deadline)


def with_gpus(config: Json, gpus: Sequence[str], shm_size: int | None) -> None:
    """Have a container made with other GPUs.

    Parameters
    ----------
    shm_size
        Bytes of ``/dev/shm``, None for what the old one has.
    """
    host = config["HostConfig"]
    kept = [text for text in config["Env"] or () if text.partition("=")[0] != VISIBLE]
    config["Env"] = [*kept, f"{VISIBLE}={','.join(gpus) or 'void'}"]
    request = {"Driver": "nvidia", "DeviceIDs": list(gpus), "Capabilities": [["gpu"]]}
    host["DeviceRequests"] = [request] if gpus else None
    if shm_size is not None:
        host["ShmSize"] = shm_size


def _config(old: Mapping[str, Any], image: str) -> Json:
    """Return the engine's words for a container like `old`."""
    config, host = dict(old["Config"]), dict(old["HostConfig"])
    # Unnamed volumes are the container's own: by their names the new one has them, too.
    named = {mount["Target"] for mount in host.get("Mounts") or ()}
    named |= {_target(bind) for bind in host.get("Binds") or ()}
    host["Binds"] = [
        *(host.get("Binds") or ()),
        *(
            f"{mount['Name']}:{mount['Destination']}{'' if mount.get('RW', True) else ':ro'}"
            for mount in old.get("Mounts") or ()
            if mount["Type"] == "volume" and mount["Destination"] not in named
        ),
    ]
    host["Mounts"] = [_own(mount, old) for mount in host.get("Mounts") or ()]
    if config.get("Hostname") == old["Id"][:12]:
        config["Hostname"] = ""
    return config | {"Image": image, "HostConfig": host}


def _target(bind: str) -> str:
    """Return where a bind is in the container: ``source:target[:options]``."""
    return bind.split(":")[1] if ":" in bind else bind


def _own(mount: Mapping[str, Any], old: Mapping[str, Any]) -> Json:
    """Return a mount with the name of the volume that the engine made for it."""
    if mount.get("Type") != "volume" or mount.get("Source"):
        return dict(mount)
    names = {each["Destination"]: each["Name"] for each in old["Mounts"] if each.get("Name")}
    return {**mount, "Source": names.get(mount["Target"], "")}


def _networks(old: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the network that a container is made in, and those that it joins then."""
    mode = old["HostConfig"].get("NetworkMode") or "default"
    first: dict[str, Json] = {}
    others: dict[str, Json] = {}
    for name, network in ((old.get("NetworkSettings") or {}).get("Networks") or {}).items():
        if mode in (name, network.get("NetworkID")) or (mode, name) == ("default", "bridge"):
            # The engine's own networks take no names.
            if name not in ("bridge", "host", "none"):
                first[name] = _endpoint(network, old["Id"])
        else:
            others[name] = _endpoint(network, old["Id"])
    return first, others


def _endpoint(network: Mapping[str, Any], container: str) -> Json:
    """Return what somebody asked for in a network, and not what the engine gave."""
    aliases = [name for name in network.get("Aliases") or () if name != container[:12]]
    words = {
        "Aliases": aliases,
        "IPAMConfig": network.get("IPAMConfig"),
        "Links": network.get("Links"),
        "DriverOpts": network.get("DriverOpts"),
    }
    return {name: value for name, value in words.items() if value}
