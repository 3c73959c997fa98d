"""Engines behind TLS and ssh, which look like engines on other machines."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.containers.mirror import Mirror
from jupyter_ext.containers.statistics import Sampler
from jupyter_ext.errors import NotFound, Unavailable

from ..engines import images, require
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.scratch import free_port

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


class Certificates:
    """An authority, and keys that it vouches for, as the docker command wants them."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._pem = self._sign(self._name, self._key, authority)
        self.server = self.make(folder / "server", ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self.make(folder / "client", ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(authority, critical=False)
            .add_extension(own, critical=False)
        )
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def make(self, folder: Path, usage: x509.ObjectIdentifier) -> Path:
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        pem = self._sign(
            subject, key, x509.ExtendedKeyUsage([usage]), x509.SubjectAlternativeName([address])
        )
        (folder / "ca.pem").write_bytes(self._pem)
        (folder / "cert.pem").write_bytes(pem)
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return folder


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Certificates]]:
    certificates = Certificates(tmp_path)
    address = f"tcp://127.0.0.1:{free_port()}"
    server = certificates.server
    options = (
        "--tlsverify",
        *("--tlscacert", str(server / "ca.pem")),
        *("--tlscert", str(server / "cert.pem")),
        *("--tlskey", str(server / "key.pem")),
    )
    try:
        with Dockerd(listen=(address,), options=options) as engine:
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


class Server(paramiko.ServerInterface):
    """A person's login on the engine's machine."""

    def __init__(self, key: str, target: str) -> None:
        self._key = key
        self._target = target
        self._channels = 0

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "me" and key.get_base64() == self._key
        return paramiko.common.AUTH_SUCCESSFUL if good else paramiko.common.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        # As OpenSSH's MaxSessions, only sooner.
        if self._channels >= 5:
            return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        self._channels += 1
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if command != b"docker system dial-stdio":
            return False
        threading.Thread(target=self._dial, args=(channel,), daemon=True).start()
        return True

    def _dial(self, channel: paramiko.Channel) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self._target)

            def upward() -> None:
                with contextlib.suppress(OSError, EOFError):
                    while data := channel.recv(65536):
                        engine.sendall(data)
                    engine.shutdown(socket.SHUT_WR)

            threading.Thread(target=upward, daemon=True).start()
            with contextlib.suppress(OSError, EOFError):
                while data := engine.recv(65536):
                    channel.sendall(data)
        channel.close()
        self._channels -= 1


class SshServer:
    """A machine that can be reached over ssh and has an engine."""

    def __init__(self, home: Path, target: str) -> None:
        self._host = paramiko.ECDSAKey.generate()
        user = paramiko.ECDSAKey.generate()
        self._user = user.get_base64()
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.transports: list[paramiko.Transport] = []
        (home / ".ssh").mkdir(mode=0o700)
        user.write_private_key_file(str(home / ".ssh" / "id_ecdsa"))
        self.known = home / ".ssh" / "known_hosts"
        key = f"{self._host.get_name()} {self._host.get_base64()}"
        self.known.write_text(f"[127.0.0.1]:{self.port} {key}\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self._host)
                self.transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=Server(self._user, self._target))

    def close(self) -> None:
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        for transport in self.transports:
            transport.close()
        self.transports.clear()


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
