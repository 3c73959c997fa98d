"""Measure all figures, or those that are named.

The exit code is 1 where a limit is passed or a figure could not be measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from .rows import Row, table

FIGURES = {
    "startup": "what the extension adds to a server's start and memory",
    "throughput": "requests a second of the status",
    "events": "how soon a container of the docker command is on the event stream",
    "creation": "create and start by REST",
    "lag": "the loop's lag while 50 containers are created at once",
    "sweep": "one sweep of the statistics of 100 running containers",
    "credentials": "what a key, a token and cookies add to a request",
    "audit": "what being recorded adds to a request",
    "claims": "1,000 requests for 64 GPUs",
    "backups": "backups and restores of 1 GB",
    "snapshots": "one name over files and databases",
    "databases": "making, cloning and listing databases",
    "listing": "a page of the list with 1,000 containers",
}


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and say whether all limits are kept."""
    chosen = _arguments(arguments)
    signal.signal(signal.SIGTERM, _end)
    conditions = _conditions()
    print(_described(conditions), flush=True)
    rows: list[Row] = []
    broken: list[str] = []
    for name in chosen.figures or FIGURES:
        print(f"\n{name}: {FIGURES[name]}", flush=True)
        try:
            found: list[Row] = importlib.import_module(f"benchmarks.{name}").run()
        except Exception:
            traceback.print_exc()
            broken.append(name)
            continue
        rows += found
        print(table(found), flush=True)
    failed = [row for row in rows if row.ok is False]
    if len(chosen.figures or FIGURES) > 1:
        print(f"\n{table(rows)}")
    for name in broken:
        print(f"{name}: could not be measured")
    asserted = sum(row.ok is not None for row in rows)
    print(f"\n{asserted - len(failed)} of {asserted} limits are kept.")
    if chosen.json:
        result = {
            "conditions": conditions,
            "rows": [row.record() for row in rows],
            "broken": broken,
        }
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if failed or broken else 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    names = "\n".join(f"  {name:<12}{what}" for name, what in FIGURES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"figures:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="only these; all otherwise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    chosen = parser.parse_args(arguments)
    for name in chosen.figures:
        if name not in FIGURES:
            parser.error(f"no figure is named {name!r}: choose from {', '.join(FIGURES)}")
    return chosen


def _conditions() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "jupyter_server": version("jupyter_server"),
        "dockerd": _first_line("dockerd", "--version"),
        "docker": _first_line("docker", "--version"),
        "servers": "jupyter_server with jupyter_ext or bare; no other extensions but terminals",
        "rate_limits": "raised by trait: JupyterExt.rate_limits, amount 0 for every dialect",
    }


def _first_line(*command: str) -> str:
    environ = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    except OSError:
        return "missing"
    return done.stdout.partition("\n")[0]


def _described(conditions: dict[str, Any]) -> str:
    lines = [f"  {name}: {value}" for name, value in conditions.items()]
    return "\n".join(["Each figure and what it is compared to are measured in turns.", *lines])


def _end(_number: int, _frame: FrameType | None) -> None:
    # An exception, so that engines and servers are stopped on the way out.
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
