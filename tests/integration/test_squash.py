"""Images of many layers, saved as one layer by a real engine."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.containers.image_types import FlattenProgress
from jupyter_ext.containers.marks import PART
from jupyter_ext.errors import NotFound

from ..engines import images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.scratch import scratch_folder, wait_until
from .api_users import Json, User

pytestmark = pytest.mark.docker

MOST = 3
RECIPE = """\
FROM capable:latest
ENV PATH=/bin KEPT="a b $ 'c'"
LABEL said="by the recipe"
EXPOSE 8080/tcp
VOLUME /data
WORKDIR /srv/work
STOPSIGNAL SIGUSR1
SHELL ["/bin/sh", "-e", "-c"]
HEALTHCHECK --interval=30s CMD true
USER 1000:1000
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["sleep 1000"]
"""
SECRET = "a-secret-of-hers"
WORK = """
set -e
mkdir -p /srv/work/sub; cd /srv/work
echo one > file; chmod 640 file; chown 12:34 file
cp /bin/busybox setuid; chmod 4755 setuid
ln -s file link; ln file hard; mkfifo pipe; mknod null c 1 3
touch -d '2020-02-02 02:02:02' sub; rm /etc/group; : > 'a name with ü and spaces'
"""
#: The engine's own in every container, and what only a container's export has.
THE_ENGINES = ("dev/", "proc/", "sys/", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")


def capable() -> bytes:
    """Return a root file system with a program that has a capability of its own."""
    # Version 2 of the kernel's format, effective: CAP_NET_RAW.
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    buffer = io.BytesIO()
    with (
        tarfile.open(images.busybox_tar()) as old,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        ping = tarfile.TarInfo("bin/raw")
        ping.mode = 0o755
        key = "SCHILY.xattr.security.capability"
        ping.pax_headers = {key: capability.decode("utf-8", "surrogateescape")}
        new.addfile(ping)
    return buffer.getvalue()


def files(engine: Dockerd, container: str) -> dict[str, tuple[Any, ...]]:
    """Return what a container's files are: kind, mode, owner, size, link, moment, content."""
    with scratch_folder("export") as folder:
        engine.docker("export", "--output", str(folder / "tar"), container)
        found = {}
        with tarfile.open(folder / "tar") as tar:
            for each in tar:
                name = each.name.rstrip("/")
                if f"{name}/".startswith(THE_ENGINES) or name in (*THE_ENGINES, ".dockerenv"):
                    continue
                content = tar.extractfile(each) if each.isreg() or each.islnk() else None
                found[name] = (
                    # Of two names of one file the tar calls either the link.
                    "file" if content else each.type,
                    # The engine writes the kind of file into it, too.
                    each.mode & 0o7777,
                    (each.uid, each.gid),
                    (each.devmajor, each.devminor),
                    each.linkname if each.issym() else "",
                    int(each.mtime),
                    hashlib.sha256(content.read()).hexdigest() if content else "",
                    sorted(key for key in each.pax_headers if "xattr" in key),
                )
    # The folder of the engine's own files changes with them.
    for name in ("", ".", "etc", "dev"):
        found.pop(name, None)
    return found


def inspected(engine: Dockerd, image: str) -> Json:
    found: Json = json.loads(engine.docker("image", "inspect", image))[0]
    return found


def layers(engine: Dockerd, image: str) -> int:
    return len(inspected(engine, image)["RootFS"]["Layers"])


def left(engine: Dockerd) -> list[str]:
    """Return what is there of unfinished work."""
    images_left = engine.docker("images", "--all", "--quiet", "--filter", f"label={PART}")
    dangling = engine.docker("images", "--quiet", "--filter", "dangling=true")
    # What is finished, and what is made of it, has the label empty.
    marked = engine.docker(
        *("ps", "--all", "--filter", f"label={PART}"),
        *("--format", '{{.ID}} {{.Label "' + PART + '"}}'),
    )
    containers = [line.split()[0] for line in marked.splitlines() if len(line.split()) > 1]
    begun = [
        id_
        for id_ in images_left.split()
        if inspected(engine, id_)["Config"]["Labels"][PART] and id_ not in kept_below(engine)
    ]
    return [*begun, *containers, *dangling.split()]


def kept_below(engine: Dockerd) -> set[str]:
    """Return short ids of images that a named one was made of, which go with it."""
    named = engine.docker("images", "--quiet", "--no-trunc").split()
    parents = {inspected(engine, id_)["Parent"] for id_ in named}
    return {parent.removeprefix("sha256:")[:12] for parent in parents if parent}


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    with Dockerd() as running:
        images.load_busybox(running)
        running.docker("import", "-", "capable:latest", stdin=capable())
        running.docker("build", "--tag", "whole:latest", "-", stdin=RECIPE.encode())
        yield running


