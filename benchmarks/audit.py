"""What the audit adds to a request: the same refusal, recorded and not."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .harness import Caller, server
from .rows import Row, median, more_by_at_most, told

ROUNDS = 400
TOGETHER = 8
PATH = "/api/v1/operations/op-none"
"""Nobody's: GET and DELETE ask the store the same question, and only DELETE is recorded."""


def run() -> list[Row]:
    """Ask in turns, alone and eight at once."""
    with server(None, probe=False) as jupyter:
        make = partial(Caller.of, jupyter)
        with make() as caller:
            both = [(_timed(caller, "DELETE"), _timed(caller, "GET")) for _ in range(ROUNDS)]
        rates = [(_rate(make, "DELETE"), _rate(make, "GET")) for _ in range(5)]
    recorded, plain = (median([pair[side] for pair in both]) for side in (0, 1))
    return [
        more_by_at_most(
            5, "a request that is recorded, median", recorded, "ms", "the same, unrecorded", plain
        ),
        told(
            f"recorded requests, {TOGETHER} at once",
            median([pair[0] for pair in rates]),
            "/s",
            "the same, unrecorded",
            median([pair[1] for pair in rates]),
        ),
    ]


def _timed(caller: Caller, method: str) -> float:
    return 1000 * caller.timed(method, PATH, status=404)


def _rate(make: Callable[[], Caller], method: str) -> float:
    def work(_: int) -> None:
        with make() as caller:
            for _ in range(ROUNDS // TOGETHER):
                caller.timed(method, PATH, status=404)

    began = time.perf_counter()
    with ThreadPoolExecutor(TOGETHER) as threads:
        list(threads.map(work, range(TOGETHER)))
    return ROUNDS / (time.perf_counter() - began)
