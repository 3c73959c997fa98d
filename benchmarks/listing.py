"""A page of the list, against the engine's own list, with 1,000 containers."""

from __future__ import annotations

from .harness import Caller, engine, fill, server, wait_for_count
from .rows import Row, median, percentile, ratio_at_most, told

COUNT = 1000
ROUNDS = 500
PAGE = "/api/v1/containers?limit=50"
ENGINE = "/containers/json?all=1"
NAME = f"list of 50 of {COUNT} containers"


def run() -> list[Row]:
    """Ask both in turns."""
    with engine() as docker:
        fill(docker, COUNT, start=False)
        with (
            server(docker, probe=False) as jupyter,
            Caller.of(jupyter) as ours,
            Caller.of_engine(docker) as theirs,
        ):
            wait_for_count(ours, COUNT)
            page = ours.json("GET", PAGE)["data"]
            assert len(page["items"]) == 50, page
            assert len(theirs.json("GET", ENGINE)) == COUNT
            both = [(ours.timed("GET", PAGE), theirs.timed("GET", ENGINE)) for _ in range(ROUNDS)]
    mine = [pair[0] * 1000 for pair in both]
    engines = [pair[1] * 1000 for pair in both]
    return [
        ratio_at_most(
            0.2,
            f"{NAME}, p99",
            percentile(mine, 99),
            "ms",
            f"engine's GET {ENGINE}, p99",
            percentile(engines, 99),
        ),
        told(f"{NAME}, median", median(mine), "ms", "the same, median", median(engines)),
    ]