@pytest.fixture(scope="module")
def server(engine: Dockerd) -> Iterator[jupyter.JupyterServer]:
    config = {"ContainerDefaults": {"max_image_layers": MOST}}
    with jupyter.jupyter_server(docker_host=engine.url, config=config) as running:
        yield running


@pytest.fixture
def alice(
    engine: Dockerd,
    server: jupyter.JupyterServer,
    join_as: Callable[[jupyter.JupyterServer, str], User],
) -> Iterator[User]:
    user = join_as(server, "alice")
    wait_until(lambda: user("GET", "/images")["total"] >= 3, "the images")
    yield user
    for item in user("GET", "/containers")["items"]:
        user("DELETE", f"/containers/{item['cid']}?force=true&volumes=true")
    # The newest first: what was made of what.
    for item in user("GET", "/images")["items"]:
        if item["owner"] == "alice":
            user("DELETE", f"/images/{item['iid']}")


@pytest.fixture
def own(engine: Dockerd, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[DockerDriver]:
    driver = DockerDriver(address=engine.url)
    yield driver
    jp_asyncio_loop.run_until_complete(driver.close())
    engine.clean()


def saved(user: User, container: str, name: str) -> tuple[Json, Json]:
    """Save a container; return the operation and the image."""
    reply = user.http.post(
        f"/containers/{container}/commit", json={"name": name}, headers={"Prefer": "respond-async"}
    )
    assert reply.status_code == 202, reply.text
    id_ = reply.json()["data"]["id"]

    def ended() -> Json | None:
        found: Json = user.http.get(f"/operations/{id_}").json()
        return found if found["ended_at"] else None

    wait_until(lambda: ended() is not None, "the image", 60)
    operation = ended()
    assert operation is not None
    assert operation["state"] == "succeeded", operation
    return operation, operation["result"]


# -- by the server ---------------------------------------------------------------------------------


def test_up_to_the_limit_a_layer_is_added_and_then_all_become_one(
    alice: User, engine: Dockerd
) -> None:
    image, found = "busybox:latest", []
    for number in range(1, 5):
        name = f"step{number}"
        made = alice.run(name, image=image)
        engine.docker("exec", made["id"], "sh", "-c", f"echo {number} > /note{number}")
        operation, item = saved(alice, name, name)
        image = item["tags"][0]
        found.append((layers(engine, image), "squashed" in operation["details"]))
    # After one of all files the next adds to that one.
    assert found == [(2, False), (3, False), (1, True), (2, False)]
    last = alice.run("last", image=image)
    notes = engine.docker("exec", last["id"], "sh", "-c", "cat /note*")
    assert notes.split() == ["1", "2", "3", "4"]
    assert left(engine) == []


def test_one_layer_has_the_same_files_and_settings(alice: User, engine: Dockerd) -> None:
    made = alice("POST", "/containers", json={"name": "deep", "image": "whole"})
    engine.docker("exec", "--user=0", made["id"], "sh", "-c", "echo deep > /deep")
    _, deep = saved(alice, "deep", "deep")
    assert layers(engine, deep["tags"][0]) == MOST
    alice("DELETE", "/containers/deep?force=true&volumes=true")
    body = {"name": "work", "image": deep["tags"][0], "environment": {"TOKEN": SECRET}}
    made = alice("POST", "/containers", json=body)
    engine.docker("exec", "--user=0", made["id"], "sh", "-c", WORK)
    was = files(engine, made["id"])
    parent = inspected(engine, deep["tags"][0])["Config"]

    operation, item = saved(alice, "work", "flat")
    told = operation["details"]["squashed"]
    assert told["layers"] == MOST + 1
    image = inspected(engine, item["tags"][0])
    assert len(image["RootFS"]["Layers"]) == 1
    assert told["size"] == image["Size"] == item["size"]
    assert told["size_before"] == pytest.approx(told["size"], rel=0.01)
    assert "one layer" in operation["message"]
    # The container goes on, and its settings are the image's.
    assert alice("GET", "/containers/work")["status"] == "running"
    config = image["Config"]
    for key in ("Entrypoint", "Cmd", "WorkingDir", "User", "Volumes", "Healthcheck", "StopSignal"):
        assert config[key] == parent[key], key
    assert "8080/tcp" in config["ExposedPorts"]
    assert config["Labels"]["said"] == "by the recipe"
    environment = dict(text.split("=", 1) for text in config["Env"])
    assert environment["KEPT"] == "a b $ 'c'"
    assert environment["PATH"] == "/bin"
    assert environment["TOKEN"] == ""
    history = engine.docker("image", "history", "--no-trunc", item["tags"][0])
    for parent_id in (item["id"], image["Parent"]):
        assert SECRET not in json.dumps(inspected(engine, parent_id)) + history

    again = alice("POST", "/containers", json={"name": "again", "image": item["tags"][0]})
    wait_until(lambda: alice("GET", "/containers/again")["status"] == "running", "its start")
    assert files(engine, again["id"]) == was
    assert was["bin/raw"][-1] == ["SCHILY.xattr.security.capability"]
    assert was["srv/work/setuid"][1] == 0o4755
    assert "etc/group" not in was
    assert engine.docker("exec", again["id"], "stat", "-c", "%h", "/srv/work/hard") == "2"
    # It is the user's own image, as any other, and seen once.
    items = alice("GET", "/images")["items"]
    assert [each["tags"] for each in items if "flat" in str(each["tags"])] == [item["tags"]]
    assert (item["owner"], item["public"]) == ("alice", False)
    alice("DELETE", "/containers/again?force=true&volumes=true")
    alice("DELETE", "/containers/work?force=true&volumes=true")
    alice("DELETE", f"/images/{item['iid']}")
    assert engine.docker("images", "--all", "--quiet", "--filter", f"label={PART}") == ""
    assert left(engine) == []


# -- by the driver ---------------------------------------------------------------------------------


async def heavy(driver: DockerDriver, name: str, megabytes: int = 200) -> str:
    """Start a container with a large file in it."""
    command = f"head -c {megabytes}000000 /dev/urandom > /heavy; echo there; sleep 1000"
    made = await driver.run(ContainerSpec(name, "busybox:latest", command=("sh", "-c", command)))
    for _ in range(300):
        if "there" in await driver.logs(made.id):
            return made.id
        await asyncio.sleep(0.1)
    raise AssertionError("the file was not written")


def is_paused(engine: Dockerd, container: str) -> bool:
    return engine.docker("inspect", "--format", "{{.State.Paused}}", container) == "true"


async def gone(engine: Dockerd) -> None:
    for _ in range(100):
        if not left(engine):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(left(engine))


async def test_it_tells_how_far_it_is_and_the_container_goes_on(
    own: DockerDriver, engine: Dockerd, name: str
) -> None:
    container = await heavy(own, name)
    reports: list[FlattenProgress] = []
    stood = False
    async for report in own.flatten(container, name, "1", {"more": "yes"}, name):
        reports.append(report)
        stood = stood or is_paused(engine, container)
    assert stood
    assert not is_paused(engine, container)
    fractions = [report.fraction or 0.0 for report in reports]
    assert fractions == sorted(fractions)
    assert any(0 < fraction < 1 for fraction in fractions)
    assert fractions[-1] > 0.99
    found = inspected(engine, f"{name}:1")
    assert found["Id"] == reports[-1].image
    assert found["Config"]["Labels"]["more"] == "yes"
    assert left(engine) == []
    await own.remove_image(f"{name}:1")
    assert engine.docker("images", "--all", "--quiet", "--filter", f"label={PART}={name}") == ""


async def test_who_gives_up_leaves_nothing_behind(
    own: DockerDriver, engine: Dockerd, name: str
) -> None:
    container = await heavy(own, name)
    before = set(engine.docker("images", "--all", "--quiet").split())
    flattening = own.flatten(container, name, "1", {}, name)
    while not (await anext(flattening)).moved:
        pass
    assert is_paused(engine, container)
    await flattening.aclose()
    assert not is_paused(engine, container)
    await gone(engine)
    assert set(engine.docker("images", "--all", "--quiet").split()) == before


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.8, 1.2])
async def test_a_cancelled_one_is_whole_or_nothing(
    own: DockerDriver, engine: Dockerd, name: str, moment: float
) -> None:
    container = await heavy(own, name, 60)

    async def flatten() -> None:
        async for _ in own.flatten(container, name, "1", {}, name):
            pass

    task = asyncio.ensure_future(flatten())
    await asyncio.sleep(moment)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gone(engine)
    assert not is_paused(engine, container)
    made = engine.docker("images", "--quiet", name)
    assert bool(made) == (not task.cancelled())
    if made:
        assert layers(engine, made) == 1
        engine.docker("rmi", made)


