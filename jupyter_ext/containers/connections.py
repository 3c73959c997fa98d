"""Tells the owner of a container how to get into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from . import views
from .connection import JUPYTER, SSH, TENSORBOARD, login
from .engines import Engines
from .manager import ContainerManager
from .registry import Registry
from .replies import Connection
from .schemas import ConnectionQuery
from .views import Container

if TYPE_CHECKING:
    from ..store.secrets import Secrets


class ContainerConnections:
    """Ports and passwords of containers.

    Parameters
    ----------
    secrets
        Read the passwords that the registry keeps.
    engines
        Say which address ports are bound to.
    """

    def __init__(
        self,
        containers: ContainerManager,
        registry: Registry,
        secrets: Secrets,
        engines: Engines,
    ) -> None:
        self._containers = containers
        self._registry = registry
        self._secrets = secrets
        self._engines = engines

    def address(self, item: Container) -> str:
        """What a container's ports are bound to."""
        return self._engines.bind_address(item.device)

    async def show(self, caller: Account, ref: str, query: ConnectionQuery) -> Connection:
        """Tell the way into a container.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        """
        found = await self._containers.get(caller, ref)
        way = self.of(found)
        return {**way, "password": self.password(found)} if query.password else way

    def password(self, item: Container) -> str | None:
        """Return what it was made with, None where that is nothing."""
        secret = self._registry.by_cid[item.cid].password
        return self._secrets.decrypt(secret) if secret else None

    def of(self, item: Container) -> Connection:
        """Tell the way into a container, without its password."""
        shown = views.detail(item)
        ports = shown["ports"]
        return {
            "ip": self.address(item),
            "user": login(shown["config"]["user"]),
            "ports": {
                "ssh": ports.get(SSH),
                "jupyter": ports.get(JUPYTER),
                "tensorboard": ports.get(TENSORBOARD),
            },
            "has_password": self._registry.by_cid[item.cid].password is not None,
        }
