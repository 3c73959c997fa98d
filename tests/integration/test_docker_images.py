"""Images of a real engine, pulled from and pushed to a real registry."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.containers.image_types import PullProgress, RegistryLogin
from jupyter_ext.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable

from ..engines import images, require, scratch
from ..engines.dockerd import Dockerd
from ..engines.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.registry]

MEGABYTE = 1 << 20


def pushed(
    registry: Registry, name: str, *, sizes: tuple[int, ...] = (MEGABYTE,)
) -> tuple[str, str]:
    repository, _, tag = images.push_layers(registry.address, name, sizes=sizes).rpartition(":")
    return repository, tag


async def pull(driver: DockerDriver, name: str, tag: str = "latest") -> list[PullProgress]:
    return [progress async for progress in driver.pull(name, tag)]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A registry that wants a login: ``alice`` with ``secret``."""
    program = require.program("registry", "docker-registry")
    htpasswd = tmp_path / "htpasswd"
    # bcrypt, which the registry insists on, of "secret".
    htpasswd.write_text("alice:$2b$04$ehXbsesVWd62CPKTD8XBHePmxmoXdc6HdOVBdz69ovNdHwln6pH5K\n")
    address = f"127.0.0.1:{scratch.free_port()}"
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\n"
        f'http: {{addr: "{address}"}}\nauth: {{htpasswd: {{realm: tests, path: {htpasswd}}}}}\n'
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        scratch.wait_until(lambda: not scratch.is_free(int(address.rpartition(":")[2])), "registry")
        yield address
    finally:
        scratch.stop(process)


async def test_a_pull_tells_how_far_it_is(
    driver: DockerDriver, registry: Registry, name: str
) -> None:
    repository, tag = pushed(registry, name, sizes=(12 * MEGABYTE,) * 4)
    reports = await pull(driver, repository, tag)
    fractions = [report.fraction for report in reports if report.fraction is not None]
    assert fractions[-1] == 1
    assert len(reports[-1].layers) == 5
    assert any(0 < fraction < 1 for fraction in fractions)
    assert all(layer.current == layer.total for layer in reports[-1].layers)
    image = await driver.inspect_image(f"{repository}:{tag}")
    assert f"{repository}:{tag}" in image.tags
    assert image.digests[0].startswith(f"{repository}@sha256:")
    assert image.size > 48 * MEGABYTE
    assert image.command == ("sh",)
    listed = {found.id: found for found in await driver.list_images()}[image.id]
    assert (listed.tags, listed.digests, listed.size) == (image.tags, image.digests, image.size)
    again = await pull(driver, repository, tag)
    assert "up to date" in again[-1].message
    by_digest = image.digests[0].partition("@")[2]
    assert await pull(driver, repository, by_digest)
    await driver.remove_image(image.id, force=True)
    with pytest.raises(NotFound):
        await driver.inspect_image(image.id)


async def test_a_pull_that_nobody_reads_any_more_ends(
    driver: DockerDriver, registry: Registry, name: str
) -> None:
    repository, tag = pushed(registry, name, sizes=(24 * MEGABYTE,) * 3)
    pulling = driver.pull(repository, tag)
    assert isinstance(await anext(pulling), PullProgress)
    await pulling.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.5)
    with pytest.raises(NotFound):
        await driver.inspect_image(f"{repository}:{tag}")


async def test_an_image_that_the_registry_does_not_have(
    driver: DockerDriver, registry: Registry, name: str
) -> None:
    with pytest.raises(NotFound, match="can't be pulled: .*Check the name") as caught:
        await pull(driver, f"{registry.address}/{name}")
    assert (caught.value.kind, caught.value.name) == ("image", f"{registry.address}/{name}:latest")
    repository, _ = pushed(registry, name)
    with pytest.raises(NotFound, match="nothing-like-this"):
        await pull(driver, repository, "nothing-like-this")


async def test_a_registry_that_is_not_there(driver: DockerDriver, name: str) -> None:
    address = f"127.0.0.1:{scratch.free_port()}"
    with pytest.raises(NotFound, match="connection refused.*reaches the registry"):
        await pull(driver, f"{address}/{name}")


async def test_an_impossible_name(driver: DockerDriver) -> None:
    with pytest.raises((InvalidRequest, NotFound)):
        await pull(driver, "Not A Name")


async def test_logins_at_a_registry(
    driver: DockerDriver, docker_engine: Dockerd, guarded: str, name: str
) -> None:
    ref = f"{guarded}/{name}"
    await driver.tag("busybox:latest", ref, "1")
    # The engine answers such a push with success and mentions the refusal on the way.
    with pytest.raises(Forbidden, match="Log in"):
        async for _ in driver.push(ref, "1"):
            pass
    wrong = RegistryLogin("alice", "wrong")
    with pytest.raises(Forbidden):
        async for _ in driver.push(ref, "1", wrong):
            pass
    assert "wrong" not in repr(wrong)
    login = RegistryLogin("alice", "secret")
    reports = [report async for report in driver.push(ref, "1", login)]
    assert reports[-1].fraction == 1
    await driver.remove_image(f"{ref}:1")
    with pytest.raises(NotFound, match="log in"):
        await pull(driver, ref, "1")
    async for _ in driver.pull(ref, "1", login):
        pass
    assert (await driver.inspect_image(f"{ref}:1")).tags
    await driver.remove_image(f"{ref}:1")


async def test_a_push_to_nobody(driver: DockerDriver, name: str) -> None:
    ref = f"127.0.0.1:{scratch.free_port()}/{name}"
    await driver.tag("busybox:latest", ref, "1")
    with pytest.raises(Unavailable, match="Is the registry up"):
        async for _ in driver.push(ref, "1"):
            pass
    await driver.remove_image(f"{ref}:1")
    with pytest.raises((NotFound, Unavailable)):
        async for _ in driver.push(ref, "1"):
            pass


async def test_an_image_in_use_stays(driver: DockerDriver, registry: Registry, name: str) -> None:
    repository, tag = pushed(registry, name)
    await pull(driver, repository, tag)
    ref = f"{repository}:{tag}"
    made = await driver.run(ContainerSpec(name, ref, command=("sleep", "1000")))
    with pytest.raises(Conflict, match="container"):
        await driver.remove_image(ref)
    await driver.remove(made.id, force=True)
    await driver.remove_image(ref)
    with pytest.raises(NotFound) as caught:
        await driver.remove_image(ref)
    assert caught.value.kind == "image"


async def test_tags(driver: DockerDriver, name: str) -> None:
    await driver.tag("busybox:latest", name, "1")
    image = await driver.inspect_image(f"{name}:1")
    assert {"busybox:latest", f"{name}:1"} <= set(image.tags)
    await driver.remove_image(f"{name}:1")
    assert (await driver.inspect_image("busybox:latest")).id == image.id
    with pytest.raises(NotFound):
        await driver.tag("nothing-like-this:1", name, "1")


def test_progress_needs_no_library() -> None:
    program = (
        "import sys, jupyter_ext.containers.docker_images;"
        "sys.exit(any(m in sys.modules for m in ('docker', 'requests')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
