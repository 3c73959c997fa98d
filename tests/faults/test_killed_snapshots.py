"""The server, PostgreSQL and pgBackRest killed in every phase of a snapshot that is taken.

It is there whole or not at all afterwards, and its operation says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from jupyter_ext.snapshots.phases import SnapshotPhase

from ..engines.dockerd import Dockerd
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table
from ..snapshots.conftest import World, names, taken
from ..snapshots.test_shared_blocks import xfs
from ..snapshots.test_snapshots import state_of
from .snapshot_stage import LATE, Stage, files_of, new_stage, nothing_half_is_left, stage_in, struck

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.docker,
    pytest.mark.timeout(600),
]

FIRST = ("preparing the archive",)
"""Phases that only the first snapshot comes through."""

WITH_COPY = ("copying the cluster", "measuring", "noting", "noted")

WITH_MARKER = [each for each in SnapshotPhase if each not in (*FIRST, "copying the cluster")]

WITH_RUNS = ("looking for a backup", "backing up", "marking", "reaching")
"""Phases in which pgBackRest runs."""

BOTH = ("server", "postgres")

CASES = [(phase, whom) for phase in WITH_MARKER for whom in BOTH]
CASES += [(SnapshotPhase(phase), "pgbackrest") for phase in WITH_RUNS]

UPON = {
    "copying the cluster": "*/copies/*/data/base",
    "backing up": "*/backups/backup/main/2*/*",
    "saving files": "snapshots-*/*/repository/locks/*",
}
"""What is new in the midst of it."""


def test_every_phase_is_struck() -> None:
    assert {*FIRST, *WITH_COPY, *WITH_MARKER} == set(SnapshotPhase)
    assert set(WITH_RUNS) < set(WITH_MARKER)


@pytest.fixture(scope="class")
def stage(docker_engine: Dockerd) -> Iterator[Stage]:
    with new_stage(docker_engine) as made:
        yield made


@pytest.fixture(scope="class")
def sharing_stage(docker_engine: Dockerd) -> Iterator[Stage]:
    """An administrator's workspace, on a disk whose files can share blocks."""
    with xfs() as disk, stage_in(disk, docker_engine, "admin") as made:
        yield made


class TestOfAMoment:
    @pytest.mark.parametrize(("phase", "whom"), CASES, ids=[f"{a}-{b}" for a, b in CASES])
    def test_it_is_whole_or_not_there(self, stage: Stage, phase: str, whom: str) -> None:
        check(stage, phase, whom)


@pytest.mark.parametrize("whom", [*BOTH, "pgbackrest"])
@pytest.mark.parametrize("phase", FIRST)
def test_the_first_one_is_whole_or_not_there(docker_engine: Dockerd, phase: str, whom: str) -> None:
    with new_stage(docker_engine) as stage:
        check(stage, phase, whom)


class TestWithACopyOfTheCluster:
    @pytest.mark.parametrize("whom", BOTH)
    @pytest.mark.parametrize("phase", WITH_COPY)
    def test_it_is_whole_or_not_there(self, sharing_stage: Stage, phase: str, whom: str) -> None:
        check(sharing_stage, phase, whom)


def check(stage: Stage, phase: str, whom: str) -> None:
    """Kill while a snapshot is taken, and see that it is good, or that there is nothing of it."""

    def begin(world: World, ann: httpx.Client) -> tuple[str, dict[str, Any]]:
        if phase == SnapshotPhase.BACKING_UP:
            table(ann, LATE)
        return "snapshots", kept

    # Hers are in a user's folder: an administrator's has all but those.
    groups = ["databases", "files", "containers"][:: 1 if stage.role == "user" else 2]
    kept: dict[str, Any] = {"name": "kept", "parts": groups}
    more = {"KILL_RUNNING": "yes"} if whom == "pgbackrest" else {}
    if phase in UPON:
        more = {"KILL_UPON": UPON[phase]}
    with ExitStack() as stack:
        world, ann, ended = struck(stage, stack, "snapshot.create", phase, whom, begin, **more)
        made = ended["state"] == "succeeded"
        if whom == "server":
            assert made == (phase == SnapshotPhase.NOTED)
        assert names(ann) == (["kept"] if made else [])
        nothing_half_is_left(stage, world, ann)
        if not made:
            # Its name is free, and it takes nobody's place.
            taken(ann, **kept)
            return
        if stage.role == "user":
            assert ann.post("snapshots", json={"name": "another"}).status_code == 403
        was = stage.number, rows(url_of(ann, "anns"))
        stage.change(world, ann)
        back = ann.post("snapshots/kept/restore", json={}, timeout=240)
        assert back.status_code == 200, back.text
        assert rows(url_of(ann, "anns")) == was[1]
        assert state_of(stage.engine, ann) == str(was[0])
        assert files_of(world) == {str(was[0] if "files" in groups else stage.number)}
