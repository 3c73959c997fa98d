"""PostgreSQL and pgBackRest killed in every phase of snapshots, and the server while it exchanges.

What is there afterwards is the state before or after, and the operation says which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import clusters
from ..engines.desk_cluster import processes_of
from ..engines.dockerd import Dockerd
from ..engines.killer import STRUCK
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table
from ..snapshots.conftest import (
    World,
    images_of,
    names,
    open_folder,
    remove_images,
    taken,
    world_in,
)
from ..snapshots.test_snapshots import state_of
from .test_snapshots import change, files_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.docker,
    pytest.mark.timeout(600),
]

OF_ALL = ["preparing", "keeping", "databases", "files", "containers"]
OF_DATABASES = ["waiting", "copying", "recovering", "proving", "loading", "switching", "closing"]
OF_DATABASES += ["renaming", "opening"]

WITH_RUNS = ["keeping", "databases", "copying", "recovering"]
"""Phases in which pgBackRest runs."""


@dataclass
class Stage:
    """What outlives a server that is killed.

    Parameters
    ----------
    number
        The last one that was written everywhere.
    """

    folder: Path
    home: Path
    files: Path
    engine: Dockerd
    key: str = ""
    number: int = 0
    written: list[int] = field(default_factory=list)

    def world(self, stack: ExitStack, **environ: str) -> World:
        """Start a server, which kills where it is told whom."""
        (self.folder / STRUCK).unlink(missing_ok=True)
        more: dict[str, Any] = {}
        if environ:
            more = {"extensions": ("tests.engines.killer",)}
            more["environ"] = {**environ, "KILL_BELOW": str(self.folder)}
        world = world_in(self.folder, self.home, self.files, docker_host=self.engine.url, **more)
        return stack.enter_context(world)

    def client(self, stack: ExitStack, world: World) -> httpx.Client:
        """Return the client of whose workspace it is; there is PostgreSQL by then."""
        ann = stack.enter_context(world.server.client(headers={"X-API-Key": self.key}))
        wait_until(lambda: ann.get("databases/anns").status_code == 200, "the cluster", 90)
        wait_until(lambda: ann.get("containers").status_code == 200, "the engine", 60)
        return ann

    def newest(self, kind: str) -> tuple[str, str]:
        """Return the id and the state of the newest operation, as the store has it."""
        with closing(sqlite3.connect(f"file:{self.home / 'store.db'}?mode=ro", uri=True)) as store:
            query = "SELECT id, state FROM operations WHERE kind = ? ORDER BY created_at DESC"
            found: tuple[str, str] = store.execute(query, [kind]).fetchone()
            return found

    def change(self, world: World, ann: httpx.Client) -> None:
        """Write the next number everywhere."""
        self.number += 1
        change(world, ann, self.engine, self.number)


@pytest.fixture(scope="module")
def stage(docker_engine: Dockerd) -> Iterator[Stage]:
    """Folders, an engine, and somebody's workspace."""
    with (
        clusters.cluster_folder() as folder,
        scratch_folder("home") as home,
        open_folder() as files,
    ):
        made = Stage(folder, home, files, docker_engine)
        with ExitStack() as stack:
            world = made.world(stack)
            world.home("ann")
            with world.user("ann") as ann:
                table(ann, "anns")
                made.key = ann.headers["X-API-Key"]
        yield made
        docker_engine.clean()
        remove_images(docker_engine)


def prepare(stage: Stage, world: World, ann: httpx.Client) -> None:
    """Have a container, and no snapshot."""
    if ann.get("containers/box").status_code == 200:
        assert ann.delete("containers/box?force=true").status_code == 200
    for name in names(ann):
        assert ann.delete(f"snapshots/{name}", timeout=60).status_code == 200
    for each in ann.get("databases").json()["databases"]:
        if ".before-" in each["name"]:
            assert ann.delete(f"databases/{each['name']}?force=true").status_code == 200
    remove_images(stage.engine)
    made = ann.post(
        "containers", json={"name": "box", "image": "busybox", "command": "sleep 10000"}
    )
    assert made.status_code == 200, made.text
    stage.change(world, ann)


def struck(
    stage: Stage,
    stack: ExitStack,
    kind: str,
    phase: str,
    whom: str,
    begin: Callable[[World, httpx.Client], tuple[str, dict[str, Any]]],
    **more: str,
) -> tuple[World, httpx.Client, dict[str, Any]]:
    """Have somebody killed in a phase; return a server, a client, and how the operation ended."""
    world = stage.world(stack, KILL=whom, KILL_AT=phase, KILL_IN=kind, **more)
    ann = stage.client(stack, world)
    prepare(stage, world, ann)
    path, body = begin(world, ann)
    # The server may be killed before it answers.
    with suppress(httpx.RemoteProtocolError, httpx.ReadError):
        reply = ann.post(path, json=body, headers={"Prefer": "respond-async"})
        assert reply.status_code == 202, reply.text
    mark = stage.folder / STRUCK
    wait_until(lambda: mark.exists() and mark.read_text(), f"the phase {phase}", 120)
    operation, state = stage.newest(kind)
    # The others' end is seen a moment later only.
    assert state == "running" or (whom == "pgbackrest" and state == "failed"), state
    assert int(mark.read_text()) > 0, f"nobody was killed in {phase}"
    if whom == "server":
        world.server.process.wait(30)
        assert stage.newest(kind) == (operation, "running")
        world = stage.world(stack)
        ann = stage.client(stack, world)
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(ann.get(f"operations/{operation}").json())
        return found["state"] not in ("pending", "running")

    wait_until(ended, "the end of the operation", 180)
    assert found["state"] in ("succeeded", "failed"), found
    print(phase, whom, found["state"], found["message"])
    wait_until(lambda: ann.get("databases/anns").status_code == 200, "the cluster", 90)
    return world, ann, found


