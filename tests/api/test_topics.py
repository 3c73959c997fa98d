"""Which topics a credential opens: over server-sent events and over frames alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from jupyter_ext.endpoints import FEEDS
from jupyter_ext.events.topics import TOPICS

from ..engines.jupyter import JupyterServer
from .conftest import user_key
from .house import Dial, House
from .test_web_socket import ask, socket


@contextmanager
def events(server: JupyterServer, key: str, **params: str) -> Iterator[httpx.Response]:
    headers = {"X-API-Key": key}
    where = server.api + "/events"
    with httpx.stream("GET", where, headers=headers, params=params, trust_env=False) as reply:
        yield reply


def scoped_key(admin: httpx.Client, *scopes: str) -> str:
    made = admin.post("api-keys", json={"name": "narrow", "scopes": scopes})
    assert made.status_code == 201, made.text
    key: str = made.json()["key"]
    return key


def test_every_feed_asks_what_the_table_asks() -> None:
    asked = {feed.topic: feed.permission for feed in FEEDS}
    for topic, permission in TOPICS.items():
        assert asked.get(topic, permission) == permission
    (everything,) = [feed for feed in FEEDS if feed.topic == "events"]
    assert everything.follows == TOPICS
    assert everything.permission == "event:read"
    assert all(asked.values())


def test_a_topic_that_is_named_needs_its_permission(
    edge: JupyterServer, admin: httpx.Client
) -> None:
    key = scoped_key(admin, "event:read")
    for topic, permission in TOPICS.items():
        with events(edge, key, topics=topic) as reply:
            assert reply.status_code == 403
            error = json.loads(reply.read())["error"]
            assert error["code"] == "FORBIDDEN"
            assert permission in error["message"]
        with events(edge, scoped_key(admin, "event:read", permission), topics=topic) as reply:
            assert reply.status_code == 200


def test_a_subscription_needs_its_topics_permission(
    edge: JupyterServer, admin: httpx.Client
) -> None:
    narrow = {"X-API-Key": scoped_key(admin, "event:read")}
    with socket(edge, narrow) as opened:
        for topic in ("containers", "images", "operations", "engine", "container-stats"):
            refused = ask(opened, "subscribe", {"topic": topic})
            assert refused["data"]["code"] == "FORBIDDEN", topic
            assert TOPICS[topic] in refused["data"]["message"]
        assert ask(opened, "subscribe", {"topic": "events"})["data"]["topics"] == []
    wider = {"X-API-Key": scoped_key(admin, "event:read", "system:read", "user:*")}
    with socket(edge, wider) as opened:
        assert ask(opened, "subscribe", {"topic": "engine"})["type"] == "subscribe"
        reply = ask(opened, "subscribe", {"topic": "events"})
        assert reply["data"]["topics"] == ["engine", "users"]


def test_roles_open_topics_as_they_open_routes(edge: JupyterServer) -> None:
    user = user_key(edge, "listens")
    with events(edge, user, topics="users") as reply:
        assert reply.status_code == 403
    own = ",".join(sorted(TOPICS.keys() - {"users"}))
    for key in (user, user_key(edge, "looks", role="viewer")):
        with events(edge, key, topics=own) as reply:
            assert reply.status_code == 200
        with events(edge, key) as reply:
            assert reply.status_code == 200


# -- from inside -----------------------------------------------------------------------------------


async def test_frames_leave_out_what_a_key_may_not_read(house: House, dial: Dial) -> None:
    house.scoped_key("narrow", "event:read", "container:read")
    first = house.bus.publish("things", {"n": 0})
    speaker = await dial("narrow")
    reply = await speaker.ask("subscribe", {"topic": "events"})
    assert reply["data"] == {"topic": "events", "topics": ["things"], "lastEventId": first.id}
    house.bus.publish("others", {"n": 1})
    house.bus.publish("things", {"n": 2})
    told: list[Any] = [(await speaker.next())["data"]]
    await speaker.send("resume", {"lastEventId": first.id}, "r")
    told.append((await speaker.next())["data"])
    assert told == [{"topic": "things", "data": {"n": 2}}] * 2
    assert (await speaker.next())["data"]["resumed"] is True
    assert not house.bus.wanted("others")


@pytest.mark.parametrize("topics", ["", "things"])
async def test_a_stream_leaves_out_what_a_key_may_not_read(
    house: House, url: str, topics: str
) -> None:
    house.scoped_key("narrow", "event:read", "container:read")
    options: dict[str, Any] = {
        "headers": {"X-API-Key": "jx_narrow"},
        "params": {"topics": topics, "last_event_id": house.bus.last_id},
    }
    house.bus.publish("others", {"n": 1})
    house.bus.publish("things", {"n": 2})
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        http.stream("GET", f"{url}/events", **options) as reply,
    ):
        lines = reply.aiter_lines()
        data = [line async for line in _first_event(lines)]
    assert data[:2] == [f"id: {house.bus.last_id}", "event: things"]
    assert json.loads(data[2].removeprefix("data:")) == {"n": 2}


async def _first_event(lines: Any) -> Any:
    async for line in lines:
        if line and not line.startswith(":"):
            yield line
        if line.startswith("data:"):
            return


async def test_a_stream_of_nothing_ends_with_the_server(house: House, url: str) -> None:
    house.scoped_key("deaf", "event:read")
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        http.stream("GET", f"{url}/events", headers={"X-API-Key": "jx_deaf"}) as reply,
    ):
        lines = reply.aiter_lines()
        assert await anext(lines) == ": welcome"
        house.bus.close()
        assert [line async for line in lines if line] == []
