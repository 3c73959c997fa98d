"""How soon a container that the plain `docker` command starts is on the event stream.

Three clocks start: when the engine says it started (its event's own time, the same machine's
clock), when its own stream tells a plain subscriber, and when the command returns.
"""

from __future__ import annotations

import json
import time

from .harness import COMMAND, IMAGE, Caller, LineReader, engine, server, tidy
from .rows import Row, at_most, median, percentile, told

ROUNDS = 120
NAME = "docker run on our event stream"
FILTERS = (
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%5D%7D"
)


def run() -> list[Row]:
    """Start containers one by one and note when each is told of."""
    said: dict[str, float] = {}
    engine_told: dict[str, float] = {}
    we_told: dict[str, float] = {}
    returned: dict[str, float] = {}

    def engines(at: float, line: bytes) -> None:
        if line.startswith(b"{"):
            event = json.loads(line)
            said[event["id"]] = event["timeNano"] / 1e9
            engine_told[event["id"]] = at

    def ours(at: float, line: bytes) -> None:
        if line.startswith(b"data:"):
            container = json.loads(line[5:]).get("container") or {}
            if container.get("status") == "running":
                we_told.setdefault(container["id"], at)

    with (
        engine() as docker,
        server(docker, probe=False) as jupyter,
        LineReader(Caller.of_engine(docker), FILTERS, engines),
        LineReader(Caller.of(jupyter), "/api/v1/events?topics=containers", ours),
    ):
        for number in range(ROUNDS):
            made = docker.docker("run", "--detach", IMAGE, *COMMAND)
            returned[made] = time.time()
            _wait(made, we_told, engine_told)
            if number % 10 == 9:
                tidy(docker)
    after = {
        "engine": [1000 * (we_told[key] - said[key]) for key in returned],
        "stream": [1000 * (we_told[key] - engine_told[key]) for key in returned],
        "command": [1000 * (we_told[key] - returned[key]) for key in returned],
        "theirs": [1000 * (engine_told[key] - said[key]) for key in returned],
    }
    theirs = "engine's own stream"
    return [
        at_most(
            200,
            f"{NAME}, after the engine's event, p99",
            percentile(after["engine"], 99),
            "ms",
            f"{theirs}, p99",
            percentile(after["theirs"], 99),
        ),
        told(
            f"{NAME}, after the engine's event, median",
            median(after["engine"]),
            "ms",
            f"{theirs}, median",
            median(after["theirs"]),
        ),
        told(
            f"{NAME}, after the engine's own stream had it, p99",
            percentile(after["stream"], 99),
            "ms",
            "",
            None,
        ),
        told(
            f"{NAME}, after the command has returned, p99",
            percentile(after["command"], 99),
            "ms",
            "",
            None,
        ),
    ]


def _wait(container: str, *streams: dict[str, float], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while any(container not in stream for stream in streams):
        if time.monotonic() > until:
            raise TimeoutError(f"{container[:12]} is not on the streams after {seconds:g} s")
        time.sleep(0.002)
