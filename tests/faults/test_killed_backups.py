"""Kills in every phase of backups and restores: the state before or after, never between."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_ext.postgres.phases import BackupPhase, RestorePhase

from ..engines import clusters, jupyter, require
from ..engines.desk_cluster import processes_of
from ..engines.killer import ROW, STRUCK
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.conftest import Desk, settings
from ..postgres.test_backups import desk_in, listed, taken
from ..postgres.test_databases import run, url_of
from ..postgres.test_restores import nothing_is_left, rows, table, write
from ..snapshots.conftest import copying

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

VICTIMS = ("server", "postgres", "pgbackrest")

OF_THE_CLUSTER = [each for each in RestorePhase if each not in ("loading", "renaming")]
OF_A_DATABASE = ["copying", "recovering", "proving", "loading", "switching", "closing", "renaming"]
OF_A_DATABASE += ["opening", "bringing files", "keeping files", "putting files"]
OF_THE_SYSTEMS = ["switching", "closing", "renaming", "opening"]
DATABASES = ("one", "two", "postgres")

# Between the stop of one cluster and the start of the other: it is killed as soon as it starts.
WITHOUT_POSTGRES = ["swapping", "opening"]

# pgBackRest is killed in its next run. After these there is none any more: databases are loaded
# from where it has put them, and files are restic's.
WITHOUT_RUNS = {
    "of the cluster": ["putting files"],
    "of a database": OF_A_DATABASE[2:8] + ["putting files"],
}


def victims(phases: Iterable[str], kind: str) -> list[tuple[str, str]]:
    """Return who is killed in which phase."""
    return [
        (str(phase), whom)
        for whom in VICTIMS
        for phase in phases
        if whom != "pgbackrest" or phase not in WITHOUT_RUNS[kind]
    ]


@dataclass
class World:
    """A cluster, notebook files and a server's state that outlive servers.

    Parameters
    ----------
    backup
        To whose end everything is restored: each table has the row 1 then, and the file.
    number
        The last row that was written.
    """

    folder: Path
    home: Path
    files: Path
    backup: dict[str, Any] = field(default_factory=dict)
    number: int = 1

    @property
    def note(self) -> Path:
        """A file that is kept with backups."""
        return self.files / "project" / "deep" / "note"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of its servers."""
        return settings(self.folder) | {"ServerApp": {"root_dir": str(self.files)}}

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """A server."""
        with desk_in(self.folder, self.home, ServerApp=self.config["ServerApp"]) as desk:
            yield desk

    def copies(self) -> int:
        """Return how many copies of files there are."""
        return len(list(self.folder.glob("snapshots-*/*/repository/snapshots/*")))

    def newest(self, kind: str) -> tuple[str, str]:
        """Return the id and the state of the newest operation, as the store has it."""
        [store] = self.home.glob("*.db")
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            query = "SELECT id, state FROM operations WHERE kind = ? ORDER BY created_at DESC"
            found: tuple[str, str] = connection.execute(query, [kind]).fetchone()
            return found

    def runs(self) -> list[int]:
        """Return the processes of pgBackRest."""
        return [pid for each in self.folder.glob("*/pgbackrest") for pid in processes_of(each)]

    def labels(self) -> set[str]:
        """Return the backups whose files are in the repository."""
        [repository] = self.folder.glob("*/backups")
        return {each.name for each in repository.glob("backup/main/2*") if each.is_dir()}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    require.program("restic", "restic")
    with (
        clusters.cluster_folder() as folder,
        scratch_folder("home") as home,
        scratch_folder("files") as files,
    ):
        made = World(folder, home, files)
        made.note.parent.mkdir(parents=True)
        made.note.write_text("1")
        with made.desk() as desk:
            for name in ("one", "two"):
                table(desk.admin, name)
            run(url_of(desk.admin, "postgres"), "CREATE TABLE log (n int PRIMARY KEY)")
            for name in DATABASES:
                write(url_of(desk.admin, name), 1)
            made.backup = taken(desk.admin, files=["project"])
        yield made


