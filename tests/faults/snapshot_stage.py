"""A workspace that outlives the servers that are killed, and the blow in a phase of a snapshot."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..engines import clusters
from ..engines.desk_cluster import processes_of
from ..engines.dockerd import Dockerd
from ..engines.killer import ROW, STRUCK
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import table, write
from ..snapshots.conftest import (
    UID,
    World,
    copying,
    images_of,
    names,
    open_folder,
    remove_images,
    world_in,
)

FILES = 1500
"""At the top of the folder, so that copying them and putting them in their place takes a moment."""

LATE = "late"
"""A database that was made after the last backup."""

SETTINGS = {
    # What was not made must not count.
    "SnapshotSettings": {"most": 1},
    "BackupSettings": {"watch_interval": 1, "daily": 1000, "loading_seconds": 3},
}


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
    role: str = "user"
    key: str = ""
    number: int = 0
    written: list[int] = field(default_factory=list)

    def world(self, stack: ExitStack, **environ: str) -> World:
        """Start a server, which kills where it is told whom."""
        (self.folder / STRUCK).unlink(missing_ok=True)
        more: dict[str, Any] = dict(SETTINGS)
        if environ:
            more["extensions"] = ("tests.engines.killer",)
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

    def snapshots(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the marks and the parts of all that the store has, half ones too."""
        with closing(sqlite3.connect(f"file:{self.home / 'store.db'}?mode=ro", uri=True)) as store:
            found = store.execute("SELECT mark, parts FROM snapshots").fetchall()
        return [mark for mark, _ in found], [x for _, parts in found for x in json.loads(parts)]

    def change(self, world: World, ann: httpx.Client) -> None:
        """Write the next number everywhere."""
        self.number += 1
        change(world, ann, self.engine, self.number)


@contextmanager
def stage_in(folder: Path, engine: Dockerd, role: str = "user") -> Iterator[Stage]:
    """Somebody's workspace; its databases lie in a folder."""
    with scratch_folder("home") as home, open_folder() as files:
        made = Stage(folder, home, files, engine, role)
        with ExitStack() as stack:
            world = made.world(stack)
            world.home("ann")
            with world.user("ann", role=role) as ann:
                table(ann, "anns")
                made.key = ann.headers["X-API-Key"]
        yield made
        engine.clean()
        remove_images(engine)


@contextmanager
def new_stage(engine: Dockerd, role: str = "user") -> Iterator[Stage]:
    """Somebody's workspace, of which there is no backup yet."""
    with clusters.cluster_folder() as folder, stage_in(folder, engine, role) as made:
        yield made


def change(world: World, client: httpx.Client, engine: Dockerd, number: int) -> None:
    """Write a number everywhere."""
    folder = world.home("ann")
    for each in range(FILES):
        path = folder / f"{each}.txt"
        path.write_text(f"{number}")
        os.chown(path, UID, UID)
    write(url_of(client, "anns"), number)
    box = client.get("containers/box").json()["data"]["id"]
    engine.docker("exec", box, "sh", "-c", f"echo {number} > /state")


def files_of(world: World) -> set[str]:
    """Return what the files say."""
    paths = [world.home("ann") / f"{each}.txt" for each in range(FILES)]
    return {path.read_text() for path in paths}


def prepare(stage: Stage, world: World, ann: httpx.Client) -> None:
    """Have a container, and no snapshot or other things that tests before have made."""
    if ann.get("containers/box").status_code == 200:
        assert ann.delete("containers/box?force=true").status_code == 200
    for name in names(ann):
        assert ann.delete(f"snapshots/{name}", timeout=60).status_code == 200
    for each in ann.get("databases").json()["databases"]:
        if ".before-" in each["name"] or each["name"] == LATE:
            assert ann.delete(f"databases/{each['name']}?force=true").status_code == 200
    for kept in stage.folder.glob("*/before-*"):
        shutil.rmtree(kept)
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
    assert int(mark.read_text()) > 0, f"nobody was killed in {phase}"
    assert (stage.folder / ROW).read_text() == "running"
    operation, _ = stage.newest(kind)
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
    assert found["state"] == "succeeded" or (
        found["state"] == "failed" and found["error"]["message"]
    ), found
    print(phase, whom, found["state"], found["message"])
    wait_until(lambda: ann.get("databases/anns").status_code == 200, "the cluster", 90)
    return world, ann, found


def nothing_half_is_left(stage: Stage, world: World, ann: httpx.Client) -> None:
    """See that there is what whole snapshots have, and nothing else."""
    there = names(ann)
    marks, parts = stage.snapshots()
    assert len(marks) == len(there)
    assert not any(copying(stage.folder, sign) for sign in ("snapshot-", "restore-"))
    assert not list(world.home("ann").glob(".jupyter_ext-*"))
    imaged = [part for part in parts if part["kind"] == "container"]
    assert len(images_of(stage.engine)) == len(imaged)
    assert not list(stage.folder.glob("*/side*")) and not list(stage.folder.glob("*/closed"))
    for repository in stage.folder.glob("snapshots-*/*/repository"):
        kept = [part for part in parts if part["kind"] == "files"]
        assert len(list((repository / "snapshots").iterdir())) == len(kept)
    copied = {str(part["facts"]["copy"]) for part in parts if "copy" in part["facts"]}
    assert {each.name for each in stage.folder.glob("*/copies/*")} == copied
    listed = world.admin.get("backups").json()["backups"]
    labels = [each for each in stage.folder.glob("*/backups/backup/main/2*") if each.is_dir()]
    assert len(labels) == len(listed)
    containers = stage.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
    assert containers == ["ann.box"]
    databases = [each["name"] for each in ann.get("databases").json()["databases"]]
    assert not [name for name in databases if name.startswith("restore-")]
    assert len(clusters.postmasters(stage.folder)) == 1
    runs = [pid for each in stage.folder.glob("*/pgbackrest") for pid in processes_of(each)]
    wait_until(lambda: not [pid for pid in runs if Path(f"/proc/{pid}").exists()], "runs", 30)
