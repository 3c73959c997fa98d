"""Folders that another user of the machine makes while an administrator's are copied."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..engines import clusters
from ..engines.scratch import scratch_folder
from .conftest import UID, World, names, open_folder, restored, taken, world_in

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away, which needs root"),
]

# Between our look and restic's: there is a folder of somebody else's where all may make some.
BETWEEN = """#!/bin/sh
shared={files}/shared
case " $* " in
  *" backup "*)
    if [ -e {moments}/left ]; then
      made="$shared/his-$(cat {moments}/left)"
      mkdir -p "$made/deep" && echo his > "$made/deep/secret.txt" && chown -R {uid} "$made"
      read left < {moments}/left; left=$((left - 1))
      if [ $left -gt 0 ]; then echo $left > {moments}/left; else rm {moments}/left; fi
    fi;;
esac
exec {restic} "$@"
"""


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """The folder of a restic that waits for what is done before it."""
    with scratch_folder("programs") as folder:
        yield folder


@pytest.fixture(scope="module")
def world(programs: Path) -> Iterator[World]:
    restic = shutil.which("restic")
    with clusters.cluster_folder() as folder, open_folder() as files:
        wrapper = programs / "restic"
        words = {"files": files, "moments": programs, "uid": UID, "restic": restic}
        wrapper.write_text(BETWEEN.format(**words))
        wrapper.chmod(0o755)
        shared = files / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        (shared / "ours.txt").write_text("ours")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        with world_in(folder, files=files, environ={"PATH": path}) as made:
            yield made


def in_copies(world: World) -> set[str]:
    """Return the paths of all copies."""
    paths = set[str]()
    for place in world.repositories.iterdir():
        known = {"RESTIC_REPOSITORY": f"{place}/repository", "RESTIC_CACHE_DIR": "/nonexistent"}
        known |= {"RESTIC_PASSWORD_FILE": f"{place}/password", "PATH": os.environ["PATH"]}

        def restic(*words: str, known: dict[str, str] = known) -> list[str]:
            command = ["restic", "--no-cache", "--no-lock", *words]
            told = subprocess.run(command, env=known, check=True, capture_output=True, text=True)
            return told.stdout.splitlines()

        for id in [line.split()[0] for line in restic("list", "snapshots") if line]:
            paths.update(restic("ls", id)[1:])
    return paths


def come(programs: Path, times: int) -> None:
    """Have a folder made at each of the next copies."""
    (programs / "left").write_text(f"{times}\n")


def test_what_is_made_after_the_look_is_in_no_copy(world: World, programs: Path) -> None:
    come(programs, 1)

    made = taken(world.admin, "one", parts=["files"])

    his = world.files / "shared" / "his-1"
    [files] = made["parts"]
    assert any("shared/his-1" in each for each in files["not_in_it"]), files
    paths = in_copies(world)
    assert "/shared/ours.txt" in paths and not [each for each in paths if "his" in each]
    (world.files / "shared" / "ours.txt").write_text("later")
    restored(world.admin, "one", "files")
    assert (world.files / "shared" / "ours.txt").read_text() == "ours"
    assert (his / "deep" / "secret.txt").read_text() == "his\n"


@pytest.mark.slow
def test_who_never_stops_is_named_and_nothing_is_kept(world: World, programs: Path) -> None:
    before = names(world.admin)
    come(programs, 5)

    refused = world.admin.post("snapshots", json={"name": "two", "parts": ["files"]}, timeout=120)

    assert refused.status_code == 503, refused.text
    assert "shared/his-3" in refused.text and "elsewhere" in refused.text
    assert names(world.admin) == before
    assert not [each for each in in_copies(world) if "his" in each]
