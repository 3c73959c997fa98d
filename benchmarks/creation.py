"""Creating and starting a container by REST, against `docker run -d`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.engines.dockerd import Dockerd

from .harness import COMMAND, IMAGE, Caller, docker_options, engine, server, tidy
from .rows import Row, median, ratio_at_most, told

ROUNDS = 20
NAME = "create and start by REST, median"


def run() -> list[Row]:
    """Make containers in turns: by REST, by the command, and by the engine's own API."""
    ours: list[float] = []
    command: list[float] = []
    plain: list[float] = []
    raw: list[float] = []
    with (
        engine() as docker,
        server(docker, probe=False) as jupyter,
        Caller.of(jupyter) as caller,
        Caller.of_engine(docker) as direct,
    ):
        body = {"name": "warm", "image": IMAGE, "command": list(COMMAND)}
        warm = caller.json("POST", "/api/v1/containers", body)["data"]["id"]
        options = docker_options(docker, warm)
        engine_body = _engine_body(direct, warm)
        # What is measured first pays for what its forerunners left running, so the order turns.
        for number in range(ROUNDS):
            turns: list[tuple[list[float], Callable[[], float]]] = [
                (ours, partial(_ours, caller, number)),
                (command, partial(_command, docker, options)),
                (plain, partial(_command, docker, [])),
                (raw, partial(_raw, direct, engine_body)),
            ]
            for spent, turn in turns[number % 4 :] + turns[: number % 4]:
                spent.append(turn())
            if number % 5 == 4:
                tidy(docker)
    mine = median(ours)
    same = ratio_at_most(
        1.15, NAME, mine, "ms", "docker run -d with the same options, median", median(command)
    )
    return [
        replace(same, note=f"The same options: {' '.join(options)}"),
        told(NAME, mine, "ms", "docker run -d without options, median", median(plain)),
        told(NAME, mine, "ms", "engine's own API: create, start, median", median(raw)),
    ]


def _ours(caller: Caller, number: int) -> float:
    body = {"name": f"ours-{number}", "image": IMAGE, "command": list(COMMAND)}
    return 1000 * caller.timed("POST", "/api/v1/containers", body)


def _command(docker: Dockerd, options: list[str]) -> float:
    began = time.perf_counter()
    docker.docker("run", "--detach", *options, IMAGE, *COMMAND)
    return 1000 * (time.perf_counter() - began)


def _engine_body(direct: Caller, like: str) -> dict[str, object]:
    found = direct.json("GET", f"/containers/{like}/json")
    return {"Image": IMAGE, "Cmd": list(COMMAND), "HostConfig": found["HostConfig"]}


def _raw(direct: Caller, body: dict[str, object]) -> float:
    began = time.perf_counter()
    made = direct.json("POST", "/containers/create", body)["Id"]
    direct.call("POST", f"/containers/{made}/start")
    return 1000 * (time.perf_counter() - began)
