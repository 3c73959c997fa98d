"""A server that is killed in the middle of a snapshot or its restore: each part before or after."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from jupyter_ext.postgres.phases import SWITCHES, RestorePhase

from ..engines import clusters
from ..engines.dockerd import Dockerd
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from ..snapshots.conftest import (
    UID,
    World,
    copying,
    images_of,
    names,
    open_folder,
    remove_images,
    restored,
    taken,
    world_in,
)
from ..snapshots.test_snapshots import state_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.docker,
    pytest.mark.timeout(600),
]

BESIDE = frozenset(RestorePhase) - SWITCHES
"""What goes on beside the databases that are there."""

FILES = 1500
"""At the top of the folder, so that putting them in their place takes a moment."""


@dataclass
class Stage:
    """What outlives a server that is killed."""

    folder: Path
    home: Path
    files: Path
    engine: Dockerd

    def world(self, stack: ExitStack) -> World:
        """Start a server."""
        return stack.enter_context(
            world_in(self.folder, self.home, self.files, docker_host=self.engine.url)
        )

    def state(self, operation: str) -> str:
        """Return what the row of an operation reads."""
        with sqlite3.connect(self.home / "store.db") as store:
            [(found,)] = store.execute("SELECT state FROM operations WHERE id = ?", [operation])
        return str(found)


@pytest.fixture
def stage(docker_engine: Dockerd) -> Iterator[Stage]:
    """Folders and an engine."""
    with (
        clusters.cluster_folder() as folder,
        scratch_folder("home") as home,
        open_folder() as files,
    ):
        yield Stage(folder, home, files, docker_engine)
        docker_engine.clean()
        remove_images(docker_engine)


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


def prepared(world: World, engine: Dockerd) -> httpx.Client:
    """Make a workspace, and return who has it."""
    world.home("ann")
    ann = world.user("ann")
    table(ann, "anns")
    made = ann.post(
        "containers", json={"name": "box", "image": "busybox", "command": "sleep 10000"}
    )
    assert made.status_code == 200, made.text
    change(world, ann, engine, 1)
    return ann


def files_of(world: World) -> set[str]:
    """Return what the files say."""
    paths = [world.home("ann") / f"{each}.txt" for each in range(FILES)]
    return {path.read_text() for path in paths}


def killed(world: World, stage: Stage, operation: str, phase: str, client: httpx.Client) -> None:
    """Kill the server when an operation says that it is in a phase.

    That of databases has many, each too short to be seen for sure.
    """
    seen_as = {"switching": SWITCHES, "databases": {"databases", *BESIDE}}.get(phase, {phase})

    def reached() -> bool:
        found = client.get(f"operations/{operation}").json()
        assert found["state"] == "running", f"{phase}: {found}"
        return found["details"].get("phase") in seen_as

    wait_until(reached, phase, 60, 0.001)
    os.kill(world.server.process.pid, signal.SIGKILL)
    world.server.process.wait()
    assert stage.state(operation) == "running"


def ended(client: httpx.Client, operation: str) -> bool:
    """Wait until an operation is brought to its end; return whether it was finished."""

    def over() -> bool:
        found = client.get(f"operations/{operation}").json()
        return found["state"] not in ("pending", "running")

    wait_until(over, "the end of the operation", 120)
    found = client.get(f"operations/{operation}").json()
    assert found["state"] in ("succeeded", "failed"), found
    print(found)
    return bool(found["state"] == "succeeded")


def begun(client: httpx.Client, path: str, **body: object) -> str:
    """Begin long work; return its operation."""
    reply = client.post(path, json=body, headers={"Prefer": "respond-async"})
    assert reply.status_code == 202, reply.text
    return str(reply.json()["id"])


def nothing_is_left(world: World, stage: Stage, client: httpx.Client, snapshots: int) -> None:
    """See that there is what whole snapshots have, and nothing else."""
    assert not list(world.home("ann").glob(".jupyter_ext-*"))
    assert not any(copying(stage.folder, sign) for sign in ("snapshot-", "restore-"))
    assert len(names(client)) == snapshots
    assert len(images_of(stage.engine)) == snapshots
    assert not list(stage.folder.glob("*/side*"))
    for repository in stage.folder.glob("snapshots-*/*/repository"):
        assert len(list((repository / "snapshots").iterdir())) == snapshots


@pytest.mark.parametrize("phase", ["databases", "files", "containers"])
def test_a_snapshot_is_whole_or_not_there(stage: Stage, phase: str) -> None:
    with ExitStack() as stack:
        world = stage.world(stack)
        ann = prepared(world, stage.engine)
        stack.callback(ann.close)
        operation = begun(ann, "snapshots", name="kept")
        killed(world, stage, operation, phase, ann)
        key = ann.headers["X-API-Key"]
        again = stage.world(stack)
        ann = stack.enter_context(again.server.client(headers={"X-API-Key": key}))
        whole = ended(ann, operation)
        nothing_is_left(again, stage, ann, int(whole))
        # The name is free where it is not there.
        if not whole:
            taken(ann, "kept")
        change(again, ann, stage.engine, 2)
        restored(ann, "kept")
        assert (files_of(again), rows(url_of(ann, "anns"))) == ({"1"}, [1])
        assert state_of(stage.engine, ann) == "1"


@pytest.mark.parametrize(
    "phase", ["preparing", "keeping", "databases", "switching", "files", "containers"]
)
def test_a_restore_is_done_or_undone(stage: Stage, phase: str) -> None:
    with ExitStack() as stack:
        world = stage.world(stack)
        ann = prepared(world, stage.engine)
        stack.callback(ann.close)
        taken(ann, "kept")
        change(world, ann, stage.engine, 2)
        operation = begun(ann, "snapshots/kept/restore")
        killed(world, stage, operation, phase, ann)
        key = ann.headers["X-API-Key"]
        again = stage.world(stack)
        ann = stack.enter_context(again.server.client(headers={"X-API-Key": key}))
        done = ended(ann, operation)
        number = "1" if done else "2"
        assert files_of(again) == {number}
        assert rows(url_of(ann, "anns")) == ([1] if done else [1, 2])
        assert state_of(stage.engine, ann) == number
        nothing_is_left(again, stage, ann, 2 if done else 1)
        if phase in ("files", "containers"):
            assert done
        if phase in ("preparing", "keeping"):
            assert not done
        if done:
            # What was there is kept.
            restored(ann, names(ann)[0])
            assert (files_of(again), rows(url_of(ann, "anns"))) == ({"2"}, [1, 2])
            assert state_of(stage.engine, ann) == "2"


def test_a_cluster_that_is_restored_is_before_or_after(stage: Stage) -> None:
    with ExitStack() as stack:
        world = stage.world(stack)
        write(table(world.admin, "mine"), 1)
        taken(world.admin, "kept", parts=["databases"])
        write(url_of(world.admin, "mine"), 2)
        operation = begun(world.admin, "snapshots/kept/restore")
        killed(world, stage, operation, "switching", world.admin)
        again = stage.world(stack)
        done = ended(again.admin, operation)
        assert rows(url_of(again.admin, "mine")) == ([1] if done else [1, 2])
        assert len(names(again.admin)) == (2 if done else 1)
        taken(again.admin, "another", parts=["databases"])
