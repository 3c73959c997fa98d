"""An ssh server with one user, behind which an engine is."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import paramiko


class Server(paramiko.ServerInterface):
    """A person's login on the engine's machine."""

    def __init__(self, key: str, target: str, logins: list[str]) -> None:
        self._key = key
        self._target = target
        self._logins = logins
        self._channels = 0

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._logins.append(username)
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
        # The whole connection may have ended.
        with contextlib.suppress(OSError, EOFError):
            channel.close()
        self._channels -= 1


class SshServer:
    """A machine that can be reached over ssh and has an engine.

    Parameters
    ----------
    home
        Of whoever may log in: gets a key, and this host among those that it knows.
    target
        The path of the engine's socket.

    Attributes
    ----------
    logins
        The names of all who tried.
    """

    def __init__(self, home: Path, target: str) -> None:
        self.host_key: paramiko.PKey = paramiko.ECDSAKey.generate()
        self.logins: list[str] = []
        user = paramiko.ECDSAKey.generate()
        self._user = user.get_base64()
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.transports: list[paramiko.Transport] = []
        (home / ".ssh").mkdir(mode=0o700)
        user.write_private_key_file(str(home / ".ssh" / "id_ecdsa"))
        self.known = home / ".ssh" / "known_hosts"
        key = f"{self.host_key.get_name()} {self.host_key.get_base64()}"
        self.known.write_text(f"[127.0.0.1]:{self.port} {key}\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self.host_key)
                self.transports.append(transport)
                # Whoever only asks for the key is gone before the greeting has ended.
                with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                    transport.start_server(server=Server(self._user, self._target, self.logins))

    @property
    def address(self) -> str:
        """What it is reached by."""
        return f"ssh://me@127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        """Of its key, as ``ssh-keygen -l`` prints it; reckoned by paramiko."""
        return str(self.host_key.fingerprint)

    def show(self, key: paramiko.PKey) -> None:
        """Be a host with another key from now on."""
        self.host_key = key
        self.cut()

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for transport in self.transports:
            transport.close()
        self.transports.clear()
