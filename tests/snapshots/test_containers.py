"""Containers in snapshots: what is mounted stays, and nothing goes before all is there."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.scratch import wait_until
from .conftest import World, names, restored, taken


@pytest.fixture(autouse=True)
def nothing_else(docker_engine: Dockerd) -> None:
    """Each begins without containers of the others."""
    docker_engine.clean()


pytestmark = [pytest.mark.postgres, pytest.mark.docker]


def inside(engine: Dockerd, client: httpx.Client, name: str, command: str) -> str:
    """Run a line in a container, which runs."""
    return engine.docker("exec", found(client, name)["id"], "sh", "-c", command).strip()


def found(client: httpx.Client, name: str) -> dict[str, Any]:
    """Return a container as its owner sees it."""
    reply = client.get(f"containers/{name}")
    assert reply.status_code == 200, reply.text
    data: dict[str, Any] = reply.json()["data"]
    return data


def listed(engine: Dockerd, word: str) -> list[str]:
    """Return the engine's names of containers that have a word in them, stopped ones too."""
    return [
        name for name in engine.docker("ps", "-a", "--format", "{{.Names}}").split() if word in name
    ]


def outside(snapshot: dict[str, Any], name: str) -> str:
    """Return what a part says that is not in it."""
    [part] = [each for each in snapshot["parts"] if each["name"] == name]
    return "\n".join(part["not_in_it"])


def test_what_is_mounted_stays_and_is_attached_again(world: World, docker_engine: Dockerd) -> None:
    shared = world.home("vol")
    (shared / "hers").write_text("one")
    docker_engine.docker("network", "create", "aside")
    docker_engine.docker(
        *("run", "-d", "--init", "--name", "vols", "-v", "named:/data", "-v", "/unnamed"),
        *("-v", f"{shared}:/shared:ro", "--tmpfs", "/scratch:size=1m", "--mount"),
        *("type=tmpfs,destination=/more", "--cap-add", "NET_ADMIN", "--hostname", "voly"),
        *("busybox", "sleep", "10000"),
    )
    docker_engine.docker("network", "connect", "--alias", "other", "aside", "vols")
    wait_until(lambda: world.admin.get("containers/vols").status_code == 200, "the container")
    write = "echo one | tee /state /data/state /unnamed/state /scratch/state"
    inside(docker_engine, world.admin, "vols", write)

    kept = taken(world.admin, "with volumes", parts=["containers"])

    told = outside(kept, "container:vols")
    for word in ("named at /data", "at /unnamed", f"{shared} at /shared", "/scratch", "/more"):
        assert word in told, told
    assert "/more" in outside(world.admin.get("snapshots/with volumes").json(), "container:vols")
    inside(docker_engine, world.admin, "vols", write.replace("one", "two"))
    before = json.loads(docker_engine.docker("inspect", "vols"))[0]

    back = restored(world.admin, "with volumes")

    assert back["not_in_it"] == {"container:vols": kept["parts"][0]["not_in_it"]}
    read = "cat /state /data/state /unnamed/state /shared/hers; ls /scratch"
    assert inside(docker_engine, world.admin, "vols", read).split() == ["one", "two", "two", "one"]
    after = json.loads(docker_engine.docker("inspect", "vols"))[0]
    assert after["Id"] != before["Id"] and listed(docker_engine, "vols") == ["vols"]
    places = [
        sorted((m["Type"], m.get("Name") or m["Source"], m["Destination"], m["RW"]) for m in each)
        for each in (before["Mounts"], after["Mounts"])
    ]
    assert places[0] == places[1]
    assert after["HostConfig"]["Tmpfs"] == {"/scratch": "size=1m"}
    assert after["HostConfig"]["CapAdd"] == before["HostConfig"]["CapAdd"]
    assert after["Config"]["Hostname"] == "voly"
    assert set(after["NetworkSettings"]["Networks"]) == {"bridge", "aside"}
    assert "other" in after["NetworkSettings"]["Networks"]["aside"]["Aliases"]

    # Also of one that was deleted: its volumes are there.
    assert world.admin.delete("containers/vols?force=true").status_code == 200
    restored(world.admin, "with volumes", "container:vols")
    assert inside(docker_engine, world.admin, "vols", read).split() == ["one", "two", "two", "one"]
    restored(world.admin, "with volumes", "container:vols")
    assert inside(docker_engine, world.admin, "vols", read).split() == ["one", "two", "two", "one"]
    # Of a volume that is gone nobody makes an empty one.
    assert world.admin.delete("containers/vols?force=true").status_code == 200
    docker_engine.docker("volume", "rm", "named")
    refused = world.admin.post("snapshots/with volumes/restore", json={})
    assert refused.status_code == 409 and "volume named" in refused.text, refused.text
    docker_engine.docker("volume", "create", "named")
    refused = world.admin.post("snapshots/with volumes/restore", json={})
    assert refused.status_code == 409 and "another volume" in refused.text, refused.text
    assert "vols" not in docker_engine.docker("ps", "-a", "--format", "{{.Names}}").split()