async def test_what_its_owner_paused_stays_paused(
    own: DockerDriver, engine: Dockerd, name: str
) -> None:
    container = await heavy(own, name, 1)
    engine.docker("pause", container)
    async for _ in own.flatten(container, name, "1", {}, name):
        pass
    assert is_paused(engine, container)
    engine.docker("unpause", container)
    engine.docker("rmi", f"{name}:1")


async def test_a_stopped_container(own: DockerDriver, engine: Dockerd, name: str) -> None:
    container = await heavy(own, name, 1)
    await own.stop(container, 0)
    async for _ in own.flatten(container, name, "1", {}, name):
        pass
    assert layers(engine, f"{name}:1") == 1
    engine.docker("rmi", f"{name}:1")


async def test_the_shell_that_only_the_image_knows(
    own: DockerDriver, engine: Dockerd, name: str
) -> None:
    made = await own.run(ContainerSpec(name, "whole:latest"))
    async for _ in own.flatten(made.id, name, "1", {}, name):
        pass
    assert inspected(engine, f"{name}:1")["Config"]["Shell"] == ["/bin/sh", "-e", "-c"]
    engine.docker("rmi", f"{name}:1")


async def test_a_container_that_is_not_there(own: DockerDriver, engine: Dockerd) -> None:
    with pytest.raises(NotFound):
        async for _ in own.flatten("f" * 64, "nothing", "1", {}, "mark"):
            pass
    with pytest.raises(NotFound):
        await own.layers("f" * 64)
    await gone(engine)


