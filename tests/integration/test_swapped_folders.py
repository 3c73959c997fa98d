"""A folder that is swapped for a link just while the engine mounts it, on a real engine.

The users' folders belong to one user of the host, as where all of a team share one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec, EngineContainer
from jupyter_ext.containers.schemas import NewContainer, StopOptions
from jupyter_ext.containers.views import Container
from jupyter_ext.errors import Forbidden

from ..containers.conftest import ALICE, World, make_world
from ..engines.dockerd import Dockerd
from .api_users import GID, UID, left

__all__ = ["make_world"]

pytestmark = pytest.mark.docker
PLAIN = StopOptions()


class Swapping(DockerDriver):
    """The real driver, and an attacker with perfect timing."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)

    async def run(self, spec: ContainerSpec) -> EngineContainer:
        self.before()
        made = await super().run(spec)
        found = await self._ended(made.id)
        self.after()
        return found

    async def start(self, container: str) -> bool:
        self.before()
        changed = await super().start(container)
        await self._ended(container)
        self.after()
        return changed

    async def _ended(self, container: str) -> EngineContainer:
        while True:
            found = await self.inspect(container)
            if not found.running:
                return found
            await asyncio.sleep(0.02)


@pytest.fixture
def swapping(docker_engine: Dockerd) -> Swapping:
    docker_engine.clean()
    return Swapping(address=docker_engine.url)


@pytest.fixture
def world(make_world: Callable[..., World], swapping: Swapping) -> World:
    return make_world(cast(Any, swapping))


@pytest.fixture
def folders(world: World) -> tuple[Path, Path]:
    """Alice's folder and bob's."""
    found = (world.root / "alice" / "data", world.root / "bob" / "data")
    for folder in found:
        folder.mkdir(parents=True)
        (folder / "whose").write_text(folder.parent.name)
        for path in (folder.parent, folder, folder / "whose"):
            os.chown(path, UID, GID)
    return found


def attack(swapping: Swapping, alices: Path, bobs: Path) -> None:
    away = alices.with_name("away")

    def swap() -> None:
        alices.rename(away)
        alices.symlink_to(bobs)

    def swap_back() -> None:
        alices.unlink()
        away.rename(alices)

    swapping.before, swapping.after = swap, swap_back


def body(folder: Path) -> NewContainer:
    volumes = [{"host_path": str(folder), "container_path": "/data"}]
    return NewContainer.model_validate(
        {"name": "quick", "image": "busybox", "volumes": volumes, "command": "cat /data/whose"}
    )


async def test_a_container_that_ends_at_once(world: World, folders: tuple[Path, Path]) -> None:
    made = await world.containers.create(ALICE, body(folders[0]))
    assert isinstance(made, Container)
    assert made.engine.status == "exited"
    assert await world.service.engines.local.driver.logs(made.id) == "alice"
    assert (await world.containers.start(ALICE, "quick")).changed


async def test_a_swap_at_the_making_is_seen_afterwards(
    world: World, swapping: Swapping, folders: tuple[Path, Path], docker_engine: Dockerd
) -> None:
    attack(swapping, *folders)
    with pytest.raises(Forbidden, match="replaced"):
        await world.containers.create(ALICE, body(folders[0]))
    # With it went what it had printed.
    assert left(docker_engine) == ""


async def test_a_swap_at_a_later_start_is_seen_afterwards(
    world: World, swapping: Swapping, folders: tuple[Path, Path]
) -> None:
    await world.containers.create(ALICE, body(folders[0]))
    attack(swapping, *folders)
    with pytest.raises(Forbidden, match="replaced"):
        await world.containers.start(ALICE, "quick")
    with pytest.raises(Forbidden, match="replaced"):
        await world.containers.restart(ALICE, "quick", PLAIN, PLAIN)