def nothing_half_is_left(stage: Stage, world: World, ann: httpx.Client) -> None:
    """See that there is what whole snapshots have, and nothing else."""
    there = names(ann)
    assert not list(world.home("ann").glob(".jupyter_ext-*"))
    assert len(images_of(stage.engine)) == len(there)
    assert not list(stage.folder.glob("*/side*")) and not list(stage.folder.glob("*/closed"))
    for repository in stage.folder.glob("snapshots-*/*/repository"):
        assert len(list((repository / "snapshots").iterdir())) == len(there)
    containers = stage.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
    assert containers == ["ann.box"]
    databases = [each["name"] for each in ann.get("databases").json()["databases"]]
    assert not [name for name in databases if name.startswith("restore-")]
    assert len(clusters.postmasters(stage.folder)) == 1
    runs = [pid for each in stage.folder.glob("*/pgbackrest") for pid in processes_of(each)]
    wait_until(lambda: not [pid for pid in runs if Path(f"/proc/{pid}").exists()], "runs", 30)


@pytest.mark.parametrize(
    ("phase", "whom"),
    [
        ("databases", "postgres"),
        ("files", "postgres"),
        ("containers", "postgres"),
        ("databases", "pgbackrest"),
    ],
)
def test_a_snapshot_is_whole_or_not_there(stage: Stage, phase: str, whom: str) -> None:
    def begin(world: World, ann: httpx.Client) -> tuple[str, dict[str, Any]]:
        return "snapshots", {"name": "kept"}

    more = {"KILL_RUNNING": "yes"} if whom == "pgbackrest" else {}
    with ExitStack() as stack:
        world, ann, ended = struck(stage, stack, "snapshot.create", phase, whom, begin, **more)
        assert names(ann) == (["kept"] if ended["state"] == "succeeded" else [])
        nothing_half_is_left(stage, world, ann)
        was = stage.number, rows(url_of(ann, "anns"))
        if ended["state"] == "failed":
            taken(ann, "kept")
        stage.change(world, ann)
        back = ann.post("snapshots/kept/restore", json={}, timeout=240)
        assert back.status_code == 200, back.text
        assert rows(url_of(ann, "anns")) == was[1]
        assert files_of(world) == {str(was[0])} == {state_of(stage.engine, ann)}


def check_restore(stage: Stage, phase: str, whom: str, **more: str) -> dict[str, Any]:
    """Kill in a restore, and see that all is as before or as after."""
    before: list[tuple[int, list[object]]] = []

    def begin(world: World, ann: httpx.Client) -> tuple[str, dict[str, Any]]:
        before.append((stage.number, rows(url_of(ann, "anns"))))
        taken(ann, "kept")
        stage.change(world, ann)
        before.append((stage.number, rows(url_of(ann, "anns"))))
        return "snapshots/kept/restore", {}

    with ExitStack() as stack:
        world, ann, ended = struck(stage, stack, "snapshot.restore", phase, whom, begin, **more)
        done = ended["state"] == "succeeded"
        number, there = before[0] if done else before[1]
        assert rows(url_of(ann, "anns")) == there, ended
        assert files_of(world) == {str(number)}, ended
        assert state_of(stage.engine, ann) == str(number), ended
        assert len(names(ann)) == (2 if done else 1)
        nothing_half_is_left(stage, world, ann)
        databases = [each["name"] for each in ann.get("databases").json()["databases"]]
        assert len([name for name in databases if ".before-" in name]) == int(done)
        # It goes on to work.
        stage.change(world, ann)
        return ended


@pytest.mark.parametrize("phase", [*OF_ALL, *OF_DATABASES])
def test_a_restore_without_postgres_is_done_or_undone(stage: Stage, phase: str) -> None:
    ended = check_restore(stage, phase, "postgres")
    if phase in ("files", "containers"):
        assert ended["state"] == "succeeded"


@pytest.mark.parametrize("phase", WITH_RUNS)
def test_a_restore_without_pgbackrest_is_done_or_undone(stage: Stage, phase: str) -> None:
    check_restore(stage, phase, "pgbackrest", KILL_RUNNING="yes")


@pytest.mark.parametrize("call", ["put_beside", "stop", "start", "inspect", "remove"])
def test_a_container_is_exchanged_by_the_next_server(stage: Stage, call: str) -> None:
    ended = check_restore(stage, "containers", "server", KILL_AFTER_CALL=call)
    assert ended["state"] == "succeeded"
