"""What a credential adds to a request: the same empty route, open and behind each carrier."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.engines.jupyter import JupyterServer

from .doors import CLOSED, COOKIES, OPEN
from .harness import Caller, server
from .rows import Row, median, more_by_at_most, told

ROUNDS = 4_000
BLOCKS = 80
LIMIT = 60.0
"""Microseconds that a key or a token may add."""
PASSWORD = "correct horse"
DOORS = "benchmarks.doors"


def run() -> list[Row]:
    """Ask by every carrier in turns, each on a connection of its own."""
    traits = {"admin_password": PASSWORD}
    with server(None, probe=False, extensions=(DOORS,), traits=traits) as jupyter:
        callers = _callers(jupyter)
        walls: dict[str, list[float]] = {name: [] for name in callers}
        for number in range(ROUNDS):
            # Whoever comes first in a round is not always the same.
            names = list(callers) if number % 2 else list(reversed(callers))
            for name in names:
                caller, path = callers[name]
                walls[name].append(1e6 * caller.timed("GET", path))
        busy = _processor(jupyter, callers)
        for caller, _ in callers.values():
            caller.__exit__()
    wall = {name: median(values) for name, values in walls.items()}
    # Each against what came beside it, so that a machine's moods are on both sides.
    added = {
        name: median([one - other for one, other in zip(values, walls["open"], strict=True)])
        for name, values in walls.items()
    }
    rows = [
        more_by_at_most(
            LIMIT,
            f"request with {name}",
            wall["open"] + added[name],
            "µs",
            "the same route, open",
            wall["open"],
        )
        for name in ("an API key", "a JWT")
    ]
    rows.append(
        told("request with cookies", wall["cookies"], "µs", "the same route, open", wall["open"])
    )
    rows += [
        told(f"server's processor time, {name}", busy[name], "µs", "open", busy["open"])
        for name in callers
        if name != "open"
    ]
    return rows


def _callers(jupyter: JupyterServer) -> dict[str, tuple[Caller, str]]:
    body = {"username": "admin", "password": PASSWORD}
    with Caller.of(jupyter, key=False) as stranger:
        token = stranger.json("POST", "/api/v1/auth/login", body)["token"]
        with stranger.open("POST", "/api/login", body) as reply:
            reply.read()
            cookies = [text.partition(";")[0] for text in reply.headers.get_all("Set-Cookie", [])]
    carriers: dict[str, tuple[dict[str, str], str]] = {
        "open": ({}, OPEN),
        "an API key": ({"X-API-Key": jupyter.key("benchmarks")}, CLOSED),
        "a JWT": ({"Authorization": f"Bearer {token}"}, CLOSED),
        "cookies": ({"Cookie": "; ".join(cookies)}, COOKIES),
    }
    callers: dict[str, tuple[Caller, str]] = {}
    for name, (headers, path) in carriers.items():
        connection = HTTPConnection("127.0.0.1", jupyter.port, timeout=60)
        caller = Caller(connection, headers)
        for _ in range(50):
            caller.call("GET", path)
        callers[name] = caller, path
    return callers


def _processor(jupyter: JupyterServer, callers: dict[str, Any]) -> dict[str, float]:
    """Return the microseconds of a processor that the server's loop needs for a request."""
    spent: dict[str, list[float]] = {name: [] for name in callers}
    each = ROUNDS // BLOCKS
    for _ in range(BLOCKS):
        for name, (caller, path) in callers.items():
            before = _on_processor(jupyter.process.pid)
            for _ in range(each):
                caller.call("GET", path)
            spent[name].append((_on_processor(jupyter.process.pid) - before) / each / 1000)
    return {name: median(values) for name, values in spent.items()}


def _on_processor(pid: int) -> int:
    """Return the nanoseconds of a processor that the main thread of a process has had."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
