"""What a new container gets where its request says nothing, for operators to set."""

from __future__ import annotations

import re
from collections.abc import Iterable

from traitlets import Bool, Callable, Dict, Float, Int, Unicode, Union
from traitlets.config import Configurable

from ..accounts.schemas import Account
from ..errors import Forbidden
from .ports import PortPolicy


class ContainerDefaults(Configurable):
    """Defaults and bounds of containers."""

    cpu = Float(0.0, min=0, help="Cores that a container may use; 0 is no limit.").tag(config=True)

    mem = Int(0, min=0, help="Memory that a container may use, in MB; 0 is no limit.").tag(
        config=True
    )

    pids_limit = Int(
        4096, min=0, help="Processes and threads that a container may have; 0 is no limit."
    ).tag(config=True)

    restart_policy = Unicode(
        "no",
        help="Whether the engine starts a container again: no, always, unless-stopped, on-failure.",
    ).tag(config=True)

    init = Bool(
        True,
        help="Run a small init as a container's first process, so that stopping takes no time-out.",
    ).tag(config=True)

    log_max_size = Int(
        10 << 20, min=1024, help="Bytes of a container's log before it is rotated."
    ).tag(config=True)

    log_max_files = Int(3, min=1, help="Rotated logs that are kept for each container.").tag(
        config=True
    )

    bind_address = Unicode(
        "127.0.0.1", help="The host's address that published ports are bound to."
    ).tag(config=True)

    registry = Unicode(
        "",
        help="Registry, with a path where it has one, that images are pushed to so that other "
        "devices can run them: registry.lab:5000/desk. Empty: committed images run only where "
        "they were made.",
    ).tag(config=True)

    probe_image = Unicode(
        "debian:bookworm-slim",
        help="Image of the container that looks which GPUs another device has; it needs glibc.",
    ).tag(config=True)

    node_certificates = Unicode(
        "",
        help="Folder with ca.pem, cert.pem and key.pem for the engines of a swarm's nodes, whose "
        "addresses (tcp://host:2376) are their labels jupyter_ext.engine. Empty: such a label is "
        "not followed, and each node's address is given by hand.",
    ).tag(config=True)

    overlay = Bool(
        True,
        help="Have containers of one network reach each other on all nodes of a Docker Swarm, "
        "through an overlay network that is made for them.",
    ).tag(config=True)

    overlay_encrypted = Bool(
        False,
        help="Encrypt what goes from node to node in these networks (IPsec between the engines); "
        "it costs throughput. Counts for networks that are made from then on.",
    ).tag(config=True)

    lowest_port = Int(
        1024, min=1, max=65535, help="The lowest port of the host that may be published."
    ).tag(config=True)

    first_free_port = Int(
        20_000, min=1, max=65535, help="Where the range begins that free ports are picked from."
    ).tag(config=True)

    last_free_port = Int(
        32_000, min=1, max=65535, help="Where the range ends that free ports are picked from."
    ).tag(config=True)

    network = Union(
        [Unicode(), Callable()],
        default_value="jupyter_ext-{username}",
        help="The engine's network that containers are in, made when it is first needed. "
        "{username} gives each user one of their own, so that containers of different users can't "
        "reach each other; empty is the engine's default network. A function gets the account.",
    ).tag(config=True)

    owner_network = Unicode(
        "",
        help="The network of containers of whoever owns this server. Empty is the engine's default "
        "one, where containers start faster and where those of the plain docker command are.",
    ).tag(config=True)

    environment = Union(
        [Dict(), Callable()],
        default_value={},
        help="Variables that every container gets; a request may override them. A function gets "
        "the account.",
    ).tag(config=True)

    allow_image = Union(
        [Unicode(), Callable()],
        default_value="",
        help="A regular expression that images of users who are no administrators must match, as "
        "nginx:latest is written; empty allows all. A function gets the account and the name.",
    ).tag(config=True)

    max_image_layers = Int(
        64,
        min=0,
        help="Layers that a saved image may have: a container whose image would get more is saved "
        "as one layer, which takes longer and shares no room on the disk with the images before "
        "it. 0 is never; engines refuse more than about 125.",
    ).tag(config=True)

    notebook_base = Unicode(
        "debian:bookworm-slim",
        help="What the notebook image is built on, unless the request says it: an image of "
        "Debian's family.",
    ).tag(config=True)

    notebook_cuda_base = Unicode(
        "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04",
        help="What the notebook image is built on where CUDA is asked for.",
    ).tag(config=True)

    notebook_build_arguments = Dict(
        help="Build arguments of the notebook image, which the engine keeps in its history: "
        "{'HTTPS_PROXY': 'http://proxy:3128', 'PIP_INDEX_URL': 'https://mirror/simple'}.",
    ).tag(config=True)

    pulls_at_once = Int(
        3,
        min=0,
        help="Images that a user who is no administrator may pull at once, those that their new "
        "containers need included; 0 is no limit.",
    ).tag(config=True)

    stop_timeout = Int(
        10, min=0, help="Seconds that a container has to end by itself when it is deleted."
    ).tag(config=True)

    gpu_shm_size = Int(
        1 << 30,
        min=1 << 16,
        help="Bytes of /dev/shm in a container with GPUs, through which loaders of data pass it.",
    ).tag(config=True)

    archive_limit = Int(
        1 << 30, min=1, help="Bytes that may be read from a container's files in one request."
    ).tag(config=True)

    @property
    def ports(self) -> PortPolicy:
        """The rules of ports."""
        return PortPolicy(
            self.lowest_port, self.first_free_port, self.last_free_port, self.bind_address
        )

    def pulls_of(self, account: Account) -> int:
        """How many images an account may pull at once; 0 is no limit."""
        return 0 if account.is_admin else self.pulls_at_once

    def check_image(self, account: Account, names: Iterable[str]) -> None:
        """Refuse an image that none of whose names is allowed to an account.

        Raises
        ------
        Forbidden
            Naming it.
        """
        names, rule = list(names), self.allow_image
        if callable(rule):
            allowed = any(rule(account, name) for name in names)
        else:
            allowed = (
                account.is_admin or not rule or any(re.fullmatch(rule, name) for name in names)
            )
        if not allowed:
            raise Forbidden(
                f"The image {names[0]} is not allowed here. Ask the administrator to allow it.",
                fields={"image": "is not allowed here"},
            )

    def network_of(self, account: Account, *, owner: bool) -> str | None:
        """The network of an account's containers, None for the engine's default.

        Parameters
        ----------
        owner
            Whether the account is the one that owns this server.
        """
        value = self.owner_network if owner else self.network
        name = value(account) if callable(value) else value.replace("{username}", account.username)
        return str(name) or None

    def environment_of(self, account: Account) -> dict[str, str]:
        """The variables that an account's containers begin with."""
        value = self.environment
        found = value(account) if callable(value) else value
        return {str(name): str(text) for name, text in found.items()}
