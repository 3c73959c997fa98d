"""An engine behind ssh, reached as the `docker` command does: by ``docker system dial-stdio``."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import Unavailable
from .docker_address import EngineAddress

COMMAND = "docker system dial-stdio"

#: Seconds that each step of the first contact may take.
LOGIN_DEADLINE = 5.0


class SshDialer:
    """As many channels as are asked for, on as few ssh connections as the server allows.

    Known hosts, keys, agents and ``~/.ssh/config`` are used as ssh does; unknown hosts are refused.
    """

    def __init__(self, address: EngineAddress) -> None:
        self._url = address.url
        self._clients: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def connect(self, timeout: float) -> socket.socket:
        """Open a channel to the engine and return the near end of its socket pair."""
        channel = self._channel(timeout)
        try:
            channel.exec_command(COMMAND)
        except BaseException:
            channel.close()
            raise
        near, far = socket.socketpair()
        threading.Thread(target=_copy, args=(channel, far), name="docker-ssh", daemon=True).start()
        return near

    def close(self) -> None:
        """Close the connections and all their channels."""
        self._closed = True
        clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def prepare(self) -> None:
        """Log in, which may take much longer than all that follows."""
        with self._lock:
            self._drop_dead()
            try:
                if not self._clients and not self._closed:
                    self._clients.append(_log_in(self._url, LOGIN_DEADLINE))
            except _library().SSHException as error:
                raise ConnectionError(f"ssh: {error}") from error

    def _drop_dead(self) -> None:
        self._clients = [client for client in self._clients if _is_up(client)]

    def _channel(self, timeout: float) -> Any:
        problem = _library().SSHException
        # One at a time: who comes second finds the connection that the first one made.
        if not self._lock.acquire(timeout=timeout * 3):
            raise TimeoutError("the ssh connection is not there yet")
        try:
            self._drop_dead()
            for client in reversed(self._clients):
                # A server allows so many channels a connection, usually ten.
                with contextlib.suppress(problem):
                    return client.get_transport().open_session(timeout=timeout)
            if self._closed:
                raise ConnectionAbortedError("the engine is being left")
            self._clients.append(_log_in(self._url, timeout))
            return self._clients[-1].get_transport().open_session(timeout=timeout)
        except problem as error:
            raise ConnectionError(f"ssh: {error}") from error
        finally:
            self._lock.release()


def _is_up(client: Any) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def _library() -> Any:
    """Load paramiko, which is heavy and rarely needed."""
    try:
        import paramiko
    except ImportError as error:
        raise Unavailable(
            "An engine behind ssh needs paramiko.", "Install it: `pip install paramiko`."
        ) from error
    return paramiko


def _log_in(url: str, timeout: float) -> Any:
    paramiko = _library()
    # What goes wrong is raised; it would be logged as well.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    parts = urlsplit(url)
    host = parts.hostname or ""
    config = paramiko.SSHConfig()
    with contextlib.suppress(OSError):
        config = paramiko.SSHConfig.from_path(str(Path.home() / ".ssh" / "config"))
    known = config.lookup(host)
    client = paramiko.SSHClient()
    client.load_system_host_keys()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    proxy = known.get("proxycommand")
    client.connect(
        known.get("hostname", host),
        port=parts.port or int(known.get("port", 22)),
        username=parts.username or known.get("user"),
        key_filename=known.get("identityfile"),
        sock=paramiko.ProxyCommand(proxy) if proxy else None,
        timeout=timeout,
        banner_timeout=timeout * 2,
        auth_timeout=timeout * 2,
    )
    transport = client.get_transport()
    if transport is not None:
        # A machine that is gone is noticed though nothing is sent to it.
        transport.set_keepalive(15)
    return client


def _copy(channel: Any, far: socket.socket) -> None:
    """Copy both ways until one side has closed; an end of writing is passed on."""
    sources: list[Any] = [channel, far]
    with far, contextlib.suppress(OSError, EOFError, ValueError):
        while channel in sources:
            ready, _, _ = select.select(sources, [], [])
            if channel in ready:
                if not (data := channel.recv(65536)):
                    break
                far.sendall(data)
            if far in ready:
                if data := far.recv(65536):
                    channel.sendall(data)
                else:
                    # Closed, or only done with writing: what the engine still says tells which.
                    channel.shutdown_write()
                    sources.remove(far)
    # A connection that has ended has no more use for the news.
    with contextlib.suppress(OSError, EOFError):
        channel.close()
