"""Engines behind TLS and ssh, which look like engines on other machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from jupyter_ext.containers.docker_address import EngineAddress
from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.docker_ssh import SshDialer
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.containers.statistics import Sampler
from jupyter_ext.errors import NotFound, Unavailable

from ..engines import images, require
from ..engines.certificates import Certificates
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.scratch import free_port
from ..engines.ssh import SshServer

pytestmark = pytest.mark.docker

IMAGE = "busybox:latest"


async def everything_works(driver: DockerDriver, name: str) -> None:
    """Use each kind of call and stream once."""
    assert not driver.local
    mirror = Mirror(driver)
    following = asyncio.ensure_future(mirror.run())
    await mirror.first_try(20)
    assert mirror.reached, mirror.problem
    spec = ContainerSpec(name, IMAGE, command=("sh", "-c", "echo hello; sleep 1000"))
    made = await driver.run(spec)
    async with asyncio.timeout(10):
        while made.id not in mirror.containers:
            await asyncio.sleep(0.01)
    logs = driver.follow_logs(made.id)
    assert await anext(logs) == ("stdout", b"hello\n")
    await logs.aclose()  # type: ignore[attr-defined]
    session = await driver.exec(made.id, ["sh"], tty=True)
    await session.write(b"echo $((6*7)); exit 5\n")
    text = b""
    while (part := await session.read()) is not None:
        text += part[1]
    assert b"42" in text
    assert await session.exit_code() == 5
    await session.close()
    await driver.put_archive(made.id, "/root", images.random_layer(300_000, "file"))
    parts = [part async for part in driver.get_archive(made.id, "/root/file")]
    assert len(b"".join(parts)) > 300_000
    sizes = {change.path: change.size for change in (await driver.changes(made.id)).items}
    assert sizes["/root/file"] == 300_000
    sampler = Sampler(driver, mirror)
    [sample] = await sampler.sweep()
    assert sample.memory_limit > 0
    assert sample.cpu_usage is not None
    calls = (driver.inspect(made.id) for _ in range(30))
    assert {found.id for found in await asyncio.gather(*calls)} == {made.id}
    with pytest.raises(NotFound):
        await driver.inspect("nobody")
    await driver.remove(made.id, force=True)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


# -- TLS


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Certificates]]:
    certificates = Certificates(tmp_path)
    address = f"tcp://127.0.0.1:{free_port()}"
    try:
        with Dockerd(listen=(address,), options=certificates.options) as engine:
            images.load_busybox(engine)
            yield address, certificates
    except EngineMissing as why:
        require.missing("docker", str(why))


async def test_an_engine_behind_tls(
    tls: tuple[str, Certificates], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    address, certificates = tls
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates.client))
    driver = DockerDriver()
    await everything_works(driver, name)
    await driver.close()


async def test_an_engine_that_does_not_know_us(
    tls: tuple[str, Certificates], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, certificates = tls
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    monkeypatch.setenv("DOCKER_CERT_PATH", str(Certificates(strangers).client))
    driver = DockerDriver(address=address)
    with pytest.raises(Unavailable, match="certificate"):
        await driver.ping()
    await driver.close()
    # Nor does it answer without any certificate, or in the clear.
    for variable in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(variable)
    driver = DockerDriver(address=address)
    with pytest.raises(Unavailable):
        await driver.list_containers()
    await driver.close()


# -- ssh


@pytest.fixture
def ssh(
    docker_engine: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SshServer]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server = SshServer(tmp_path, str(docker_engine.socket))
    yield server
    server.close()
    docker_engine.clean()


async def test_an_engine_behind_ssh(ssh: SshServer, name: str) -> None:
    driver = DockerDriver(address=f"ssh://me@127.0.0.1:{ssh.port}")
    await everything_works(driver, name)
    # More was open at once than one connection may have.
    assert len(ssh.transports) > 1
    ssh.cut()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Unavailable):
                await driver.list_containers()
                break
            await asyncio.sleep(0.2)
    await driver.close()


@pytest.mark.parametrize("ended", [paramiko.SSHException("gone"), EOFError()], ids=repr)
@pytest.mark.parametrize(
    "step", [(paramiko.Transport, "open_session"), (paramiko.Channel, "exec_command")]
)
def test_a_connection_that_ends_at_any_step_is_told(
    ssh: SshServer, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str], ended: Exception
) -> None:
    dialer = SshDialer(EngineAddress(ssh.address))
    dialer.connect(5).close()

    def end(*_: object, **__: object) -> None:
        raise ended

    monkeypatch.setattr(*step, end)
    with pytest.raises(ConnectionError, match="ssh: gone|ssh: the connection has ended"):
        dialer.connect(5)
    dialer.close()


async def test_a_name_of_ones_own_in_the_configuration(ssh: SshServer, tmp_path: Path) -> None:
    (tmp_path / ".ssh" / "config").write_text(
        f"Host far\n  HostName 127.0.0.1\n  Port {ssh.port}\n  User me\n"
    )
    driver = DockerDriver(address="ssh://far")
    assert await driver.list_containers() == []
    await driver.close()


@pytest.mark.parametrize("problem", ["unknown host", "unknown person"])
async def test_a_login_that_fails_is_said(ssh: SshServer, problem: str) -> None:
    user = "me"
    if problem == "unknown host":
        ssh.known.write_text("")
    else:
        user = "somebody"
    driver = DockerDriver(address=f"ssh://{user}@127.0.0.1:{ssh.port}")
    with pytest.raises(Unavailable, match="known_hosts|uthentication"):
        await driver.ping()
    await driver.close()


async def test_ssh_leaves_no_files_open(ssh: SshServer) -> None:
    driver = DockerDriver(address=f"ssh://me@127.0.0.1:{ssh.port}")
    await driver.list_containers()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        await driver.ping()
    await asyncio.sleep(0.3)
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # noqa: PTH208
    await driver.close()
