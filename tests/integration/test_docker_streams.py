"""Logs, terminals and files of real containers."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jupyter_ext.containers.docker_driver import DockerDriver
from jupyter_ext.containers.docker_exec import DockerExec
from jupyter_ext.containers.engine_types import ContainerSpec
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, QuotaExceeded

from ..engines.dockerd import Dockerd

pytestmark = pytest.mark.docker

IMAGE = "busybox:latest"


async def shell(driver: DockerDriver, name: str, script: str, *, tty: bool = False) -> str:
    spec = ContainerSpec(name, IMAGE, command=("sh", "-c", script), tty=tty)
    return (await driver.run(spec)).id


async def sleeping(driver: DockerDriver, name: str) -> str:
    return (await driver.run(ContainerSpec(name, IMAGE, command=("sleep", "1000")))).id


async def output(session: DockerExec, until: bytes = b"") -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while not (until and until in data) and (part := await session.read()) is not None:
            data += part[1]
    return data


async def processes(engine: Dockerd, container: str, word: str) -> bool:
    return word in await asyncio.to_thread(engine.docker, "top", container)


async def gone(engine: Dockerd, container: str, word: str) -> bool:
    deadline = time.monotonic() + 10
    while await processes(engine, container, word):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


# -- logs


async def test_logs(driver: DockerDriver, name: str) -> None:
    id_ = await shell(driver, name, "for i in 1 2 3 4 5; do echo line $i; done; echo grüße >&2")
    await asyncio.sleep(0.3)
    text = await driver.logs(id_)
    assert sorted(text.splitlines()) == sorted([*(f"line {n}" for n in range(1, 6)), "grüße"])
    assert len((await driver.logs(id_, tail=2)).splitlines()) == 2
    assert await driver.logs(id_, tail=0) == ""
    stamped = (await driver.logs(id_, timestamps=True)).splitlines()[0]
    assert datetime.fromisoformat(stamped.split()[0][:26]).year >= 2020
    hour = timedelta(hours=1)
    assert await driver.logs(id_, since=datetime.now(UTC) + hour) == ""
    assert await driver.logs(id_, until=datetime.now(UTC) - hour) == ""
    assert await driver.logs(id_, since=datetime.now(UTC) - hour) == text


async def test_long_logs_keep_their_end(driver: DockerDriver, name: str) -> None:
    id_ = await shell(driver, name, "seq 1 20000")
    await asyncio.sleep(0.5)
    text = await driver.logs(id_, tail=None, limit=1000)
    assert len(text) == 1000
    assert text.endswith("19999\n20000\n")


async def test_followed_logs_come_as_they_are_printed(driver: DockerDriver, name: str) -> None:
    waits = "until [ -e /{} ]; do sleep 0.05; done"
    script = f"echo one; {waits.format(1)}; echo two >&2; {waits.format(2)}; echo three"
    id_ = await shell(driver, name, script)
    parts = []
    async for part in driver.follow_logs(id_):
        parts.append(part)
        if len(parts) < 3:
            # It goes on only when what it printed was read.
            session = await driver.exec(id_, ["touch", f"/{len(parts)}"])
            assert await output(session) == b""
            await session.close()
    assert parts == [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")]


async def test_logs_of_a_terminal(driver: DockerDriver, name: str) -> None:
    id_ = await shell(driver, name, "echo out; echo err >&2", tty=True)
    data = b"".join([data async for _, data in driver.follow_logs(id_)])
    assert data == b"out\r\nerr\r\n"


async def test_logs_of_a_container_that_prints_nothing_yet(driver: DockerDriver, name: str) -> None:
    id_ = await shell(driver, name, "sleep 2.5; echo late")
    # Longer than the patience after which the engine is doubted.
    assert [data async for _, data in driver.follow_logs(id_)] == [b"late\n"]


async def test_logs_of_nobody(driver: DockerDriver, name: str) -> None:
    with pytest.raises(NotFound):
        await driver.logs(name)


async def test_a_stream_that_is_left_ends_at_the_engine_too(
    driver: DockerDriver, name: str
) -> None:
    id_ = await shell(driver, name, "while true; do echo x; sleep 0.1; done")
    logs = driver.follow_logs(id_, user="alice")
    assert await anext(logs)
    assert driver.link.streams == 1
    await logs.aclose()  # type: ignore[attr-defined]
    assert driver.link.streams == 0


async def test_streams_use_no_threads_and_are_capped(
    docker_engine: Dockerd, driver: DockerDriver, name: str
) -> None:
    id_ = await shell(driver, name, "echo x; sleep 1000")
    driver.streams_per_user = 20
    await driver.close()
    logs = [driver.follow_logs(id_, user="alice") for _ in range(20)]
    for log in logs:
        assert await anext(log)
    with pytest.raises(QuotaExceeded, match="20 open streams"):
        await anext(driver.follow_logs(id_, user="alice"))
    other = driver.follow_logs(id_, user="bob")
    assert await anext(other)
    # All calls pass while so many streams are open.
    await asyncio.wait_for(driver.list_containers(), 20)
    assert sum(t.name.startswith("docker-") for t in threading.enumerate()) <= 16
    for log in (*logs, other):
        await log.aclose()  # type: ignore[attr-defined]
    assert await anext(driver.follow_logs(id_, user="alice"))


# -- exec


async def test_exec(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    script = "echo out; echo err >&2; read x; echo got $x; exit 3"
    async with await driver.exec(id_, ["sh", "-c", script]) as session:
        assert await session.exit_code() is None
        await session.write(b"word\n")
        printed = {"stdout": b"", "stderr": b""}
        while (part := await session.read()) is not None:
            printed[part[0]] += part[1]
        assert printed == {"stdout": b"out\ngot word\n", "stderr": b"err\n"}
        assert await session.exit_code() == 3


async def test_exec_with_surroundings(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    session = await driver.exec(
        id_,
        ["sh", "-c", "echo $X; pwd; id -u"],
        environment={"X": "y z"},
        working_dir="/root",
        user_in_container="1234",
    )
    assert await output(session) == b"y z\n/root\n1234\n"
    await session.close()


async def test_the_end_of_input_is_passed_on(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    session = await driver.exec(id_, ["wc", "-c"])
    await session.write(b"12345")
    await session.close_stdin()
    assert (await output(session)).strip() == b"5"
    await session.close()


async def test_a_terminal_has_a_size(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    session = await driver.exec(id_, ["sh"], tty=True, size=(33, 77))
    await session.write(b"stty size\n")
    assert b"33 77" in await output(session, b"33 77")
    await session.resize(20, 50)
    await session.write(b"stty size\n")
    assert b"20 50" in await output(session, b"20 50")
    await session.write(b"exit 4\n")
    await output(session)
    assert await session.exit_code() == 4
    await session.close()
    # What comes too late disturbs nobody.
    await session.resize(1, 1)
    await session.write(b"x")
    await session.close()


@pytest.mark.parametrize("tty", [True, False])
async def test_a_session_that_is_left_is_hung_up(
    driver: DockerDriver, docker_engine: Dockerd, name: str, tty: bool
) -> None:
    id_ = await sleeping(driver, name)
    session = await driver.exec(id_, ["sh", "-c", "sleep 7777"], tty=tty)
    while not await processes(docker_engine, id_, "sleep 7777"):
        await asyncio.sleep(0.1)
    await session.close()
    assert await gone(docker_engine, id_, "sh -c sleep 7777")
    assert await processes(docker_engine, id_, "sleep 1000")


async def test_a_session_that_ignores_hanging_up_is_killed(
    driver: DockerDriver, docker_engine: Dockerd, name: str
) -> None:
    id_ = await sleeping(driver, name)
    script = "trap '' HUP; while true; do sleep 0.2; done"
    session = await driver.exec(id_, ["sh", "-c", script], tty=True)
    await session.close()
    assert await gone(docker_engine, id_, "trap")


async def test_exec_where_it_cannot_be(driver: DockerDriver, name: str) -> None:
    with pytest.raises(NotFound):
        await driver.exec(name, ["sh"])
    made = await driver.create(ContainerSpec(name, IMAGE, command=("sleep", "1")))
    with pytest.raises(Conflict, match="not running"):
        await driver.exec(made.id, ["sh"])


async def test_exec_of_a_program_that_is_not_there(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    try:
        session = await driver.exec(id_, ["nothing-like-this"])
    except InvalidRequest:
        return
    # Older engines say it as output, with the shell's exit code.
    assert b"not found" in await output(session)
    assert await session.exit_code() in (126, 127)
    await session.close()


# -- files


def tarred(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def test_files_in_and_out(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    content = bytes(range(256)) * 4000
    data = tarred(big=content, small=b"x")

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    await driver.put_archive(id_, "/root", pieces())
    back = b"".join([part async for part in driver.get_archive(id_, "/root/big")])
    with tarfile.open(fileobj=io.BytesIO(back)) as tar:
        file = tar.extractfile("big")
        assert file is not None
        assert file.read() == content
    with pytest.raises(NotFound):
        await anext(driver.get_archive(id_, "/no/such/file"))
    with pytest.raises(NotFound):
        await driver.put_archive(id_, "/no/such/folder", data)


async def test_a_broken_archive_is_refused(driver: DockerDriver, name: str) -> None:
    id_ = await sleeping(driver, name)
    with pytest.raises((InvalidRequest, Conflict)):
        await driver.put_archive(id_, "/root", b"this is no archive" * 100)


async def test_changes_with_sizes(driver: DockerDriver, name: str) -> None:
    id_ = await shell(
        driver, name, "echo 12345 > /root/new; rm /etc/group; echo x >> /etc/passwd; sleep 1000"
    )
    await asyncio.sleep(0.3)
    found = {change.path: change for change in (await driver.changes(id_)).items}
    assert (found["/root/new"].kind, found["/root/new"].size) == ("added", 6)
    assert (found["/etc/group"].kind, found["/etc/group"].size) == ("deleted", None)
    assert found["/etc/passwd"].kind == "changed"
    assert (found["/etc/passwd"].size or 0) > 2
    paths = [change.path for change in (await driver.changes(id_)).items]
    assert paths == sorted(paths)
    few = await driver.changes(id_, 2)
    assert ([change.path for change in few.items], few.total) == (paths[:2], len(paths))
