"""The engines of all devices: which one has a container, and what each last said."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import NotFound
from .engine_types import EngineContainer
from .registry import Registry

if TYPE_CHECKING:
    from .docker_driver import DockerDriver
    from .mirror import Mirror
    from .statistics import Sampler


@dataclass(eq=False)
class Engine:
    """A device's engine.

    Parameters
    ----------
    did
        The device's number.
    mirror
        What it has, without asking it.
    sampler
        Measures what runs on it.
    bind_address
        What the ports of its containers are bound to.
    draining
        Whether nothing new is placed there.
    lost
        Whether it was not heard of for so long that its containers are shown as lost; never of the
        machine's own, whose engine is away and comes back.
    node
        Its id in the swarm that the machine's own engine manages; None of what is in none.
    """

    did: int
    driver: DockerDriver
    mirror: Mirror
    sampler: Sampler
    bind_address: str
    draining: bool = False
    lost: bool = False
    node: str | None = None


class Engines:
    """All of them; a container's id of 256 random bits means it on every device.

    Attributes
    ----------
    containers
        What all mirrors hold, by the engine's id.
    """

    def __init__(self, registry: Registry, local: Engine) -> None:
        self._registry = registry
        self._by_did = {local.did: local}
        self.local = local
        self.containers: Mapping[str, EngineContainer] = local.mirror.containers

    def __iter__(self) -> Iterator[Engine]:
        return iter(tuple(self._by_did.values()))

    def add(self, engine: Engine) -> None:
        """Have a device's engine among them."""
        self._by_did[engine.did] = engine
        self._join()

    def remove(self, did: int) -> Engine | None:
        """Have it among them no more, and return it."""
        engine = self._by_did.pop(did, None)
        self._join()
        return engine

    def _join(self) -> None:
        all_ = [engine.mirror.containers for engine in self]
        # What only one engine has needs no search.
        self.containers = all_[0] if len(all_) == 1 else ChainMap(*all_)

    def on(self, did: int) -> Engine:
        """Return a device's engine.

        Raises
        ------
        NotFound
            No such device is served here.
        """
        engine = self._by_did.get(did)
        if engine is None:
            raise NotFound("device", did)
        return engine

    def of(self, container: str) -> Engine:
        """Return the engine that has a container, the machine's own where nobody knows."""
        known = self._registry.by_engine.get(container)
        if known is not None and known.device in self._by_did:
            return self._by_did[known.device]
        for engine in self._by_did.values():
            if container in engine.mirror.containers:
                return engine
        return self.local

    def in_swarm(self, engine: Engine) -> bool:
        """Whether an engine is in one swarm with the machine's own and at least one more."""
        nodes = [each.node for each in self if each.node is not None]
        return engine.node is not None and self.local.node is not None and len(nodes) > 1

    def bind_address(self, did: int) -> str:
        """Return what ports are bound to on a device."""
        engine = self._by_did.get(did)
        return engine.bind_address if engine else ""

    def driver(self, container: str) -> DockerDriver:
        """Return what drives the engine that has a container."""
        return self.of(container).driver

    # -- what is known ---------------------------------------------------------------------------

    def put(self, container: EngineContainer) -> None:
        """Take an answer of an engine's into its mirror."""
        self.of(container.id).mirror.put(container)

    def refresh(self, container: str) -> None:
        """Ask the engine for a container soon."""
        self.of(container).mirror.refresh(container)

    def drop(self, container: str) -> None:
        """Forget a container that is gone."""
        self.of(container).mirror.drop(container)
