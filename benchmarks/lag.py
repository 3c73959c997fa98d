"""The loop's lag while 50 containers are created at once.

By REST in our server, and by the `docker` command beside a bare server. Each round of each side has
an engine of its own, so that neither meets what the other left running.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.engines.dockerd import Dockerd
from tests.engines.jupyter import JupyterServer

from .harness import (
    COMMAND,
    IMAGE,
    Caller,
    docker_options,
    engine,
    server,
)
from .rows import Row, median, percentile, ratio_at_most, told

COUNT = 50
ROUNDS = 3
NAME = f"lag of the loop while {COUNT} containers are created at once"


def run() -> list[Row]:
    """Measure in turns."""
    ours: list[float] = []
    bare: list[float] = []
    spent: list[float] = []
    spent_bare: list[float] = []
    options: list[str] = []
    for number in range(ROUNDS):
        with engine() as docker, server(docker) as jupyter:
            options = _warm(docker, jupyter)
            spent.append(_during(jupyter, ours, partial(_by_rest, jupyter, number)))
        with engine() as docker, server(docker, extension=False) as jupyter:
            _by_command(docker, options, 1)
            work = partial(_by_command, docker, options, COUNT)
            spent_bare.append(_during(jupyter, bare, work))
    theirs = "bare server, docker command"
    return [
        ratio_at_most(
            2, f"{NAME}, p99", percentile(ours, 99), "ms", f"{theirs}, p99", percentile(bare, 99)
        ),
        told(f"{NAME}, median", median(ours), "ms", f"{theirs}, median", median(bare)),
        told(f"{NAME}, longest", max(ours), "ms", f"{theirs}, longest", max(bare)),
        told(f"time until all {COUNT} run", median(spent), "s", theirs, median(spent_bare)),
    ]


def _warm(docker: Dockerd, jupyter: JupyterServer) -> list[str]:
    """Make the first container, and return the options that make such a one by the command."""
    body = {"name": "warm", "image": IMAGE, "command": list(COMMAND)}
    with Caller.of(jupyter) as caller:
        warm = caller.json("POST", "/api/v1/containers", body)["data"]["id"]
    return docker_options(docker, warm)


def _during(jupyter: JupyterServer, into: list[float], work: Callable[[], None]) -> float:
    with Caller.of(jupyter, token=True) as caller:
        caller.call("PUT", "/benchmarks/lag")
        began = time.perf_counter()
        work()
        spent = time.perf_counter() - began
        samples = caller.json("GET", "/benchmarks/lag")["samples"]
    into += [1000 * sample for sample in samples]
    return spent


def _by_rest(jupyter: JupyterServer, number: int) -> None:
    together = threading.Barrier(COUNT)

    def create(index: int) -> None:
        body = {"name": f"at-once-{number}-{index}", "image": IMAGE, "command": list(COMMAND)}
        with Caller.of(jupyter, timeout=300) as caller:
            together.wait()
            caller.call("POST", "/api/v1/containers", body)

    with ThreadPoolExecutor(COUNT) as threads:
        list(threads.map(create, range(COUNT)))


def _by_command(docker: Dockerd, options: list[str], count: int) -> None:
    words = ["docker", "run", "--detach", *options, IMAGE, *COMMAND]
    started = [
        subprocess.Popen(
            words, env=docker.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(count)
    ]
    for process in started:
        _, problem = process.communicate(timeout=300)
        if process.returncode:
            raise RuntimeError(f"docker run: {problem.decode(errors='replace')}")