@contextmanager
def struck(
    world: World,
    kind: str,
    phase: str,
    whom: str,
    prepare: Callable[[Desk], tuple[str, dict[str, Any]]],
    after: float = 0,
) -> Iterator[tuple[Desk, dict[str, Any]]]:
    """Have somebody killed in a phase; yield a server, and how the operation ended.

    Parameters
    ----------
    prepare
        Returns the path and the body of the request that begins it.
    after
        Seconds after the phase has begun.
    """
    mark = world.folder / STRUCK
    mark.unlink(missing_ok=True)
    comes = whom == "pgbackrest" or (whom == "postgres" and phase in WITHOUT_POSTGRES)
    environ = {
        "KILL": whom,
        "KILL_AT": phase,
        "KILL_IN": kind,
        "KILL_BELOW": str(world.folder),
        "KILL_AFTER": str(after),
        **({"KILL_RUNNING": "yes"} if comes else {}),
    }
    with (
        jupyter.jupyter_server(
            config=world.config,
            home=world.home,
            environ=environ,
            more_extensions=("tests.engines.killer",),
        ) as server,
        server.client() as admin,
    ):
        desk = Desk(server, admin, world.folder)
        path, body = prepare(desk)
        # It may be killed before it answers.
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):
            headers = {**admin.headers, "Prefer": "respond-async"}
            reply = admin.post(path, json=body, headers=headers)
            assert reply.status_code == 202, reply.text
        wait_until(lambda: mark.exists() and mark.read_text(), f"the phase {phase}", 60)
        assert int(mark.read_text()) > 0, f"nobody was killed in {phase}"
        assert (world.folder / ROW).read_text() == "running"
        if whom != "server":
            yield desk, over(admin, world.newest(kind)[0])
            return
        server.process.wait(30)
    operation, state = world.newest(kind)
    assert state == "running"
    with world.desk() as again:
        yield again, over(again.admin, operation)


