"""PostgreSQL, pgBackRest and the server killed in every phase of a snapshot's restore.

What is there afterwards is the state before or after, and the operation says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows
from ..snapshots.conftest import World, names, restored, taken
from ..snapshots.test_snapshots import state_of
from .snapshot_stage import Stage, files_of, new_stage, nothing_half_is_left, struck

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


@pytest.fixture(scope="class")
def stage(docker_engine: Dockerd) -> Iterator[Stage]:
    with new_stage(docker_engine) as made:
        yield made


@pytest.fixture(scope="class")
def cluster_stage(docker_engine: Dockerd) -> Iterator[Stage]:
    """An administrator's, whose snapshots have the whole cluster."""
    with new_stage(docker_engine, "admin") as made:
        yield made


def check(stage: Stage, phase: str, whom: str, **more: str) -> dict[str, Any]:
    """Kill in a restore, and see that all is as before or as after."""
    before: list[tuple[int, list[object]]] = []

    def begin(world: World, ann: httpx.Client) -> tuple[str, dict[str, Any]]:
        before.append((stage.number, rows(url_of(ann, "anns"))))
        # An administrator's files are not those of the workspace.
        taken(ann, "kept", **({} if stage.role == "user" else {"parts": ["databases"]}))
        stage.change(world, ann)
        before.append((stage.number, rows(url_of(ann, "anns"))))
        return "snapshots/kept/restore", {}

    with ExitStack() as stack:
        world, ann, ended = struck(stage, stack, "snapshot.restore", phase, whom, begin, **more)
        done = ended["state"] == "succeeded"
        number, there = before[0] if done else before[1]
        assert rows(url_of(ann, "anns")) == there, ended
        number = number if stage.role == "user" else before[1][0]
        assert files_of(world) == {str(number)}, ended
        assert state_of(stage.engine, ann) == str(number), ended
        assert len(names(ann)) == (2 if done else 1)
        nothing_half_is_left(stage, world, ann)
        databases = [each["name"] for each in ann.get("databases").json()["databases"]]
        assert len([name for name in databases if ".before-" in name]) == (
            done and stage.role == "user"
        )
        if done and whom == "server":
            # What was there is kept.
            restored(ann, names(ann)[0])
            number, there = before[1]
            assert rows(url_of(ann, "anns")) == there
            assert (files_of(world), state_of(stage.engine, ann)) == ({str(number)}, str(number))
        # It goes on to work.
        stage.change(world, ann)
        return ended


class TestOfAWorkspace:
    @pytest.mark.parametrize("whom", ["server", "postgres"])
    @pytest.mark.parametrize("phase", [*OF_ALL, *OF_DATABASES])
    def test_it_is_done_or_undone(self, stage: Stage, phase: str, whom: str) -> None:
        ended = check(stage, phase, whom)
        if phase in ("files", "containers"):
            assert ended["state"] == "succeeded"
        if whom == "server" and phase in ("preparing", "keeping"):
            assert ended["state"] == "failed"

    @pytest.mark.parametrize("phase", WITH_RUNS)
    def test_without_pgbackrest_it_is_done_or_undone(self, stage: Stage, phase: str) -> None:
        check(stage, phase, "pgbackrest", KILL_RUNNING="yes")

    @pytest.mark.parametrize("call", ["put_beside", "stop", "start", "inspect", "remove"])
    def test_a_container_is_exchanged_by_the_next_server(self, stage: Stage, call: str) -> None:
        ended = check(stage, "containers", "server", KILL_AFTER_CALL=call)
        assert ended["state"] == "succeeded"


class TestOfTheCluster:
    @pytest.mark.parametrize("phase", ["switching", "swapping"])
    def test_it_is_done_or_undone(self, cluster_stage: Stage, phase: str) -> None:
        check(cluster_stage, phase, "server")
