"""Folders of the host in containers, on a real engine."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_ext.containers.engine_types import EngineMount
from jupyter_ext.containers.mounted import mounted_elsewhere

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .api_users import GID, UID, User, inspect, left

pytestmark = pytest.mark.docker


def test_a_users_folder_makes_the_container_theirs(
    alice: User, docker_engine: Dockerd, folder: Path
) -> None:
    made = alice.run(
        "work",
        "sh -c 'id -u; id -g; grep NoNewPrivs /proc/self/status; touch /data/made; sleep 1000'",
        volumes=[{"host_path": str(folder), "container_path": "/data"}],
    )
    assert made["config"]["user"] == f"{UID}:{GID}"
    assert made["mounts"][0]["host_path"] == str(folder)

    def printed() -> bool:
        return bool(re.fullmatch(f"{UID}\n{GID}\nNoNewPrivs:\t1\n", logs()))

    def logs() -> str:
        return str(alice("GET", "/containers/work/logs")["logs"])

    wait_until(lambda: logs().count("\n") == 3, "the container's words")
    assert printed(), logs()
    wait_until((folder / "made").exists, "a file")
    assert (folder / "made").stat().st_uid == UID


@pytest.mark.parametrize("path", ["/", "/etc", "{root}", "{root}/bob", "{folder}/link", "/run"])
def test_other_folders_are_forbidden(
    alice: User, running_server: JupyterServer, docker_engine: Dockerd, folder: Path, path: str
) -> None:
    (running_server.folder / "bob").mkdir(exist_ok=True)
    link = folder / "link"
    if not link.is_symlink():
        link.symlink_to("/etc")
    host_path = path.format(root=running_server.folder, folder=folder)
    volumes = [{"host_path": host_path, "container_path": "/data"}]
    body = {"name": "work", "image": "busybox", "volumes": volumes}
    said = alice("POST", "/containers", 403, json=body)
    assert str(running_server.folder / "alice") in said["message"]
    assert said["errors"][0]["field"] == "volumes.0.host_path"
    assert left(docker_engine) == ""


def test_a_folder_that_was_swapped_is_not_mounted(
    alice: User, docker_engine: Dockerd, folder: Path
) -> None:
    data = folder / "data"
    data.mkdir()
    os.chown(data, UID, GID)
    volumes = [{"host_path": str(data), "container_path": "/data"}]
    made = alice.run("work", volumes=volumes)
    alice("POST", "/containers/work/stop")
    data.rmdir()
    data.symlink_to("/etc")
    for action in ("start", "restart"):
        alice("POST", f"/containers/work/{action}", 403)
    assert inspect(docker_engine, made["id"])["State"]["Status"] == "exited"
    data.unlink()


def test_a_folder_that_is_swapped_while_its_container_stops(
    alice: User, docker_engine: Dockerd, folder: Path
) -> None:
    data = folder / "stubborn"
    data.mkdir()
    os.chown(data, UID, GID)
    volumes = [{"host_path": str(data), "container_path": "/data"}]
    command = "sh -c 'trap : TERM; while :; do sleep 0.2; done'"
    made = alice.run("work", command, volumes=volumes)
    before = inspect(docker_engine, made["id"])["State"]
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(alice, "POST", "/containers/work/restart", 403, json={"timeout": 3})
        time.sleep(1)
        data.rmdir()
        data.symlink_to("/etc")
        asked.result()
    after = inspect(docker_engine, made["id"])["State"]
    data.unlink()
    assert after["Status"] == "exited"
    assert after["StartedAt"] == before["StartedAt"]


def test_what_was_really_mounted_is_seen(alice: User, docker_engine: Dockerd, folder: Path) -> None:
    other = folder.parent / "other folder"
    other.mkdir(exist_ok=True)
    volumes = [{"host_path": str(folder), "container_path": "/data"}]
    made = alice.run("work", volumes=volumes)
    pid = made["state"]["pid"]
    assert mounted_elsewhere([EngineMount(str(folder), "/data")], pid) is None
    assert mounted_elsewhere([EngineMount(str(other), "/data")], pid) == "/data"
    assert mounted_elsewhere([EngineMount("/etc", "/data")], pid) == "/data"


def test_an_engine_that_starts_it_again_would_not_look(alice: User, folder: Path) -> None:
    volumes = [{"host_path": str(folder), "container_path": "/data"}]
    body = {"name": "work", "image": "busybox", "volumes": volumes, "restart_policy": "always"}
    assert alice("POST", "/containers", 400, json=body)["errors"][0]["field"] == "restart_policy"
    alice.run("work", volumes=volumes)
    alice("PUT", "/containers/work", 400, json={"restart_policy": "always"})


def test_the_owner_may_have_the_notebook_root(admin: User, running_server: JupyterServer) -> None:
    volumes = [{"host_path": str(running_server.folder), "container_path": "/data"}]
    made = admin.run("work", "sh -c 'id -u; sleep 1000'", volumes=volumes)
    assert made["config"]["user"] == ""
