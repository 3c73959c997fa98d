"""Databases by REST, against the plain statements in the same cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from jupyter_ext.postgres.schemas import SPARE
from tests.engines.clusters import cluster_folder

from .harness import Caller, fill_database, server
from .rows import Row, at_most, median, ratio_at_most, told

ROUNDS = 25
ROW = 10
ROWS_OF_MANY = 6
CLONES = {"300 MB": 60, "1 GB": 12}
"""Of each source: what a request adds is less than a disk's own ups and downs."""
PROBES = 4
"""Of each statement, to find the faster one."""
MANY = 500
LISTS = 40
SOURCES = {"300 MB": 400_000, "1 GB": 1_350_000}
"""Rows, by what they come to: what a request adds is the same for each."""

PATH = "/api/v1/databases"
SPARE_SECONDS = 30.0

T = TypeVar("T")


def run() -> list[Row]:
    """Make and clone in turns, by REST and by statement; then list many."""
    with (
        # On a disk, as people have them: CREATE DATABASE waits for it.
        cluster_folder(in_memory=False) as folder,
        server(None, probe=False, traits={"cluster_dir": str(folder)}) as jupyter,
        Caller.of(jupyter) as caller,
    ):
        for size, count in SOURCES.items():
            url = caller.json("POST", PATH, {"name": size})["connection_url"]
            fill_database(url, count)
        with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as plain:
            rows = [_making(caller, plain), _making_many(caller, plain)]
            for size, rounds in CLONES.items():
                rows.append(ratio_at_most(1.1, *_cloning(caller, plain, size, rounds)))
            for number in range(MANY):
                _statement(plain, "CREATE DATABASE {} STRATEGY wal_log", f"many-{number}")
            rows.append(_listing(caller, plain))
    return rows


def _making(caller: Caller, plain: psycopg.Connection[Any]) -> Row:
    """Make one now and then, as people do: the extension has one ready by then."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(ROUNDS):
        _wait_for_spare(plain)
        mine = (ours, partial(_ours, caller, PATH, f"ours-{number}"))
        other = (theirs, partial(_statement, plain, "CREATE DATABASE {}", f"theirs-{number}"))
        for spent, turn in _in_turns(number, mine, other):
            _settle(plain)
            spent.append(turn())
    return ratio_at_most(
        1.2,
        "make a database by REST now and then, median",
        median(ours),
        "ms",
        "CREATE DATABASE, median",
        median(theirs),
    )


def _making_many(caller: Caller, plain: psycopg.Connection[Any]) -> Row:
    """Make one after the other: what is ready beforehand helps the first alone."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(ROWS_OF_MANY):
        mine = (ours, partial(_ours, caller, PATH))
        other = (theirs, partial(_statement, plain, "CREATE DATABASE {}"))
        for side, (spent, turn) in enumerate(_in_turns(number, mine, other)):
            _wait_for_spare(plain)
            _settle(plain)
            row = [turn(f"row-{number}-{side}-{each}") for each in range(ROW)]
            spent.append(sum(row) / ROW)
    return told(
        f"make {ROW} databases by REST without a pause, each",
        median(ours),
        "ms",
        "CREATE DATABASE without a pause, each",
        median(theirs),
    )


def _cloning(
    caller: Caller, plain: psycopg.Connection[Any], source: str, rounds: int
) -> tuple[str, float, str, str, float]:
    """Clone a database in turns; return the words and figures of a row."""
    best = _best_copy(plain, source)
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        names = f"clone-{source}-{number}", f"copy-{source}-{number}"
        mine = (ours, partial(_ours, caller, f"{PATH}/{quote(source)}/clone", names[0]))
        other = (theirs, partial(_statement, plain, _copy(source, best), names[1]))
        for spent, turn in _in_turns(number, mine, other):
            _settle(plain)
            spent.append(turn())
        for name in names:
            _statement(plain, "DROP DATABASE {}", name)
    words = f"CREATE DATABASE … STRATEGY {best}, the faster of {PROBES} each, median"
    return f"clone {source} by REST, median", median(ours), "ms", words, median(theirs)


def _best_copy(plain: psycopg.Connection[Any], source: str) -> str:
    """Return the strategy by which the server copies a database faster."""
    spent: dict[str, list[float]] = {"file_copy": [], "wal_log": []}
    for number in range(PROBES):
        for strategy, each in _in_turns(number, *spent.items()):
            _settle(plain)
            each.append(_statement(plain, _copy(source, strategy), "probe"))
            _statement(plain, "DROP DATABASE {}", "probe")
    return min(spent, key=lambda strategy: median(spent[strategy]))


def _copy(source: str, strategy: str) -> str:
    return f'CREATE DATABASE {{}} TEMPLATE "{source}" STRATEGY {strategy}'


def _listing(caller: Caller, plain: psycopg.Connection[Any]) -> Row:
    path = f"{PATH}?limit=10000"
    found = caller.json("GET", f"{path}&fresh=true")["databases"]
    assert len(found) > MANY
    assert all(each["size_bytes"] for each in found)
    ours = [1000 * caller.timed("GET", path) for _ in range(LISTS)]
    query = "SELECT datname, pg_database_size(oid) FROM pg_database"
    theirs = []
    for _ in range(LISTS):
        began = time.perf_counter()
        plain.execute(query).fetchall()
        theirs.append(1000 * (time.perf_counter() - began))
    return at_most(
        50,
        f"list {MANY} databases with sizes, median",
        median(ours),
        "ms",
        "SELECT with pg_database_size, median",
        median(theirs),
    )


def _in_turns(number: int, *turns: T) -> Sequence[T]:
    """Return the turns of a round, in which each comes first as often as the others."""
    first = number % len(turns)
    return turns[first:] + turns[:first]


def _settle(plain: psycopg.Connection[Any]) -> None:
    """Have written what the turn before left to be: none pays for another."""
    plain.execute("CHECKPOINT")
    os.sync()


def _wait_for_spare(plain: psycopg.Connection[Any]) -> None:
    """Wait as long as people do between two of theirs."""
    query = (
        "SELECT FROM pg_database"
        " WHERE datname = %s AND shobj_description(oid, 'pg_database') IS NOT NULL"
    )
    until = time.monotonic() + SPARE_SECONDS
    while plain.execute(query, [SPARE]).fetchone() is None:
        if time.monotonic() > until:
            raise TimeoutError(f"No database is ready after {SPARE_SECONDS:g} s")
        time.sleep(0.05)


def _ours(caller: Caller, path: str, name: str) -> float:
    return 1000 * caller.timed("POST", path, {"name": name})


def _statement(plain: psycopg.Connection[Any], text: Any, name: str) -> float:
    began = time.perf_counter()
    plain.execute(sql.SQL(text).format(sql.Identifier(name)))
    return 1000 * (time.perf_counter() - began)
