"""What a snapshot that failed could not remove is not forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..engines import clusters
from ..engines.dockerd import Dockerd
from ..engines.images import load_busybox
from ..engines.scratch import wait_until
from .conftest import UID, World, names, open_folder, restored, taken, world_in
from .test_snapshots import put

pytestmark = [pytest.mark.postgres, pytest.mark.docker]


def copies(world: World) -> set[Path]:
    """Return all copies of files that restic keeps."""
    return set(world.repositories.glob("*/repository/snapshots/*"))


@pytest.mark.slow
def test_files_of_one_whose_engine_went_away_go_when_it_is_back() -> None:
    with (
        Dockerd() as engine,
        clusters.cluster_folder() as folder,
        open_folder() as files,
        world_in(
            folder, files=files, docker_host=engine.url, SnapshotSettings={"most": 3}
        ) as world,
        world.user("ida") as ida,
    ):
        load_busybox(engine)
        put(world.home("ida") / "f", "one", UID)
        taken(ida, "first", parts=["files"])
        body = {"name": "box", "image": "busybox", "command": "sleep 1000"}
        assert ida.post("containers", json=body).status_code == 200
        first = copies(world)
        engine.halt()
        wanted = {"name": "both", "parts": ["files", "containers"]}
        failed = ida.post("snapshots", json=wanted, timeout=60)
        engine.start()
        assert failed.status_code == 503, failed.text
        [left] = copies(world) - first
        assert names(ida) == ["first"]

        # Neither its name nor its place is taken.
        taken(ida, "both", parts=["files"])
        taken(ida, "third", parts=["files"])
        wait_until(lambda: ida.get("containers").json()["data"]["stale_since"] is None, "Docker")
        # It leaves something to look after.
        kept = restored(ida, "first", "files")["kept"]

        wait_until(lambda: not left.exists(), "the copy to go")
        assert names(ida) == [kept, "third", "both", "first"]
        assert len(copies(world)) == 4
