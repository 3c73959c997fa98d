"""A real container, with the product's own state in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..conftest import MakeServer
from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.stores import PostgresStore
from .api_users import User, inspect, left

pytestmark = [pytest.mark.docker, pytest.mark.postgres]


def test_a_container_from_creation_to_deletion(
    postgres_store: PostgresStore,
    make_server: MakeServer,
    owner_of: Callable[[JupyterServer], User],
    docker_engine: Dockerd,
    busybox_image: str,
) -> None:
    docker_engine.clean()
    server = make_server(docker_host=docker_engine.url, config=postgres_store.config)
    owner = owner_of(server)
    made = owner.run("web", ports={"80/tcp": None})
    assert made["status"] == "running"
    assert inspect(docker_engine, made["id"])["State"]["Running"]
    assert [each["name"] for each in owner("GET", "/containers")["items"]] == ["web"]
    assert postgres_store.containers() == ["web"]
    assert not (server.home / "store.db").exists()
    assert (
        "web"
        in owner("POST", "/containers", 409, json={"name": "web", "image": "busybox"})["message"]
    )
    assert owner("POST", "/containers/web/stop")["status"] == "exited"
    assert owner("DELETE", "/containers/web") == {"id": made["id"]}
    assert owner("GET", "/containers")["total"] == 0
    assert postgres_store.containers() == []
    assert left(docker_engine) == ""
