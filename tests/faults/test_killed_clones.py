"""Kills in every phase of a clone: the copy is there whole, or nothing of it is anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from jupyter_ext.postgres.phases import MakingPhase
from jupyter_ext.postgres.schemas import SPARE, SYSTEM

from ..engines import clusters
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.conftest import Desk
from ..postgres.test_backups import desk_in
from ..postgres.test_databases import url_of
from .test_databases import ROWS, answers, filled
from .test_killed_backups import World, struck

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

BY_STATEMENT = ("starting", "copying", "copied", "opening", "noting")
BY_DUMP = ("creating", "extending", "admitting", "dumping", "filled")

CASES = [(phase, whom) for phase in MakingPhase for whom in ("server", "postgres", "backend")] + [
    ("dumping", "pg_dump"),
    ("dumping", "pg_restore"),
]

AFTER = {"copying": 0.03, "dumping": 0.2}
"""Seconds: in the midst of it."""


def test_every_phase_is_struck() -> None:
    assert sorted((*BY_STATEMENT, *BY_DUMP)) == sorted(MakingPhase)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with (
        clusters.cluster_folder() as folder,
        scratch_folder("home") as home,
        scratch_folder("files") as files,
    ):
        with desk_in(folder, home) as desk:
            filled(desk.admin)
        yield World(folder, home, files)


@pytest.mark.parametrize(("phase", "whom"), CASES, ids=[f"{a}-{b}" for a, b in CASES])
def test_a_clone_is_there_or_nothing_of_it(world: World, phase: str, whom: str) -> None:
    with ExitStack() as stack:

        def prepare(desk: Desk) -> tuple[str, dict[str, Any]]:
            wait_until(partial(answers, desk.admin), "the cluster", 60)
            if phase in BY_DUMP:
                connection = psycopg.connect(url_of(desk.admin, "full"))
                stack.callback(connection.close)
            return "databases/full/clone", {"name": "copy"}

        after = AFTER.get(phase, 0)
        with struck(world, "database.clone", phase, whom, prepare, after) as (desk, ended):
            wait_until(partial(answers, desk.admin), "the cluster", 60)
            made = ended["state"] == "succeeded"
            assert made or (ended["state"] == "failed" and ended["error"]["message"]), ended
            assert made or phase not in ("noting",) or whom != "server", ended
            names = {*SYSTEM, "full", *(["copy"] if made else [])}
            wait_until(lambda: there(desk) - {SPARE} == names, "nothing half made", 30)
            wait_until(lambda: is_clean(world, desk), "no files of what is not there", 30)
            assert rows(desk, "full") == ROWS
            if made:
                assert rows(desk, "copy") == ROWS
                assert desk.admin.delete("databases/copy?force=true").status_code == 200
            # The name is free, and all goes on.
            assert desk.admin.get("databases/copy").status_code == 404
            again = desk.admin.post("databases/full/clone", json={"name": "copy"})
            assert again.status_code == 201, again.text
            assert rows(desk, "copy") == ROWS
            assert desk.admin.delete("databases/copy?force=true").status_code == 200
            assert len(clusters.postmasters(world.folder)) == 1


def rows(desk: Desk, name: str) -> int:
    with psycopg.connect(url_of(desk.admin, name)) as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
        assert row is not None
        return int(row[0])


def there(desk: Desk) -> set[str]:
    with psycopg.connect(url_of(desk.admin, "postgres")) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def is_clean(world: World, desk: Desk) -> bool:
    """Whether each folder of a database is one's that is in the list of them."""
    [base] = world.folder.glob("*/data/base")
    with suppress(httpx.HTTPError), psycopg.connect(url_of(desk.admin, "postgres")) as connection:
        known = {oid for (oid,) in connection.execute("SELECT oid::text FROM pg_database")}
        return {each.name for each in base.iterdir() if each.name.isdigit()} == known
    return False
