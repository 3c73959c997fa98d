"""The `docker` library, one client a thread, on connections that another thread can end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any

import requests.adapters
import urllib3.connection
import urllib3.connectionpool

from .docker_errors import EngineFault
from .docker_library import docker
from .docker_sockets import CONNECT_DEADLINE, Dialer

_NEWEST_API = "1.45"

# The library wants a port, and never uses it.
_ROOT = "http://docker:2375"


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, client: EngineClient) -> None:
        super().__init__("docker")
        self._client = client

    def connect(self) -> None:
        self.sock = self._client.dial()


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, client: EngineClient) -> None:
        super().__init__("docker", maxsize=1)
        self._client = client

    def _new_conn(self) -> _Connection:
        return _Connection(self._client)


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends all requests over connections that our dialer makes."""

    def __init__(self, client: EngineClient) -> None:
        super().__init__()
        self._pool = _Pool(client)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> _Pool:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        self._pool.close()


class EngineClient(docker.APIClient):  # type: ignore[misc]
    """What one thread asks the engine with.

    Parameters
    ----------
    dialer
        What opens connections.
    version
        Says which version of the API the engine and we agreed on.
    """

    def __init__(self, dialer: Dialer, version: Callable[[], str]) -> None:
        super().__init__(base_url=_ROOT, version=_NEWEST_API)
        self.trust_env = False
        self._dialer = dialer
        self._agreed = version
        self._sock: socket.socket | None = None
        self._aborted = False
        self.mount(f"{_ROOT}/", _Adapter(self))

    # -- for the thread and those who watch it

    def begin(self, deadline: float) -> None:
        """Prepare for a call that may take `deadline` seconds."""
        self._version = self._agreed()
        self.timeout = deadline
        self._aborted = False

    def dial(self) -> socket.socket:
        """Open the connection of the running call."""
        try:
            sock = self._dialer.connect(CONNECT_DEADLINE)
        except (BrokenPipeError, ConnectionResetError) as error:
            # urllib3 takes these for an answer that came early, and goes on without a connection.
            raise ConnectionAbortedError(str(error)) from error
        self._sock = sock
        if self._aborted:
            sock.close()
            raise ConnectionAbortedError("the call was given up")
        return sock

    def abort(self) -> None:
        """End the call that the thread waits in."""
        self._aborted = True
        if (sock := self._sock) is not None:
            # The plain socket's way also below TLS, whose own may wait for the other side.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # -- calls that the library makes in another way, or not at all

    def act(self, path: str, *args: str, params: Mapping[str, Any] | None = None) -> bool:
        """POST without a body; return whether the engine changed anything."""
        response = self._post(self._url(path, *args), params=dict(params or {}))
        self._raise_for_status(response)
        return bool(response.status_code != 304)

    def post_json(self, path: str, *args: str, data: Mapping[str, Any]) -> Any:
        """POST an object and return the object that comes back."""
        return self._result(self._post_json(self._url(path, *args), data=dict(data)), json=True)

    def tell_json(self, path: str, *args: str, data: Mapping[str, Any]) -> None:
        """POST an object to which nothing comes back."""
        response = self._post_json(self._url(path, *args), data=dict(data))
        self._raise_for_status(response)

    def get_json(self, path: str, *args: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET an object."""
        return self._result(self._get(self._url(path, *args), params=dict(params or {})), json=True)

    def head_path(self, container: str, path: str) -> dict[str, str] | None:
        """Return the headers that describe a file of a container, None where it is gone."""
        url = self._url("/containers/{0}/archive", container)
        response = self.head(url, params={"path": path}, timeout=self.timeout)
        return dict(response.headers) if response.status_code == 200 else None


def fault_of(error: BaseException) -> EngineFault | OSError | None:
    """Tell what the library raised: the engine's refusal, a broken connection, or None."""
    if isinstance(error, docker.errors.APIError):
        return EngineFault(error.status_code or 0, str(error.explanation or error))
    if isinstance(error, requests.exceptions.RequestException):
        return OSError(str(error))
    return error if isinstance(error, EngineFault | OSError) else None
