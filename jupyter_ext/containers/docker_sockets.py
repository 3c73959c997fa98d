"""Connections to the engine: blocking ones for its library, asyncio's for streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from .docker_address import EngineAddress

if TYPE_CHECKING:
    from .docker_ssh import SshDialer

T = TypeVar("T")

#: Seconds to reach the engine's machine.
CONNECT_DEADLINE = 2.0


class Dialer(Protocol):
    """What opens connections to one engine."""

    async def prepare(self) -> None:
        """Do what must be done once and may take long."""

    def connect(self, timeout: float) -> socket.socket:
        """Open a blocking connection."""

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection on the loop."""

    def close(self) -> None:
        """Give up what is shared by connections."""


class UnixDialer:
    """Connections over a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def prepare(self) -> None:
        """Nothing takes long."""

    def connect(self, timeout: float) -> socket.socket:
        """Open a blocking connection."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        return sock

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection on the loop."""
        return await asyncio.open_unix_connection(self._path)

    def close(self) -> None:
        """Nothing is shared."""


class TcpDialer:
    """Connections over TCP, encrypted where the address says so."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._context: ssl.SSLContext | None = None

    async def prepare(self) -> None:
        """Read the certificates, off the loop."""
        await in_thread(self._ssl)

    def _ssl(self) -> ssl.SSLContext | None:
        if self._address.tls and self._context is None:
            self._context = self._address.ssl_context()
        return self._context

    def connect(self, timeout: float) -> socket.socket:
        """Open a blocking connection."""
        host = self._address.host
        sock = socket.create_connection((host, self._address.port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self._ssl()
            return sock if context is None else context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection on the loop."""
        return await asyncio.open_connection(
            self._address.host, self._address.port, ssl=self._ssl()
        )

    def close(self) -> None:
        """Nothing is shared."""


class TunnelDialer:
    """Connections through ssh to the `docker` command of the engine's machine.

    Each is a pair of local sockets and a thread that copies between one of them and a channel of
    the shared ssh connection; so a connection ends, as all others do, when its socket is closed.
    """

    def __init__(self, tunnel: SshDialer) -> None:
        self._tunnel = tunnel

    async def prepare(self) -> None:
        """Log in where nobody is."""
        await in_thread(self._tunnel.prepare)

    def connect(self, timeout: float) -> socket.socket:
        """Open a blocking connection."""
        sock = self._tunnel.connect(timeout)
        sock.settimeout(timeout)
        return sock

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection on the loop."""
        sock = await in_thread(lambda: self._tunnel.connect(CONNECT_DEADLINE))
        return await asyncio.open_connection(sock=sock)

    def close(self) -> None:
        """Close the ssh connection."""
        self._tunnel.close()


def make_dialer(address: EngineAddress) -> Dialer:
    """Return what opens connections to `address`."""
    if address.kind == "unix":
        return UnixDialer(address.path)
    if address.kind == "ssh":
        from .docker_ssh import SshDialer  # paramiko is heavy and rarely needed

        return TunnelDialer(SshDialer(address))
    return TcpDialer(address)


async def in_thread(work: Callable[[], T]) -> T:
    """Run something that blocks in a thread of its own, which nobody waits for at exit."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, failure: BaseException | None) -> None:
        if future.done():
            if isinstance(result, socket.socket):
                result.close()
        elif failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="docker-dial", daemon=True).start()
    return await future
