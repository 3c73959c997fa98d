"""What the figures share: engines, servers, and clients that cost little themselves."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg

from jupyter_ext.api.dialects import DIALECTS
from tests.engines.dockerd import Dockerd
from tests.engines.images import load_busybox
from tests.engines.jupyter import JupyterServer, jupyter_server

IMAGE = "busybox:latest"
COMMAND = ("sleep", "3600")

#: Requests are counted as always, and never refused.
UNLIMITED = {dialect.name: {"amount": 0} for dialect in DIALECTS}

PROBE = "benchmarks.probe"

#: Extensions of others, off on both sides: they go on loading in the background after the start.
OTHERS = ("jupyterlab", "jupyter_lsp", "notebook", "notebook_shim")


# -- engines and servers


@contextmanager
def engine() -> Iterator[Dockerd]:
    """A Docker engine of the benchmarks' own, with an image of 2 MB."""
    with Dockerd() as docker:
        load_busybox(docker, IMAGE)
        yield docker


def server(
    docker: Dockerd | None,
    *,
    extension: bool = True,
    probe: bool = True,
    extensions: tuple[str, ...] = (),
    traits: dict[str, Any] | None = None,
    **more: Any,
) -> AbstractContextManager[JupyterServer]:
    """Run a Jupyter server: with the extension and limits raised by trait, or a bare one.

    Parameters
    ----------
    probe
        Also run the benchmarks' own small extension in it.
    extensions
        Further ones.
    traits
        Of the extension.
    """
    enabled = {"jupyter_ext": extension, PROBE: probe, **dict.fromkeys(extensions, True)}
    config: dict[str, dict[str, Any]] = {
        "ServerApp": {
            "jpserver_extensions": enabled | dict.fromkeys(OTHERS, False),
            **more.pop("server_app", {}),
        }
    }
    if extension:
        config["JupyterExt"] = {"rate_limits": UNLIMITED, **(traits or {})}
    # An installed package has its bytecode, a checkout keeps it from the first start on.
    environ = {"PYTHONDONTWRITEBYTECODE": "", **more.pop("environ", {})}
    return jupyter_server(
        environ=environ,
        docker_host=None if docker is None else docker.url,
        base_url="/",
        config=config,
        extension=extension,
        **more,
    )


def tidy(docker: Dockerd) -> None:
    """Remove all containers between two rounds; an engine that takes too long keeps some."""
    with suppress(subprocess.TimeoutExpired):
        docker.clean(timeout=60)


def fill(docker: Dockerd, count: int, *, start: bool) -> list[str]:
    """Make containers by the engine's own API, four at a time, and return their ids."""
    body = {"Image": IMAGE, "Cmd": list(COMMAND), "HostConfig": {"Init": True}}

    def make(number: int) -> str:
        with Caller.of_engine(docker) as caller:
            found: dict[str, Any] = caller.json(
                "POST", f"/containers/create?name=filled-{number}", body
            )
            if start:
                caller.call("POST", f"/containers/{found['Id']}/start")
            return str(found["Id"])

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(make, range(count)))


def fill_database(url: str, rows: int) -> None:
    """Make a table of this many rows, of about 740 bytes each."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) AS text"
            " FROM generate_series(1, %s) i",
            [rows],
        )


def wait_for_count(caller: Caller, count: int, seconds: float = 60) -> None:
    """Wait until the extension lists that many containers."""
    until = time.monotonic() + seconds
    while True:
        total = caller.json("GET", "/api/v1/containers?limit=1")["data"]["total"]
        if total == count:
            return
        if time.monotonic() > until:
            raise TimeoutError(f"{total} of {count} containers are listed after {seconds:g} s")
        time.sleep(0.2)


# -- clients


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Caller:
    """One kept connection and fixed headers; what is timed is the server, hardly the client."""

    def __init__(
        self, connection: http.client.HTTPConnection, headers: dict[str, str] | None = None
    ) -> None:
        self._connection = connection
        self._headers = headers or {}

    @classmethod
    def of_engine(cls, docker: Dockerd, timeout: float = 60) -> Caller:
        """Talk to the engine at its socket."""
        return cls(_UnixConnection(str(docker.socket), timeout))

    @classmethod
    def of(
        cls, server: JupyterServer, *, key: bool = True, token: bool = False, timeout: float = 60
    ) -> Caller:
        """Talk to a server with an API key, or with Jupyter's token."""
        headers = {"Authorization": f"token {server.token}"} if token else {}
        if key and not token:
            headers = {"X-API-Key": server.key("benchmarks")}
        return cls(http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout), headers)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(
        self, method: str, path: str, body: object = None, *, status: int | None = None
    ) -> bytes:
        """Send a request, which must succeed or end with `status`, and return the whole reply."""
        with self.open(method, path, body, status=status) as reply:
            return reply.read()

    def json(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return the reply's JSON."""
        return json.loads(self.call(method, path, body))

    def timed(
        self, method: str, path: str, body: object = None, *, status: int | None = None
    ) -> float:
        """Return the seconds that a request takes, its reply's last byte included."""
        began = time.perf_counter()
        self.call(method, path, body, status=status)
        return time.perf_counter() - began

    def open(
        self, method: str, path: str, body: object = None, *, status: int | None = None
    ) -> http.client.HTTPResponse:
        """Send a request, which must succeed or end with `status`; return its unread reply."""
        headers = dict(self._headers)
        sent = None
        if body is not None:
            sent = json.dumps(body)
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, sent, headers)
        reply = self._connection.getresponse()
        if reply.status != status if status else reply.status >= 300:
            text = reply.read().decode(errors="replace")
            raise RuntimeError(f"{method} {path}: {reply.status} {text[:500]}")
        return reply


class LineReader:
    """A thread that notes when each line of an endless reply arrives, in wall-clock seconds."""

    def __init__(self, caller: Caller, path: str, take: Callable[[float, bytes], None]) -> None:
        self._caller = caller
        self._reply = caller.open("GET", path)
        self._take = take
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while line := self._reply.readline():
                self._take(time.time(), line.strip())
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # closed by `__exit__`

    def __enter__(self) -> LineReader:
        return self

    def __exit__(self, *_: object) -> None:
        connection = self._caller._connection
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        connection.close()


# -- the docker command as the other side


def docker_options(docker: Dockerd, container: str) -> list[str]:
    """Return the options of `docker run` that give what a container of ours was given."""
    found = json.loads(docker.docker("inspect", container))[0]
    host = found["HostConfig"]
    words = ["--init"] if host["Init"] else []
    if host.get("PidsLimit"):
        words += ["--pids-limit", str(host["PidsLimit"])]
    for name, value in (host["LogConfig"].get("Config") or {}).items():
        words += ["--log-opt", f"{name}={value}"]
    if host["NetworkMode"] not in ("default", "bridge"):
        words += ["--network", host["NetworkMode"]]
    for option in host.get("SecurityOpt") or ():
        words += ["--security-opt", option]
    for capability in host.get("CapDrop") or ():
        words += ["--cap-drop", capability]
    for text in found["Config"].get("Env") or ():
        if not text.startswith("PATH="):
            words += ["--env", text]
    for name, value in (found["Config"].get("Labels") or {}).items():
        if not name.startswith("jupyter_ext."):
            words += ["--label", f"{name}={value}"]
    return words
