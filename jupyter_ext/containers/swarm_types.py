"""What a Docker Swarm tells of itself, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Membership:
    """An engine's place in a swarm.

    Parameters
    ----------
    state
        ``inactive``, ``pending``, ``active``, ``error`` or ``locked``.
    manager
        Whether it is one that can be asked about the others.
    node
        Its own id there; empty where it is in none.
    """

    state: str
    manager: bool
    node: str


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """A host of a swarm.

    Parameters
    ----------
    hostname
        Empty for a moment when it has just joined.
    labels
        Those that a manager gave it; what a node says of itself is not among them.
    availability
        ``active``, ``pause`` or ``drain``.
    state
        ``ready``, ``down``, ``disconnected`` or ``unknown``.
    cpus
        Thousandths of a processor.
    gpus
        By UUID, the kind under which the operator declared it.
    counted_gpus
        How many were declared by their number alone, so that nobody knows which they are.
    """

    id: str
    hostname: str
    availability: str
    state: str
    cpus: int = 0
    memory: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: Mapping[str, str] = field(default_factory=dict)
    counted_gpus: int = 0


@dataclass(frozen=True, slots=True)
class SwarmTask:
    """A task of a service, on the node that it was given to.

    Parameters
    ----------
    gpus
        UUIDs of the GPUs that the swarm gave it.
    """

    id: str
    node: str
    gpus: tuple[str, ...] = ()
