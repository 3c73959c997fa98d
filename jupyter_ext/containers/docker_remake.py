"""Making a stopped container again with other GPUs, which the engine fixes when it makes one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .docker_link import EngineLink
from .docker_parse import inspected_container
from .engine_types import EngineContainer

if TYPE_CHECKING:
    from .docker_client import EngineClient

ASIDE = "-before"
"""Behind the name of the old one, while both are there."""

VISIBLE = "NVIDIA_VISIBLE_DEVICES"


async def remake(
    link: EngineLink,
    container: str,
    image: str,
    gpus: Sequence[str],
    shm_size: int | None,
    deadline: float,
) -> EngineContainer:
    """Make a container like another one and start it; the old one stays, under a name aside.

    All in one go of one thread. Where it fails nothing new is there, and the old name is back.

    Parameters
    ----------
    image
        What the old one's files were saved as.
    shm_size
        Bytes of ``/dev/shm``, None for what the old one has.
    """

    def work(client: EngineClient) -> EngineContainer:
        old = client.inspect_container(container)
        name = old["Name"].removeprefix("/")
        client.rename(container, name + ASIDE)
        made = None
        try:
            config = _config(old, image, gpus, shm_size)
            made = str(client.create_container_from_config(config, name)["Id"])
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


def _config(
    old: Mapping[str, Any], image: str, gpus: Sequence[str], shm_size: int | None
) -> dict[str, Any]:
    """Return the engine's words for a container like `old`."""
    config, host = dict(old["Config"]), dict(old["HostConfig"])
    kept = [text for text in config["Env"] or () if text.partition("=")[0] != VISIBLE]
    request = {"Driver": "nvidia", "DeviceIDs": list(gpus), "Capabilities": [["gpu"]]}
    host["DeviceRequests"] = [request] if gpus else None
    if shm_size is not None:
        host["ShmSize"] = shm_size
    # Unnamed volumes are the container's own: by their names the new one has them, too.
    named = {mount["Target"] for mount in host.get("Mounts") or ()}
    host["Binds"] = [
        *(host.get("Binds") or ()),
        *(
            f"{mount['Name']}:{mount['Destination']}"
            for mount in old.get("Mounts") or ()
            if mount["Type"] == "volume" and mount["Destination"] not in named
        ),
    ]
    if config.get("Hostname") == old["Id"][:12]:
        config["Hostname"] = ""
    config |= {
        "Image": image,
        "Env": [*kept, f"{VISIBLE}={','.join(gpus) or 'void'}"],
        "HostConfig": host,
    }
    return config
