"""A real server with databases, notebook files, containers and two users."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from jupyter_ext.snapshots.restic import runs

from ..engines import clusters, jupyter, require
from ..engines.dockerd import Dockerd
from ..engines.scratch import scratch_folder
from ..postgres.conftest import Desk, settings

UID = 5431
"""Of a user's folder: nobody has it here."""

Json = dict[str, Any]


@dataclass
class World(Desk):
    """A server, its administrator, and the folders of its users' files."""

    files: Path

    def home(self, name: str, uid: int = UID) -> Path:
        """Return a user's folder of notebook files, made."""
        folder = self.files / name
        folder.mkdir(exist_ok=True)
        os.chown(folder, uid, uid)
        return folder

    def copying(self) -> list[int]:
        """Return the runs of restic for snapshots of this world."""
        return copying(self.folder, "snapshot-")

    @property
    def repositories(self) -> Path:
        """The folder of what restic keeps."""
        [found] = self.folder.glob("snapshots-*")
        return found


def copying(folder: Path, sign: str) -> list[int]:
    """Return the runs of restic whose repositories lie in a folder: others' tests may have some."""
    found = set()
    for pid in {pid for place in folder.glob("snapshots-*/*") for pid in runs(sign, place)}:
        with suppress(psutil.NoSuchProcess):
            environ = psutil.Process(pid).environ()
            if environ.get("RESTIC_REPOSITORY", "").startswith(str(folder)):
                found.add(pid)
    return sorted(found)


def taken(client: httpx.Client, name: str, **body: Any) -> Json:
    """Take a snapshot."""
    reply = client.post("snapshots", json={"name": name, **body}, timeout=120)
    assert reply.status_code == 201, reply.text
    made: Json = reply.json()
    return made


def restored(client: httpx.Client, name: str, *parts: str) -> Json:
    """Restore a snapshot, or parts of it."""
    body = {"parts": list(parts)} if parts else {}
    reply = client.post(f"snapshots/{name}/restore", json=body, timeout=240)
    assert reply.status_code == 200, reply.text
    made: Json = reply.json()
    return made


def names(client: httpx.Client, **query: Any) -> list[str]:
    """Return the names of snapshots, newest first."""
    reply = client.get("snapshots", params=query)
    assert reply.status_code == 200, reply.text
    return [str(each["name"]) for each in reply.json()["snapshots"]]


def images_of(engine: Dockerd) -> list[str]:
    """Return the images that snapshots have made on an engine."""
    tags = engine.docker("images", "--format", "{{.Repository}}").split()
    return [tag for tag in tags if "/snapshot-" in tag]


def remove_images(engine: Dockerd) -> None:
    """Remove them: the engine is the session's."""
    if left := images_of(engine):
        engine.docker("rmi", "--force", *left)


@contextmanager
def world_in(
    folder: Path, home: Path | None = None, files: Path | None = None, **more: Any
) -> Iterator[World]:
    """A server of its own; its folders may outlive it."""
    require.program("restic", "restic")
    docker = more.pop("docker_host", None)
    how = {"environ": more.pop("environ", None), "more_extensions": more.pop("extensions", ())}
    config = settings(folder) | more
    if files is not None:
        config["ServerApp"] = {"root_dir": str(files)}
    with (
        jupyter.jupyter_server(config=config, home=home, docker_host=docker, **how) as server,
        server.client() as admin,
    ):
        try:
            yield World(server, admin, folder, files or server.folder)
        finally:
            print(server.log[-6000:])


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users of the machine can enter."""
    with scratch_folder("files") as folder:
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="module")
def world(docker_engine: Dockerd) -> Iterator[World]:
    """A server of this file's tests, with an engine."""
    with (
        clusters.cluster_folder() as folder,
        open_folder() as files,
        world_in(
            folder,
            files=files,
            docker_host=docker_engine.url,
            SnapshotSettings={"most": 3, "most_before": 2},
        ) as made,
    ):
        yield made
        docker_engine.clean()
        remove_images(docker_engine)
