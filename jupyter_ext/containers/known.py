"""What is known of a container beside the engine's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..devices.records import LOCAL_DEVICE
from ..errors import Conflict
from .shares import Share


@dataclass(frozen=True, slots=True)
class Known:
    """A container's record, as it is kept in memory.

    Parameters
    ----------
    gpus
        The GPUs that it was made with.
    password
        Encrypted.
    """

    cid: int
    engine_id: str | None
    owner: str
    name: str
    image: str
    created_at: datetime
    server: str | None = None
    device: int = LOCAL_DEVICE
    share: Share = Share()
    gpus: tuple[int, ...] = ()
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """A container of the engine that no record belongs to.

    Parameters
    ----------
    cid
        The number that it had in a lost store.
    """

    engine_id: str
    owner: str
    name: str
    image: str
    created_at: datetime
    ports: Mapping[str, int | None]
    cid: int | None = None
    share: Share = Share()
    device: int = LOCAL_DEVICE


def free_name(name: str, owner: str, names: Collection[tuple[str, str]]) -> str:
    """The name, with a number behind it where its owner has it already."""
    if (owner, name) not in names:
        return name
    number = 2
    while (owner, f"{name}-{number}") in names:
        number += 1
    return f"{name}-{number}"


def name_taken(name: str) -> Conflict:
    """Say that a container's name is taken, at the field."""
    return Conflict(
        "container",
        name,
        f"You have a container named {name!r} already. Choose another name or delete that one.",
        fields={"name": "is taken"},
    )


def port_taken(port: int | str) -> Conflict:
    """Say that a port of the host is taken."""
    return Conflict(
        "port",
        port,
        f"Port {port} of the host is taken. Choose another one, or none to get any free one.",
        fields={"ports": f"{port} is taken"},
    )
