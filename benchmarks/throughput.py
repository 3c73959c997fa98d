"""Requests a second of the status, against empty handlers of the same server."""

from __future__ import annotations

import re
import subprocess

from .harness import Caller, engine, server
from .rows import Row, median, ratio_at_least, told

ROUNDS = 5
SECONDS = 3
CONNECTIONS = 8
NAME = "GET /api/v1/status with an API key"


def run() -> list[Row]:
    """Let wrk ask each in turns."""
    with engine() as docker, server(docker) as jupyter:
        token = {"Authorization": f"token {jupyter.token}"}
        targets = {
            "ours": ("api/v1/status", {"X-API-Key": jupyter.key("benchmarks")}),
            "authenticated": ("benchmarks/authenticated", token),
            "open": ("benchmarks/open", {}),
            "tornado": ("benchmarks/tornado", {}),
        }
        with Caller.of(jupyter) as caller:
            assert caller.json("GET", "/api/v1/status")["services"]["docker"] == "running"
        rates: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(ROUNDS):
            for name, (path, headers) in targets.items():
                rates[name].append(_wrk(jupyter.url + path, headers))
    rate = {name: median(values) for name, values in rates.items()}
    return [
        ratio_at_least(
            1,
            NAME,
            rate["ours"],
            "/s",
            "empty @web.authenticated APIHandler, Jupyter's token",
            rate["authenticated"],
        ),
        told(NAME, rate["ours"], "/s", "empty APIHandler without a login", rate["open"]),
        told(NAME, rate["ours"], "/s", "empty handler of tornado's own", rate["tornado"]),
    ]


def _wrk(url: str, headers: dict[str, str]) -> float:
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *words, url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{' '.join(command[:4])} {url}:\n{done.stdout}")
    return float(found[1])
