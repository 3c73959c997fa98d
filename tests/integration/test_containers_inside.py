"""What is changed, printed and run in containers over REST, on a real engine."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from ..engines.dockerd import Dockerd
from ..engines.scratch import wait_until
from .api_users import User, inspect

pytestmark = pytest.mark.docker


def test_limits_can_be_changed_while_it_runs(alice: User, docker_engine: Dockerd) -> None:
    made = alice.run("web", cpu=0.5, mem=64)
    assert (made["cpu"], made["mem"], made["memory_bytes"]) == (0.5, 64, 64 << 20)
    changed = alice(
        "PUT",
        "/containers/web",
        json={"name": "site", "cpu": 1, "mem": 128, "restart_policy": "unless-stopped"},
    )
    assert (changed["name"], changed["cpu"], changed["mem"]) == ("site", 1, 128)
    found = inspect(docker_engine, made["id"])
    assert found["Name"] == "/alice.site"
    assert found["HostConfig"]["NanoCpus"] == 10**9
    assert found["HostConfig"]["Memory"] == 128 << 20
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    unlimited = alice("PUT", "/containers/site", json={"cpu": 0, "mem": 0})
    assert unlimited["memory_bytes"] > 128 << 20
    alice("GET", "/containers/web", 404)


def test_parts_of_logs(alice: User) -> None:
    alice.run("talk", "sh -c 'for i in 1 2 3; do echo line $i; sleep 1.1; done; sleep 1000'")

    def logs(**query: Any) -> str:
        return str(alice("GET", "/containers/talk/logs", params=query)["logs"])

    wait_until(lambda: logs().endswith("line 3\n"), "three lines")
    assert logs(tail=1) == "line 3\n"
    assert logs(tail=0) == ""
    stamped = logs(timestamps=True).splitlines()
    second = stamped[1].split()[0]
    assert logs(since=second) == "line 2\nline 3\n"
    assert logs(until=second).startswith("line 1\n")
    assert "line 3" not in logs(until=second)
    epoch = time.time()
    assert logs(since=epoch) == ""
    assert logs(since="2020-01-01T00:00:00Z", until=epoch) == "line 1\nline 2\nline 3\n"
    for wrong in ({"tail": -1}, {"since": "then"}, {"since": epoch, "until": 1}):
        alice("GET", "/containers/talk/logs", 400, params=wrong)


def test_followed_logs_end_with_the_container(alice: User) -> None:
    alice.run("talk", "sh -c 'echo one; sleep 1; echo two >&2'")
    events = []
    with alice.http.stream("GET", "/containers/talk/logs?follow=true") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        for line in reply.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
    assert events == [
        {"stream": "stdout", "text": "one\n"},
        {"stream": "stderr", "text": "two\n"},
        {"ended": True},
    ]


def test_files_in_and_out(alice: User) -> None:
    alice.run("box")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("hello.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    put = alice("PUT", "/containers/box/archive?path=/root", content=packed.getvalue())
    assert put["path"] == "/root"
    reply = alice.http.get("/containers/box/archive", params={"path": "/root/hello.txt"})
    assert reply.headers["content-type"] == "application/x-tar"
    assert "hello.txt.tar" in reply.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        member = tar.extractfile("hello.txt")
        assert member is not None
        assert member.read() == b"hello"
    changes = {item["path"]: item for item in alice("GET", "/containers/box/changes")["items"]}
    assert changes["/root/hello.txt"] == {"path": "/root/hello.txt", "kind": "added", "size": 5}
    alice("GET", "/containers/box/archive?path=/nothing", 404)
    alice("GET", "/containers/box/archive?path=tmp", 400)
    alice("GET", "/containers/box/archive", 400)
    alice("PUT", "/containers/box/archive?path=/nothing", 404, content=packed.getvalue())
    alice("PUT", "/containers/box/archive?path=/root", 400, content=b"this is no tar" * 100)


async def test_a_terminal(alice: User) -> None:
    made = alice.run("box")
    url = f"ws{alice.server.api.removeprefix('http')}/containers/{made['cid']}/exec"
    request = HTTPRequest(f"{url}?cmd=sh&tty=1", headers={"X-API-Key": alice.key})
    terminal = await websocket_connect(request)
    assert json.loads(str(await terminal.read_message())) == ["setup", {}]
    await terminal.write_message(json.dumps(["set_size", 33, 99, 0, 0]))
    await terminal.write_message(json.dumps(["stdin", "stty size; echo $((6*7))\n"]))
    text = ""
    while "42" not in text:
        message = json.loads(str(await terminal.read_message()))
        text += message[1] if message[0] == "stdout" else ""
    assert "33 99" in text
    await terminal.write_message(json.dumps(["stdin", "exit 3\n"]))
    rest: list[Any] = []
    while not rest or rest[-1][0] != "disconnect":
        rest.append(json.loads(str(await terminal.read_message())))
    assert rest[-2:] == [["exit", 3], ["disconnect", 1]]
    # The server closes it, and the client has to notice.
    assert await terminal.read_message() is None
    terminal.close()
