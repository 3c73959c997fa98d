"""An engine behind ssh, reached as the `docker` command does: by ``docker system dial-stdio``."""

from __future__ import annotations

import base64
import contextlib
import hashlib
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
    Where the address names the host's key, that one counts and no file.
    """

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._clients: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def connect(self, timeout: float) -> socket.socket:
        """Open a channel to the engine and return the near end of its socket pair."""
        channel = self._channel(timeout)
        try:
            channel.exec_command(COMMAND)
        except _problems() as error:
            channel.close()
            raise _broken(error) from error
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
                    self._clients.append(_log_in(self._address, LOGIN_DEADLINE))
            except _problems() as error:
                raise _broken(error) from error

    def _drop_dead(self) -> None:
        self._clients = [client for client in self._clients if _is_up(client)]

    def _channel(self, timeout: float) -> Any:
        # One at a time: who comes second finds the connection that the first one made.
        if not self._lock.acquire(timeout=timeout * 3):
            raise TimeoutError("the ssh connection is not there yet")
        try:
            self._drop_dead()
            for client in reversed(self._clients):
                # A server allows so many channels a connection, usually ten.
                with contextlib.suppress(*_problems()):
                    return client.get_transport().open_session(timeout=timeout)
            if self._closed:
                raise ConnectionAbortedError("the engine is being left")
            self._clients.append(_log_in(self._address, timeout))
            return self._clients[-1].get_transport().open_session(timeout=timeout)
        except _problems() as error:
            raise _broken(error) from error
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


def _problems() -> tuple[type[Exception], ...]:
    """Return what paramiko raises, besides errors of the system, where a connection breaks off."""
    return (_library().SSHException, EOFError)


def _broken(error: Exception) -> ConnectionError:
    return ConnectionError(f"ssh: {str(error) or 'the connection has ended'}")


def offered_key(url: str, timeout: float = LOGIN_DEADLINE) -> tuple[str, str]:
    """Ask an ssh server for its public key, without logging in.

    Returns
    -------
    tuple of str
        The key as ``known_hosts`` has it, and its fingerprint (``SHA256:…``, RFC 4648 without
        padding, as ``ssh-keygen -l`` prints it).

    Raises
    ------
    ConnectionError
        Nobody answers there, or no ssh server.
    """
    paramiko = _library()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    host, port, known = _target(url)
    proxy = known.get("proxycommand")
    try:
        way = (
            paramiko.ProxyCommand(proxy)
            if proxy
            else socket.create_connection((host, port), timeout)
        )
        transport = paramiko.Transport(way)
    except OSError as error:
        raise ConnectionError(str(error)) from error
    try:
        transport.start_client(timeout=timeout)
        key = transport.get_remote_server_key()
    except _problems() as error:
        raise _broken(error) from error
    finally:
        transport.close()
    return f"{key.get_name()} {key.get_base64()}", _fingerprint(key)


def _fingerprint(key: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _target(url: str) -> tuple[str, int, dict[str, Any]]:
    """Return where ssh connects to, and what its configuration says of that host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    config = _library().SSHConfig()
    with contextlib.suppress(OSError):
        config = _library().SSHConfig.from_path(str(Path.home() / ".ssh" / "config"))
    known = config.lookup(host)
    return known.get("hostname", host), parts.port or int(known.get("port", 22)), dict(known)


def _log_in(address: EngineAddress, timeout: float) -> Any:
    paramiko = _library()
    # What goes wrong is raised; it would be logged as well.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    host, port, known = _target(address.url)
    client = paramiko.SSHClient()
    if address.host_key:
        kind, _, text = address.host_key.partition(" ")
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
        client.get_host_keys().add(host if port == 22 else f"[{host}]:{port}", kind, key)
    else:
        client.load_system_host_keys()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    proxy = known.get("proxycommand")
    try:
        client.connect(
            host,
            port=port,
            username=urlsplit(address.url).username or known.get("user"),
            key_filename=known.get("identityfile"),
            sock=paramiko.ProxyCommand(proxy) if proxy else None,
            timeout=timeout,
            banner_timeout=timeout * 2,
            auth_timeout=timeout * 2,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        raise paramiko.SSHException(
            f"{host} shows another key, {_fingerprint(error.key)}, than the one that it is known "
            "by. It is another host, or somebody is between; nothing was sent to it"
        ) from error
    except BaseException:
        client.close()
        raise
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
