"""Docker Swarm: who is in it, what its tasks hold, and networks that reach over all its nodes.

Facts: Docker Engine API 1.41, `GET /info`, `/nodes`, `/tasks`, `POST /networks/create`; names of
fields as SwarmKit's ``Node``, ``Task`` and ``GenericResource`` have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .docker_link import EngineLink
from .docker_networks import LABEL, ensure_made
from .swarm_types import Membership, SwarmNode, SwarmTask

if TYPE_CHECKING:
    from .docker_client import EngineClient

ENDED = {"complete", "failed", "shutdown", "rejected", "remove", "orphaned"}
"""States of a task that holds nothing any more."""

UUID = re.compile(r"(GPU|MIG)-[A-Za-z0-9./-]{1,120}")
"""Of a GPU, as its driver names it; operators may cut it short."""

MILLI_IN_NANO = 1_000_000

Json = Mapping[str, Any]


async def membership(link: EngineLink) -> Membership:
    """Ask an engine for its place in a swarm.

    Raises
    ------
    Unavailable
        It does not answer.
    """
    return read_membership(await link.look(lambda client: client.info(), ("swarm", "")))


async def nodes(link: EngineLink) -> list[SwarmNode]:
    """List the nodes of the swarm that an engine manages.

    Raises
    ------
    Unavailable
        It does not answer, or manages none.
    """
    found = await link.look(lambda client: client.get_json("/nodes"), ("swarm", ""))
    return [read_node(item) for item in found]


async def tasks(link: EngineLink) -> list[SwarmTask]:
    """List the tasks that were given to a node and have not ended.

    Raises
    ------
    Unavailable
        It does not answer, or manages no swarm.
    """
    found = await link.look(lambda client: client.get_json("/tasks"), ("swarm", ""))
    return [
        SwarmTask(item["ID"], item["NodeID"], tuple(_gpus(item.get("GenericResources"))))
        for item in found
        if item.get("NodeID") and (item.get("Status") or {}).get("State") not in ENDED
    ]


async def ensure_overlay(link: EngineLink, name: str, *, encrypted: bool) -> None:
    """Make a network over all nodes, which containers may join, where there is none of this name.

    Raises
    ------
    Conflict
        There is one that reaches over one engine only.
    Unavailable
        The engine does not answer, or manages no swarm.
    """

    def make(client: EngineClient) -> None:
        client.post_json(
            "/networks/create",
            data={
                "Name": name,
                "Driver": "overlay",
                "Attachable": True,
                "CheckDuplicate": True,
                "Options": {"encrypted": ""} if encrypted else {},
                "Labels": {LABEL: name},
            },
        )

    await ensure_made(link, name, make, "overlay")


def read_membership(info: Json) -> Membership:
    """Read what an engine says of itself."""
    swarm = info.get("Swarm") or {}
    return Membership(
        swarm.get("LocalNodeState") or "inactive",
        bool(swarm.get("ControlAvailable")),
        swarm.get("NodeID") or "",
    )


def read_node(item: Json) -> SwarmNode:
    """Read an entry of the list of nodes."""
    spec, description = item.get("Spec") or {}, item.get("Description") or {}
    resources = description.get("Resources") or {}
    generic = resources.get("GenericResources")
    return SwarmNode(
        id=item["ID"],
        hostname=description.get("Hostname") or "",
        availability=spec.get("Availability") or "active",
        state=(item.get("Status") or {}).get("State") or "unknown",
        cpus=int(resources.get("NanoCPUs") or 0) // MILLI_IN_NANO,
        memory=int(resources.get("MemoryBytes") or 0),
        labels=spec.get("Labels") or {},
        gpus=_gpus(generic),
        counted_gpus=_counted(generic),
    )


def _gpus(generic: Sequence[Json] | None) -> dict[str, str]:
    return {
        str(named["Value"]): str(named["Kind"])[:128]
        for named in _specs(generic, "NamedResourceSpec")
        if UUID.fullmatch(str(named.get("Value")))
    }


def _counted(generic: Sequence[Json] | None) -> int:
    """How many are declared by a number, or by a name that is no UUID."""
    named = _specs(generic, "NamedResourceSpec")
    discrete = _specs(generic, "DiscreteResourceSpec")
    nameless = sum(not UUID.fullmatch(str(each.get("Value"))) for each in named)
    return nameless + sum(int(each.get("Value") or 0) for each in discrete)


def _specs(generic: Sequence[Json] | None, kind: str) -> Iterator[Json]:
    for item in generic or ():
        spec = item.get(kind) or {}
        # The operator names the kind: "NVIDIA-GPU" in NVIDIA's manual, "gpu" in Docker's.
        if "gpu" in str(spec.get("Kind") or "").lower():
            yield spec
