"""Both clients against a real server and engine."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator

import pytest

from jupyter_ext.client import AsyncClient, Client, OperationCancelled, Thing, find_server
from jupyter_ext.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)

from ..engines.images import push_layers
from ..engines.jupyter import JupyterServer
from ..engines.registry import Registry
from ..engines.scratch import wait_until

pytestmark = pytest.mark.docker

FOREVER = ["sleep", "600"]


def name() -> str:
    return f"c-{os.urandom(4).hex()}"


@pytest.fixture
def client(running_server: JupyterServer) -> Iterator[Client]:
    """The client that finds the server as a program of its machine does."""
    with Client(home=running_server.home) as made:
        yield made


@pytest.fixture
def box(client: Client) -> Iterator[Thing]:
    made = client.containers.create(name=name(), image="busybox", command=FOREVER)
    yield made
    try:
        client.containers.delete(made.id, force=True)
    except NotFound:
        return


def test_the_local_server_is_found_by_a_private_record(
    running_server: JupyterServer, client: Client
) -> None:
    found = find_server(environ=running_server.environ)
    assert found.url == running_server.url
    assert client.system.status().status in ("healthy", "degraded")
    for file in ("server.json",):
        mode = (running_server.home / file).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert found.credential.file is not None
    assert stat.S_IMODE(found.credential.file.stat().st_mode) == 0o600


def test_the_life_of_a_container(client: Client) -> None:
    made = client.containers.create(
        name=name(), image="busybox:latest", command=FOREVER, environment={"A": "1"}, mem=64
    )
    assert made.status == "running"
    assert made["config"]["environment"]["A"] == "1"
    assert made.memory_bytes == 64 << 20
    assert client.containers.get(made.name).id == client.containers.get(made.cid).id
    assert made.id in [c.id for c in client.containers.list("running")]
    assert client.containers.start(made.id).status == "running"
    assert client.containers.stop(made.id, timeout=1).status == "exited"
    assert client.containers.start(made.id).status == "running"
    assert client.containers.restart(made.id).status == "running"
    assert client.containers.metrics(made.id).memory_usage > 0
    renamed = client.containers.update(made.id, name=made.name + "x", mem=128)
    assert (renamed.name, renamed.memory_bytes) == (made.name + "x", 128 << 20)
    with pytest.raises(Conflict):
        client.containers.delete(made.id, force=False)
    client.containers.delete(made.id)
    with pytest.raises(NotFound):
        client.containers.get(made.id)


def test_errors_are_the_servers(client: Client, box: Thing, running_server: JupyterServer) -> None:
    with pytest.raises(Conflict):
        client.containers.create(name=box.name, image="busybox")
    with pytest.raises(InvalidRequest) as wrong:
        client.containers.create(name="a b", image="busybox", ports={"x": 1})
    assert {"name", "ports"} <= set(wrong.value.fields)
    with pytest.raises(NotFound):
        client.containers.stop("nothing")
    with (
        Client(running_server.url, "jx_" + "x" * 49) as stranger,
        pytest.raises(Unauthenticated),
    ):
        stranger.containers.list()


def test_somebody_elses_container_is_not_there(
    client: Client, box: Thing, running_server: JupyterServer
) -> None:
    eve = f"eve-{os.urandom(3).hex()}"
    client.users.create(eve, "a long password")
    try:
        assert eve in [user.username for user in client.users.list()]
        client.users.set_password(eve, "another password")
        viewer = client.api_keys.create("reads", scopes=["container:read"])
        with Client(running_server.url, viewer.key) as reader:
            assert box.id in [c.id for c in reader.containers.list()]
            with pytest.raises(Forbidden):
                reader.containers.stop(box.id)
        client.api_keys.revoke(viewer.id)
        assert viewer.id not in [key.id for key in client.api_keys.list()]
        with Client(running_server.url, viewer.key) as reader, pytest.raises(Unauthenticated):
            reader.containers.list()
    finally:
        client.users.delete(eve)


def test_logs_as_text_and_followed(client: Client) -> None:
    script = "echo one; echo two >&2; sleep 1; echo three"
    made = client.containers.create(name=name(), image="busybox", command=["sh", "-c", script])
    wait_until(lambda: "two" in client.containers.logs(made.id), "the log")
    followed = list(client.containers.logs(made.id, follow=True))
    text = "".join(output.text for output in followed)
    assert sorted(text.split()) == ["one", "three", "two"]
    assert {"stdout", "stderr"} == {output.stream for output in followed}
    wait_until(lambda: client.containers.get(made.id).status == "exited", "the end")
    assert client.containers.logs(made.id, tail=1) == "three\n"
    client.containers.delete(made.id)


def test_commands_stream_take_input_and_end_with_their_code(client: Client, box: Thing) -> None:
    with client.containers.exec(box.id, "echo out; echo err >&2; exit 5") as run:
        printed = {output.stream: output.text for output in run}
    assert printed == {"stdout": "out\n", "stderr": "err\n"}
    assert run.exit_code == 5
    with client.containers.exec(box.id, ["cat"]) as run:
        run.send("ä line\n")
        run.end_input()
        assert "".join(output.text for output in run) == "ä line\n"
    assert run.exit_code == 0
    # The engine may tell a terminal its size a moment after the command's start.
    size = 'while [ -z "$(stty size 2>&1 | grep 24)" ]; do sleep 0.1; done; stty size'
    with client.containers.exec(box.id, size, tty=True) as run:
        assert "24 80" in "".join(output.text for output in run)
    with client.containers.exec("nothing", "true") as run, pytest.raises(NotFound):
        run.wait()
    with client.containers.exec(box.id, ["no-such-program"]) as run:
        assert "no-such-program" in "".join(output.text for output in run)
    assert run.exit_code in (126, 127)


def test_files_go_in_and_out(client: Client, box: Thing) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("note.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    client.containers.put_archive(box.id, "/tmp", packed.getvalue())  # noqa: S108
    assert "/tmp/note.txt" in [change.path for change in client.containers.changes(box.id)]  # noqa: S108
    back = io.BytesIO(b"".join(client.containers.get_archive(box.id, "/tmp/note.txt")))  # noqa: S108
    with tarfile.open(fileobj=back) as tar:
        file = tar.extractfile("note.txt")
        assert file is not None
        assert file.read() == b"hello"


def test_a_pull_tells_of_every_layer(client: Client, registry: Registry) -> None:
    image = push_layers(registry.address, "client/pulled", sizes=(2 << 20,) * 3)
    seen: list[Thing] = []
    pulled = client.images.pull(image, progress=seen.append)
    assert image in pulled.tags
    assert seen[-1].state == "succeeded"
    layers = max((state.details.get("layers", []) for state in seen), key=len)
    assert len(layers) == 4
    assert image in [tag for one in client.images.list() for tag in one.tags]
    client.images.delete(image)
    with pytest.raises(NotFound):
        client.images.delete(image)


def test_a_container_of_a_missing_image_pulls_it(client: Client, registry: Registry) -> None:
    image = push_layers(registry.address, "client/missing", sizes=(1 << 20,))
    seen: list[Thing] = []
    made = client.containers.create(name=name(), image=image, command=FOREVER, progress=seen.append)
    assert made.status == "running"
    assert seen[0].kind == "container.create"
    client.containers.delete(made.id, force=True)


def test_what_can_not_be_pulled_fails_with_the_reason(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.images.pull("127.0.0.1:1/nothing:latest")
    assert "127.0.0.1:1/nothing" in caught.value.message


def test_a_cancelled_pull_says_so(client: Client, registry: Registry) -> None:
    image = push_layers(registry.address, "client/cancelled", sizes=(64 << 20,) * 2)

    def cancel(operation: Thing) -> None:
        if operation.state == "running":
            client.operations.cancel(operation.id)

    with pytest.raises(OperationCancelled):
        client.images.pull(image, progress=cancel)
    assert image not in [tag for one in client.images.list() for tag in one.tags]


def test_events_tell_what_others_do(client: Client) -> None:
    stream = client.events(["containers"])
    seen: list[str] = []
    done = threading.Event()
    wanted = name()

    def listen() -> None:
        for event in stream:
            container = event.data.get("container") or event.data
            if container.get("name") == wanted:
                seen.append(event.data.event)
                if event.data.event == "removed":
                    done.set()
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    with client.live() as live:
        # Its first state stands for the time by which the other stream is open, too.
        live.subscribe("containers")
        made = client.containers.create(name=wanted, image="busybox", command=FOREVER)
        client.containers.delete(made.id, force=True)
        assert done.wait(20)
        frame = next(f for f in live if f.data.get("event") == "removed")
        assert frame.data.name == wanted
    thread.join(5)
    assert seen[0] == "changed"


def test_the_async_client(running_server: JupyterServer) -> None:
    async def main() -> None:
        async with AsyncClient(home=running_server.home) as client:
            seen: list[Thing] = []
            made = await client.containers.create(
                name=name(), image="busybox", command=FOREVER, progress=seen.append
            )
            assert made.id in [c.id for c in await client.containers.list()]
            async with client.containers.exec(made.id, ["sh", "-c", "echo hi; exit 3"]) as run:
                assert [output.text async for output in run] == ["hi\n"]
            assert run.exit_code == 3
            async with await client.live() as live:
                first = await live.subscribe("containers")
                assert made.id in [c["id"] for c in first["items"]]
                await client.containers.delete(made.id, force=True)
                async for frame in live:
                    if frame.data.get("event") == "removed" and frame.data.id == made.id:
                        break
            with pytest.raises(NotFound):
                await client.containers.get(made.id)
            assert (await client.system.info()).cpu > 0
            assert (await client.system.resources()).cpu_usage >= 0

    asyncio.run(main())
