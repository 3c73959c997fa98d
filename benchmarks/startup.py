"""What the extension adds to a server's start and to its memory."""

from __future__ import annotations

import http.client
import importlib.util
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.engines import scratch
from tests.engines.dockerd import Dockerd
from tests.engines.jupyter import TOKEN, JupyterServer

from .harness import Caller, engine, fill, server, wait_for_count
from .rows import Row, median, more_by_at_most, told

ROUNDS = 21
"""Two starts of the same server differ by as much as the limit where others share the machine."""

WEIGHED = 5
"""Rounds whose memory is read."""

SETTLING = 3.0
CONTAINERS = 10
MB = 1 << 20
EXTRAS = ("psycopg", "redis", "paramiko", "ipywidgets", "anywidget")


@dataclass(frozen=True)
class Start:
    """One start.

    Parameters
    ----------
    first
        Seconds until Jupyter's API answers.
    status
        Seconds until the status answers, which the extension gives once all of it is ready.
    cpu
        Seconds of processor time until then.
    rss, pss
        Megabytes, a while after the first calls.
    """

    first: float
    status: float
    cpu: float
    rss: float
    pss: float


def run() -> list[Row]:
    """Start both in turns."""
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    extras = f"without {', '.join(missing)}" if missing else "all extras installed"
    ours: list[Start] = []
    bare: list[Start] = []
    with engine() as docker, tempfile.TemporaryDirectory(prefix="jxb-") as folder:
        fill(docker, CONTAINERS, start=False)
        home = Path(folder) / "home"
        # The first start of all makes the store and the administrator; then it is a restart.
        new = _start(docker, True, home)
        for number in range(ROUNDS):
            settling = SETTLING if number < WEIGHED else 0.0
            bare.append(_start(docker, False, home, settling))
            ours.append(_start(docker, True, home, settling))

    def both(field: Callable[[Start], float]) -> tuple[float, float]:
        return median([field(start) for start in ours]), median([field(start) for start in bare])

    status, bare_status = both(lambda start: start.status)
    first, bare_first = both(lambda start: start.first)
    cpu, bare_cpu = both(lambda start: start.cpu)
    ours, bare = ours[:WEIGHED], bare[:WEIGHED]
    rss, bare_rss = both(lambda start: start.rss)
    pss, bare_pss = both(lambda start: start.pss)
    theirs = "bare jupyter server, median"
    memory = f"after status and list, {extras}"
    return [
        more_by_at_most(0.7, "start until the status", status, "s", theirs, bare_status),
        told("start until Jupyter's API answers", first, "s", theirs, bare_first),
        told("processor time until the status", cpu, "s", theirs, bare_cpu),
        told("first start of a new home until the status", new.status, "s", theirs, bare_status),
        more_by_at_most(60, f"memory (RSS) {memory}", rss, "MB", theirs, bare_rss),
        told(f"memory (PSS) {memory}", pss, "MB", theirs, bare_pss),
    ]


def _start(docker: Dockerd, extension: bool, home: Path, settling: float = 0.0) -> Start:
    port = scratch.free_port()
    status = "/api/v1/status" if extension else "/api/status"
    watch = _Watch(port, ("/api", status))
    with watch, _server(docker, extension, home, port) as jupyter:
        first, ready = watch.seconds()
        process = psutil.Process(jupyter.process.pid)
        times = process.cpu_times()
        with Caller.of(jupyter, token=True) as caller:
            caller.call("GET", "/api/status")
            caller.call("GET", "/api/contents")
            if extension:
                caller.call("GET", "/api/v1/status")
                wait_for_count(caller, CONTAINERS)
                caller.call("GET", "/api/v1/containers")
        # What was begun in the background at the start counts, too.
        time.sleep(settling)
        memory = process.memory_full_info()
    return Start(first, ready, times.user + times.system, memory.rss / MB, memory.pss / MB)


def _server(
    docker: Dockerd, extension: bool, home: Path, port: int
) -> AbstractContextManager[JupyterServer]:
    return server(docker, extension=extension, probe=False, home=home, server_app={"port": port})


class _Watch:
    """Knocks at a port until each path has answered 200, beside the server's start."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        self._port = port
        self._paths = paths
        self._answered: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True)

    def __enter__(self) -> _Watch:
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def seconds(self) -> list[float]:
        """Wait for the answers, and return how long each took."""
        self._thread.join(120)
        if len(self._answered) < len(self._paths):
            raise TimeoutError(f"{self._paths[len(self._answered)]} did not answer 200")
        return self._answered

    def _knock(self) -> None:
        while len(self._answered) < len(self._paths) and not self._ended.wait(0.005):
            if self._answers(self._paths[len(self._answered)]):
                self._answered.append(time.perf_counter() - self._began)

    def _answers(self, path: str) -> bool:
        headers = {"Authorization": f"token {TOKEN}"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status == 200
        return False
