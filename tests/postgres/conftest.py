"""A real server whose databases lie in a cluster of its own; a cluster with backups."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..api.conftest import UNLIMITED
from ..engines import clusters, jupyter
from ..engines.desk_cluster import DeskCluster, desk_cluster
from ..engines.jupyter import JupyterServer
from .world import World, world_in

PASSWORD = "correct horse"


@dataclass
class Desk:
    """A server, its administrator, and where its cluster lies."""

    server: JupyterServer
    admin: httpx.Client
    folder: Path

    def user(self, name: str, **more: Any) -> httpx.Client:
        """Return a client of somebody new."""
        body = {"username": name, "password": PASSWORD, **more}
        self.admin.post("users", json=body).raise_for_status()
        return self.server.client(headers={"X-API-Key": self.server.user_key(name)})

    def made(self, client: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
        """Make a database."""
        reply = client.post("databases", json={"name": name, **more})
        assert reply.status_code == 201, reply.text
        found: dict[str, Any] = reply.json()
        return found


def settings(folder: Path, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the configuration of a server whose cluster lies in a folder."""
    return {
        "JupyterExt": {"rate_limits": UNLIMITED, "cluster_dir": str(folder)},
        "PostgresSettings": more,
        "BackupSettings": {"watch_interval": 1, "daily": 2, "loading_seconds": 3},
    }


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A server of this file's tests."""
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder)) as server,
        server.client() as admin,
    ):
        yield Desk(server, admin, folder)
        print(server.log[-6000:])


@pytest.fixture
def cluster() -> Iterator[DeskCluster]:
    """A cluster that does not run yet."""
    with desk_cluster() as made:
        yield made


@pytest.fixture
def world(cluster: DeskCluster) -> World:
    """A cluster with a repository, and no backup yet."""
    return asyncio.run(world_in(cluster))
