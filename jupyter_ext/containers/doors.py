"""Where a container's web page is, and whether it is still the same run of the container.

The address comes from the engine alone, never from a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..errors import Conflict, Forbidden, NotFound, Unavailable
from .access import Access
from .engine_types import EngineContainer
from .known import Known
from .registry import Registry

if TYPE_CHECKING:
    from ..store import Store
    from .docker_driver import DockerDriver
    from .engines import Engines


@dataclass(frozen=True, slots=True)
class Door:
    """A port of a container, or of a service of this server, that runs.

    Parameters
    ----------
    cid
        None of a service.
    owner
        The owner's account id; None of a service, which is the administrators'.
    engine_id, started_at
        Which run of it: both change when it is made again, the second when it is started again.
    inside
        The port in the container.
    host, port
        Where the desk reaches it.
    password
        That the container was made with; None where nobody asked for one.
    cookie
        ``name=value`` that it wants to see.
    """

    cid: int | None
    name: str
    owner: str | None
    engine_id: str
    started_at: datetime | None
    inside: int
    host: str
    port: int
    password: str | None
    cookie: str | None = None

    @property
    def logs(self) -> str:
        """The command that shows what it says."""
        return f"pig logs {self.name}" if self.cid is None else f"pig container logs {self.name}"


class Doors:
    """Ways to containers' ports."""

    def __init__(self, access: Access, registry: Registry, engines: Engines, store: Store) -> None:
        self._access = access
        self._registry = registry
        self._engines = engines
        self._store = store

    async def of(self, caller: Account, ref: str, port: str) -> Door:
        """The way to a port of one's own container; to nobody else's, not an administrator's.

        Parameters
        ----------
        port
            ``8888/tcp``.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Forbidden
            The caller is an administrator, and it is somebody else's.
        Conflict
            It does not run, or does not publish the port.
        Unavailable
            It can't be reached from here, or the engine does not answer.
        """
        found = await self._access.fresh(caller, ref)
        known = self._registry.by_engine[found.id]
        if known.owner != caller.id:
            raise Forbidden(
                f"Only {found.owner} opens pages of {found.name}: they run in the browser of who "
                "looks at them."
            )
        self._running(known, found.engine)
        return self._door(known, found.engine, port)

    async def again(self, cid: int, port: str) -> Door:
        """The way to a port that was opened before.

        Raises
        ------
        NotFound
            The container is gone.
        Conflict
            It does not run, or does not publish the port.
        Unavailable
            The engine does not answer, and nobody knows when the container was started.
        """
        known = self._registry.by_cid.get(cid)
        engine = self._engines.containers.get(known.engine_id or "") if known else None
        if known is None or engine is None:
            raise NotFound("container", cid)
        self._running(known, engine)
        if engine.detail is None:
            engine = await self._engines.of(engine.id).mirror.detailed(engine.id)
            self._running(known, engine)
        return self._door(known, engine, port)

    def _running(self, known: Known, engine: EngineContainer) -> None:
        if engine.status == "paused":
            raise Conflict("container", known.name, f"{known.name} is paused. Start it again.")
        if engine.status != "running":
            raise Conflict(
                "container",
                known.name,
                f"{known.name} does not run. Start it (`pig container start {known.name}`), and "
                "open the page again.",
            )

    def _door(self, known: Known, engine: EngineContainer, port: str) -> Door:
        published = engine.ports.get(port)
        if published is None:
            raise Conflict(
                "container",
                known.name,
                f"{known.name} does not publish port {port.partition('/')[0]}. Containers made "
                "with a password (POST /containers) do; others name it in `ports`.",
            )
        more = engine.detail
        bound = more.published.get(port) if more else None
        return Door(
            known.cid,
            known.name,
            known.owner,
            engine.id,
            more.started_at if more else None,
            int(port.partition("/")[0]),
            reached(self._engines.driver(engine.id), bound.host_ip if bound else "", known.name),
            published,
            self._store.secrets.decrypt(known.password) if known.password else None,
        )


def reached(driver: DockerDriver, bound: str, name: str) -> str:
    """The address at which the desk reaches what is bound to `bound` on an engine's machine.

    Raises
    ------
    Unavailable
        That is another machine, and the address its loopback: here it leads somewhere else.
    """
    everywhere = not bound or ip_address(bound).is_unspecified
    if driver.local:
        return "127.0.0.1" if everywhere else bound
    host = driver.link.address.host
    if everywhere:
        return host
    if ip_address(bound).is_loopback:
        raise Unavailable(
            f"The ports of {name} are bound to {bound} of {host}, and this server is another "
            "machine.",
            "Set the device's bind_address (ContainerDefaults.bind_address of device 1) to an "
            "address of that machine which this server reaches, and make the container anew.",
        )
    return bound