async def test_what_a_crash_left_is_swept(own: DockerDriver, engine: Dockerd, name: str) -> None:
    with images.busybox_tar().open("rb") as tar:
        mark = f"LABEL {PART}={name}"
        base = engine.docker("import", "--change", mark, "-", stdin=tar.read())
    begun = engine.docker("create", base, "-")
    finished = engine.docker("commit", "--change", f"LABEL {PART}=", begun)
    assert set(left(engine)) >= {begun[:12], finished.removeprefix("sha256:")[:12]}
    await own.sweep("another")
    assert engine.docker("inspect", "--format", "{{.Id}}", begun) == begun
    await own.sweep(name)
    assert left(engine) == []
    await own.sweep(name)


async def test_only_the_pause_of_a_save_is_ended(
    own: DockerDriver, engine: Dockerd, name: str
) -> None:
    container = await heavy(own, name, 1)

    async def since() -> float:
        await own.link.ping()
        assert own.link.engine_time is not None
        return own.link.engine_time

    began = await since()
    engine.docker("pause", container)
    await own.release(container, began)
    assert not is_paused(engine, container)
    # Once more would be somebody else's.
    engine.docker("pause", container)
    await own.release(container, began)
    assert is_paused(engine, container)
    engine.docker("unpause", container)
    await asyncio.sleep(1.1)
    began = await since()
    engine.docker("pause", container)
    engine.docker("unpause", container)
    engine.docker("pause", container)
    await own.release(container, began)
    assert is_paused(engine, container)
    engine.docker("unpause", container)
    await own.remove(container, force=True)
    await own.release(container, began)


@pytest.mark.parametrize("paused_since", [False, True])
@pytest.mark.slow
def test_a_server_that_died_meanwhile_leaves_nothing_half_done(
    engine: Dockerd, paused_since: bool
) -> None:
    config = {"ContainerDefaults": {"max_image_layers": 1}}
    with scratch_folder("home") as home:
        with (
            jupyter.jupyter_server(docker_host=engine.url, config=config, home=home) as first,
            first.client() as http,
        ):
            command = "head -c 600000000 /dev/urandom > /heavy; echo there; sleep 1000"
            body = {"name": "heavy", "image": "busybox", "command": ["sh", "-c", command]}
            made = http.post("containers", json=body).json()["data"]
            wait_until(lambda: "there" in engine.docker("logs", made["id"]), "the file", 60)
            begun = http.post(
                "containers/heavy/commit",
                json={"name": "flat"},
                headers={"Prefer": "respond-async"},
            )
            assert begun.status_code == 202
            wait_until(lambda: is_paused(engine, made["id"]), "the save")
            first.process.kill()
            first.process.wait()
            if paused_since:
                engine.docker("unpause", made["id"])
                engine.docker("pause", made["id"])
        with (
            jupyter.jupyter_server(docker_host=engine.url, config=config, home=home) as second,
            second.client() as http,
        ):

            def ended() -> bool:
                [one] = http.get("operations?kind=image.save").json()["operations"]
                return bool(one["ended_at"])

            wait_until(ended, "the operation", 60)
            assert is_paused(engine, made["id"]) == paused_since
            [one] = http.get("operations?kind=image.save").json()["operations"]
            assert one["state"] == "failed"
            assert "Save it again" in one["message"]
            wait_until(lambda: not left(engine), "nothing left")
            assert engine.docker("images", "--quiet", "jupyter-ext/admin/flat") == ""
            again = http.post("containers/heavy/commit", json={"name": "flat"})
            assert again.status_code == 200, again.text
            item = again.json()["data"]
            assert layers(engine, item["id"]) == 1
            http.delete("containers/heavy?force=true").raise_for_status()
            http.delete(f"images/{item['iid']}").raise_for_status()
