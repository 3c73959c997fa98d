"""Drivers of the session's engine, and engines that a test may break."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver

from ..conftest import ENGINE
from ..engines import images, require
from ..engines.dockerd import Dockerd, EngineMissing
from .api_users import admin, alice, bob, folder, join_as, owner_of, users

__all__ = ["admin", "alice", "bob", "folder", "join_as", "owner_of", "users"]


@pytest.fixture(scope="module", autouse=True)
def no_containers(request: pytest.FixtureRequest) -> None:
    """Have each file begin without what others, of any folder, left on the session's engine."""
    engine = request.session.stash.get(ENGINE, None)
    if engine is not None:
        engine.clean()


@pytest.fixture
def driver(
    docker_engine: Dockerd, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[DockerDriver]:
    """A driver of the session's engine; all containers that the test makes go with it."""
    driver = DockerDriver(address=docker_engine.url)
    yield driver
    jp_asyncio_loop.run_until_complete(driver.close())
    docker_engine.clean()


@pytest.fixture
def own_engine() -> Iterator[Dockerd]:
    """An engine that the test may stop, hang and kill, with ``busybox:latest``."""
    try:
        with Dockerd() as engine:
            images.load_busybox(engine)
            yield engine
    except EngineMissing as why:
        require.missing("docker", str(why))


@pytest.fixture
def own_driver(
    own_engine: Dockerd, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[DockerDriver]:
    """A driver of the test's own engine."""
    driver = DockerDriver(address=own_engine.url)
    yield driver
    jp_asyncio_loop.run_until_complete(driver.close())


@pytest.fixture
def name() -> str:
    """A name that no other container has."""
    return f"test.{secrets.token_hex(4)}"