def broken(engine: Dockerd, reference: str) -> None:
    """Have a name mean an image with a file where the container's folder should be."""
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w") as files:
            files.addfile(tarfile.TarInfo("work"))
        engine.docker("import", "-", reference, stdin=archive.getvalue())


def test_what_can_not_be_made_again_leaves_what_is_there(
    world: World, docker_engine: Dockerd
) -> None:
    admin = world.admin
    docker_engine.docker(
        *("run", "-d", "--init", "--name", "box", "-w", "/work", "busybox", "sleep", "10000")
    )
    wait_until(lambda: admin.get("containers/box").status_code == 200, "the container")
    inside(docker_engine, admin, "box", "echo one > state")
    [kept] = taken(admin, "kept", parts=["containers"])["parts"]
    inside(docker_engine, admin, "box", "echo two > state")
    was = found(admin, "box")
    docker_engine.docker("tag", kept["place"], "good")
    broken(docker_engine, kept["place"])

    failed = admin.post("snapshots/kept/restore", json={}, timeout=60)

    assert failed.status_code == 503, failed.text
    assert "It is as it was." in failed.text
    now = found(admin, "box")
    assert (now["id"], now["status"]) == (was["id"], "running")
    assert inside(docker_engine, admin, "box", "cat state") == "two"
    assert listed(docker_engine, "box") == ["box"]
    assert [each["name"] for each in admin.get("containers").json()["data"]["items"]] == ["box"]
    docker_engine.docker("tag", "good", kept["place"])
    restored(admin, "kept")
    assert inside(docker_engine, admin, "box", "cat state") == "one"
    assert found(admin, "box")["cid"] == was["cid"]


def test_one_that_its_end_would_remove_is_not_touched(world: World, docker_engine: Dockerd) -> None:
    docker_engine.docker("run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "10000")
    wait_until(lambda: world.admin.get("containers/brief").status_code == 200, "the container")
    taken(world.admin, "brief", parts=["containers"])

    refused = world.admin.post("snapshots/brief/restore", json={"parts": ["container:brief"]})

    assert refused.status_code == 409 and "--rm" in refused.text, refused.text
    assert found(world.admin, "brief")["status"] == "running"


def test_one_of_the_same_name_that_came_since_stays(world: World, docker_engine: Dockerd) -> None:
    with world.user("gus") as gus:
        body = {"name": "box", "image": "busybox", "command": "sleep 10000"}
        assert gus.post("containers", json=body).status_code == 200
        inside(docker_engine, gus, "box", "echo one > /state")
        taken(gus, "kept", parts=["containers"])
        assert gus.delete("containers/box?force=true").status_code == 200
        assert gus.post("containers", json=body).status_code == 200
        inside(docker_engine, gus, "box", "echo hers > /mine")

        refused = gus.post("snapshots/kept/restore", json={})

        assert refused.status_code == 409 and "another container" in refused.text, refused.text
        assert inside(docker_engine, gus, "box", "cat /mine") == "hers"
        assert names(gus) == ["kept"]
        assert gus.delete("containers/box?force=true").status_code == 200
        restored(gus, "kept")
        assert inside(docker_engine, gus, "box", "cat /state") == "one"
