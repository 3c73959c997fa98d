"""Backups that nobody asks for: by the clock, and after a restore that has none yet."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from jupyter_ext.errors import Conflict
from jupyter_ext.postgres.backup_settings import BackupSettings
from jupyter_ext.postgres.due_times import DueTimes
from jupyter_ext.store import Store
from jupyter_ext.store.types import utcnow

from ..engines import clusters, jupyter
from ..engines.scratch import scratch_folder, wait_until
from .conftest import Desk, settings
from .test_backups import desk_in, listed, taken
from .test_databases import url_of
from .test_restores import restored, rows, table, write

pytestmark = pytest.mark.postgres

YEARLY = {"full": "0 3 1 1 *", "incremental": "0 3 1 1 *"}
LONG_AGO = "2020-02-02T02:02:02+00:00"


@pytest.fixture
def place() -> Iterator[tuple[Path, Path]]:
    """Folders of a cluster and of a server's state that outlive servers."""
    with clusters.cluster_folder() as folder, scratch_folder("home") as home:
        yield folder, home


def last_was(home: Path, kind: str, moment: str) -> None:
    """Say, while no server runs, when a kind was last taken care of."""
    [store] = home.glob("*.db")
    with closing(sqlite3.connect(store)) as connection, connection:
        row = (f"backups.schedule.{kind}", moment)
        connection.execute("INSERT OR REPLACE INTO store_facts (name, value) VALUES (?, ?)", row)


def at(schedule: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {"BackupSettings": {"watch_interval": 1, "schedule": schedule, "keep_full": 1}}


def test_what_was_missed_is_made_up_for_once(place: tuple[Path, Path]) -> None:
    folder, home = place
    with desk_in(folder, home, **at(YEARLY)) as desk:
        write(table(desk.admin, "due"), 1)
        wait_until(lambda: "backups.schedule.incremental" in facts(home), "the first look", 30)
        assert listed(desk.admin) == [], "nothing was due yet"
    for kind in YEARLY:
        last_was(home, kind, LONG_AGO)
    with desk_in(folder, home, **at(YEARLY)) as desk:
        wait_until(lambda: listed(desk.admin), "the backup", 60)
        [made] = listed(desk.admin)
        assert (made["type"], made["owner"]) == ("full", None), "it holds the smaller one, too"
        [operation] = desk.admin.get("operations").json()["operations"][:1]
        wait_until(lambda: done(desk, operation["id"]), "the end of the operation", 30)
        newer = taken(desk.admin, type="full")
        assert [each["id"] for each in listed(desk.admin)] == [newer["id"]], "one full one is kept"


@pytest.mark.slow
def test_a_time_that_comes_while_the_server_runs_takes_the_backup(
    place: tuple[Path, Path],
) -> None:
    folder, home = place
    with desk_in(folder, home, **at({"full": "0 3 1 1 *", "incremental": "* * * * *"})) as desk:
        write(table(desk.admin, "due"), 1)
        full = taken(desk.admin, type="full")

        wait_until(lambda: len(listed(desk.admin)) == 2, "the next minute's backup", 90)

        made = listed(desk.admin)[0]
        assert (made["type"], made["owner"]) == ("incremental", None)
        assert made["depends_on"] == [full["id"]]
        assert datetime.fromisoformat(made["created_at"]).second < 30


def done(desk: Desk, operation: str) -> bool:
    return bool(desk.admin.get(f"operations/{operation}").json()["state"] == "succeeded")


def facts(home: Path) -> dict[str, str]:
    [store] = home.glob("*.db")
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT name, value FROM store_facts").fetchall())


@pytest.mark.parametrize("words", ["", "every night", "60 * * * *", "* * * *"])
def test_a_time_that_cron_does_not_know_is_refused_at_the_start(words: str) -> None:
    with pytest.raises(TraitError, match="full"):
        BackupSettings(schedule={"full": words})


async def test_of_several_servers_one_takes_what_is_due(store: Store) -> None:
    now = utcnow()

    async def claim(dues: DueTimes, last: datetime) -> bool:
        try:
            async with store.write() as session:
                await dues.claim(session, "full", last, now + timedelta(hours=1))
        except Conflict:
            return False
        return True

    servers = [DueTimes(store) for _ in range(5)]
    lasts = [await each.last("full", now) for each in servers]
    assert sorted(await asyncio.gather(*map(claim, servers, lasts))) == [False] * 4 + [True]


@contextmanager
def again(folder: Path, home: Path, programs: Path) -> Iterator[Desk]:
    """A server that finds programs in a folder first."""
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with (
        jupyter.jupyter_server(config=settings(folder), home=home, environ=environ) as server,
        server.client() as admin,
    ):
        yield Desk(server, admin, folder)
        print(server.log[-6000:])


@pytest.mark.slow
def test_what_is_owed_is_told_and_taken_after_a_restart(place: tuple[Path, Path]) -> None:
    """The backup after a switch fails; the notice outlives the server, and the backup comes."""
    folder, home = place
    broken = folder / "broken"
    programs = folder / "bin"
    programs.mkdir()
    wrapper = programs / "pgbackrest"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'for word; do [ "$word" = backup ] && [ -e {broken} ] &&'
        ' { echo "P00  ERROR: [999]: the disk is on fire" >&2; exit 1; }; done\n'
        f'exec {shutil.which("pgbackrest")} "$@"\n'
    )
    for each in (programs, wrapper):
        each.chmod(0o755)

    def problems(desk: Desk) -> list[str]:
        found = desk.admin.get("status").json()["problems"]
        return [each["what"] for each in found if each["service"] == "backups"]

    with again(folder, home, programs) as desk:
        write(table(desk.admin, "kept"), 1)
        backup = taken(desk.admin)
        write(url_of(desk.admin, "kept"), 2)
        broken.touch()
        made = restored(desk.admin, backup, databases=[])
        assert made["kept"]["cluster"]
        assert rows(url_of(desk.admin, "kept")) == [1], "the switch is done all the same"
        [told] = problems(desk)
        assert "no backup was taken since" in told
        assert desk.admin.get("status").json()["status"] == "degraded"
    with again(folder, home, programs) as desk:
        wait_until(lambda: problems(desk), "the notice after the restart", 30)
        assert len(listed(desk.admin)) == 1
    broken.unlink()
    last_was(home, "owed", LONG_AGO)
    with again(folder, home, programs) as desk:
        wait_until(lambda: len(listed(desk.admin)) == 2, "the backup that was owed", 60)
        wait_until(lambda: not problems(desk), "the notice to go", 30)
