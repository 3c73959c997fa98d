from __future__ import annotations

import threading
from typing import Any

import pytest

from jupyter_ext.client import Client
from jupyter_ext.client.events import Frame
from jupyter_ext.client.things import Thing
from jupyter_ext.notebook.feed import POINTS, ContainerFeed, State

from ..client.speaker import Speaker, Talking
from ..engines.scratch import wait_until

WEB = {"id": "c1", "cid": 7, "name": "web", "status": "running", "created_at": "2026-01-01"}
DB = {"id": "c2", "cid": 8, "name": "db", "status": "exited", "created_at": "2026-01-02"}


def frame(topic: str, **data: Any) -> Frame:
    return Frame(topic, Thing(data))


def test_changes_follow_the_first_state() -> None:
    state = State()
    state.begin("containers", Thing({"items": [WEB, DB]}))
    assert [c.name for c in state.listed()] == ["db", "web"]
    assert state.apply(frame("containers", event="changed", container={**WEB, "name": "www"}))
    assert state.apply(frame("containers", event="removed", id="c2"))
    assert [c.name for c in state.listed()] == ["www"]
    assert state.apply(frame("images", event="changed", image={"id": "i1", "tags": ["x"]}))
    assert state.apply(frame("images", event="removed", id="unknown"))
    assert list(state.images) == ["i1"]
    assert not state.apply(frame("unheard-of"))


def test_use_is_kept_for_the_chart() -> None:
    state = State()
    history = [{"cpu_usage": 1, "memory_usage": 2}] * (POINTS + 5)
    state.begin("container-stats", Thing({"history": {"7": history}}))
    state.apply(frame("container-stats", items=[{"cid": 7, "cpu_usage": 9, "memory_usage": 3}]))
    assert len(state.usage["7"].cpu) == POINTS
    assert (state.usage["7"].cpu[-1], state.usage["7"].memory[-1]) == (9, 3)


def test_logs_are_bounded_and_end() -> None:
    state = State()
    for number in range(1500):
        state.apply(frame("container-logs", cid=7, text=f"{number}\n"))
    state.apply(frame("container-logs", cid=7, ended=True))
    assert len(state.logs["7"]) == 1000
    assert "stopped" in state.logs["7"][-1]


class Server:
    """The server's side of the event socket."""

    def __init__(self) -> None:
        self.connections = 0
        self.subscribed: list[str] = []
        self.talking: list[Talking] = []

    async def talk(self, socket: Talking) -> None:
        self.connections += 1
        self.talking.append(socket)
        while (asked := await socket.hear()) is not None:
            topic = asked["data"]["topic"]
            self.subscribed.append(topic)
            items = [WEB] if topic == "containers" else []
            reply = {"type": asked["type"], "id": asked["id"], "data": {"items": items}}
            await socket.say(reply)


@pytest.fixture
def server(speaker: Speaker) -> Server:
    made = Server()
    speaker.sockets["/api/v1/ws"] = made.talk
    return made


def test_one_socket_for_all_and_a_new_one_when_it_breaks(server: Server, client: Client) -> None:
    told: list[str] = []
    feed = ContainerFeed(client, told.append)
    feed.start()
    try:
        wait_until(lambda: told.count("connection") == 1, "the feed")
        assert list(feed.state.containers) == ["c1"]
        assert server.connections == 1
        feed.follow_logs(7)
        wait_until(lambda: "container-logs" in server.subscribed, "the logs' subscription")
        server.subscribed.clear()
        server.talking[0].hang_up()
        wait_until(lambda: told.count("connection") == 3, "the feed's return")
        assert feed.state.trouble == ""
        wait_until(lambda: "container-logs" in server.subscribed, "the logs' subscription again")
    finally:
        feed.close()
    assert not feed.alive


def test_it_says_why_it_is_not_live(client: Client) -> None:
    told = threading.Event()
    feed = ContainerFeed(client, lambda _: told.set())
    feed.start()
    assert told.wait(10)
    assert "No /api/v1/ws" in feed.state.trouble
    feed.close()
    assert not feed.alive