def over(admin: httpx.Client, operation: str) -> dict[str, Any]:
    """Return an operation when it has ended."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(admin.get(f"operations/{operation}").json())
        return found["state"] not in ("pending", "running")

    wait_until(ended, "the end of the operation", 120)
    return found


@pytest.mark.parametrize("whom", VICTIMS)
@pytest.mark.parametrize("phase", BackupPhase)
def test_a_backup_is_there_or_nothing_of_it(world: World, phase: str, whom: str) -> None:
    before: set[str] = set()

    def prepare(desk: Desk) -> tuple[str, dict[str, Any]]:
        wait_until(lambda: desk.admin.get("databases/one").status_code == 200, "the cluster", 60)
        before.update(each["id"] for each in listed(desk.admin))
        return "backups", {"type": "incremental", "files": ["project/deep"]}

    copies = world.copies()

    with struck(world, "backup.create", phase, whom, prepare) as (desk, ended):
        wait_until(lambda: desk.admin.get("databases/one").status_code == 200, "the cluster", 60)
        after = {each["id"] for each in listed(desk.admin)}
        made = ended["state"] == "succeeded"
        assert made or ended["state"] == "failed", ended
        assert len(after - before) == (1 if made else 0), ended
        wait_until(lambda: len(world.labels()) == len(after), "half a backup to go", 30)
        assert rows(url_of(desk.admin, "two"))[0] == 1
        # Files are kept as long as their backups: only as such they are found again.
        wait_until(lambda: world.copies() == copies + made, "half a copy to go", 30)
        new = [each for each in listed(desk.admin) if each["id"] in after - before]
        assert [each["files"] for each in new] == [["project/deep"]] * made
        # The cluster's own, which archive, end by themselves.
        wait_until(lambda: not world.runs(), "runs of pgBackRest to end", 30)
        taken(desk.admin, type="incremental")


@pytest.mark.parametrize(("phase", "whom"), victims(OF_THE_CLUSTER, "of the cluster"))
def test_the_cluster_is_before_or_after(world: World, phase: str, whom: str) -> None:
    check(world, phase, whom, [])


@pytest.mark.parametrize(("phase", "whom"), victims(OF_A_DATABASE, "of a database"))
def test_a_database_is_before_or_after(world: World, phase: str, whom: str) -> None:
    check(world, phase, whom, ["one"])


@pytest.mark.parametrize("whom", ["server", "postgres"])
@pytest.mark.parametrize("phase", OF_THE_SYSTEMS)
def test_what_every_cluster_has_is_before_or_after(world: World, phase: str, whom: str) -> None:
    check(world, phase, whom, ["postgres"])


def test_files_that_were_being_copied_go_away(world: World) -> None:
    large = world.files / "large"
    large.write_bytes(os.urandom(200 << 20))
    copies = world.copies()
    with world.desk() as desk:
        before = [each["id"] for each in listed(desk.admin)]
        body = {"type": "incremental", "files": ["large"]}
        begun = desk.admin.post("backups", json=body, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202, begun.text
        wait_until(lambda: copying(world.folder, "backup-"), "restic", 30, 0.01)
        os.kill(desk.server.process.pid, signal.SIGKILL)
        desk.server.process.wait(30)
    with world.desk() as again:
        ended = over(again.admin, begun.json()["id"])
        assert ended["state"] == "failed", ended
        assert not copying(world.folder, "backup-")
        assert world.copies() == copies
        assert [each["id"] for each in listed(again.admin)] == before
        made = taken(again.admin, type="incremental", files=["large"])
        assert again.admin.delete(f"backups/{made['id']}").status_code == 200
        assert world.copies() == copies
    large.unlink()


def check(world: World, phase: str, whom: str, names: list[str]) -> None:
    """Kill in a restore, and see what is there."""
    before: dict[str, list[object]] = {}

    def prepare(desk: Desk) -> tuple[str, dict[str, Any]]:
        wait_until(lambda: desk.admin.get("databases/one").status_code == 200, "the cluster", 60)
        world.number += 1
        world.note.write_text(str(world.number))
        for name in DATABASES:
            write(url_of(desk.admin, name), world.number)
            before[name] = rows(url_of(desk.admin, name))
        return f"backups/{world.backup['id']}/restore", {"databases": names}

    with struck(world, "backup.restore", phase, whom, prepare) as (desk, ended):
        wait_until(lambda: desk.admin.get("databases/one").status_code == 200, "the cluster", 60)
        after = ended["state"] == "succeeded"
        assert after or ended["state"] == "failed", ended
        for name, was in before.items():
            gone_back = after and (not names or name in names)
            assert rows(url_of(desk.admin, name)) == ([1] if gone_back else was), (name, ended)
        there = "1" if after else str(world.number)
        assert (world.note.read_text(), len(list(world.files.rglob("*")))) == (there, 3), ended
        kept = [x["name"] for x in desk.admin.get("snapshots").json()["snapshots"]]
        assert len(kept) == (1 if after else 0)
        for name in kept:
            assert desk.admin.delete(f"snapshots/{name}").status_code == 200
        nothing_is_left(desk)
        assert len(clusters.postmasters(world.folder)) == 1
        assert not list(world.folder.glob("*/closed"))
        drop_kept(world, desk, after, names)
        # It goes on to work.
        write(url_of(desk.admin, "one"), 1000 + world.number)


def drop_kept(world: World, desk: Desk, after: bool, names: list[str]) -> None:
    """See that what was there is kept where something else is there now, and remove it."""
    known = {str(each["name"]) for each in desk.admin.get("databases").json()["databases"]}
    kept = [name for name in known if ".before-" in name]
    assert len(kept) == (1 if after and names else 0)
    for name in kept:
        assert desk.admin.delete(f"databases/{name}").status_code == 200
    folders = list(world.folder.glob("*/before-*"))
    assert len(folders) == (1 if after and not names else 0)
    for each in folders:
        shutil.rmtree(each)
