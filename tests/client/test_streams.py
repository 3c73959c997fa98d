from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_ext.client import AsyncClient, Client
from jupyter_ext.client.events import Output
from jupyter_ext.errors import NotFound, Unavailable

from .speaker import Speaker, Speaking, Talking


async def follow(handler: Speaking) -> None:
    await handler.say_event("log", {"text": "one\n", "stream": "stdout"})
    await handler.say_event("log", {"text": "two\n", "stream": "stderr"})
    await handler.say_event("end", {"ended": True})


def test_followed_logs_come_as_they_are_printed(speaker: Speaker, client: Client) -> None:
    speaker.on("GET /api/v1/containers/web/logs", follow)
    assert list(client.containers.logs("web", follow=True, tail=5)) == [
        Output("one\n", "stdout"),
        Output("two\n", "stderr"),
    ]
    assert speaker.asked[0].query == {"tail": "5", "follow": "true"}


def test_logs_are_one_text(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/containers/web/logs", {"data": {"logs": "one\ntwo\n"}})
    assert client.containers.logs("web") == "one\ntwo\n"


def test_logs_of_nothing_are_not_found(speaker: Speaker, client: Client) -> None:
    with pytest.raises(NotFound):
        list(client.containers.logs("nothing", follow=True))


def test_events_go_on_where_they_broke(speaker: Speaker, client: Client) -> None:
    async def events(handler: Speaking) -> None:
        last = int(handler.request.headers.get("Last-Event-ID", "0"))
        await handler.say_event("containers", {"event": "changed"}, str(last + 1))

    speaker.on("GET /api/v1/events", events)
    stream = client.events(["containers"])
    assert [next(stream).id for _ in range(2)] == ["1", "2"]
    assert speaker.asked[0].query == {"topics": "containers"}


async def shell(socket: Talking) -> None:
    await socket.say(["setup", {}])
    await socket.say(["stdout", "hello\n"])
    await socket.say(["stderr", "oops\n"])
    typed = await socket.hear()
    await socket.say(["stdout", typed[1].upper()])
    await socket.say(["exit", 3])
    await socket.say(["disconnect", 1])


def test_a_command_streams_and_ends_with_its_code(speaker: Speaker, client: Client) -> None:
    speaker.sockets["/api/v1/containers/web/exec"] = shell
    with client.containers.exec("web", ["cat", "a b"]) as run:
        run.send("typed")
        assert [(output.text, output.stream) for output in run] == [
            ("hello\n", "stdout"),
            ("oops\n", "stderr"),
            ("TYPED", "stdout"),
        ]
    assert run.exit_code == 3
    assert speaker.asked[0].query == {"cmd": "cat 'a b'", "tty": "0"}


def test_a_connection_that_breaks_is_no_success(speaker: Speaker, client: Client) -> None:
    async def broken(socket: Talking) -> None:
        await socket.say(["stdout", "half"])
        socket.close(1011, "the engine went away")

    speaker.sockets["/api/v1/containers/web/exec"] = broken
    with (
        client.containers.exec("web", "true") as run,
        pytest.raises(Unavailable, match="the engine went away"),
    ):
        run.wait()


def test_a_socket_that_ends_with_a_status_is_that_error(speaker: Speaker, client: Client) -> None:
    async def gone(socket: Talking) -> None:
        socket.close(4404, "No container goes by 'web'.")

    speaker.sockets["/api/v1/containers/web/exec"] = gone
    with (
        client.containers.exec("web", "true") as run,
        pytest.raises(NotFound, match="No container goes by 'web'"),
    ):
        run.wait()


def test_a_refused_socket_is_the_servers_error(speaker: Speaker, client: Client) -> None:
    with pytest.raises(NotFound, match="No /api/v1/containers/nothing/exec"):
        client.containers.exec("nothing", "true")


async def live(socket: Talking) -> None:
    while (asked := await socket.hear()) is not None:
        topic = asked["data"]["topic"]
        if topic == "nonsense":
            data = {"code": "INVALID_REQUEST", "message": "No such topic.", "details": {}}
            await socket.say({"type": "error", "id": asked["id"], "data": data})
            continue
        early: dict[str, Any] = {"event": "removed", "id": "c1"}
        await socket.say({"type": topic, "data": early, "eventId": "b-7"})
        await socket.say({"type": "subscribe", "id": asked["id"], "data": {"items": [{"id": 1}]}})
        if topic == "last":
            socket.close()


def test_a_subscription_begins_with_the_state(speaker: Speaker, client: Client) -> None:
    speaker.sockets["/api/v1/ws"] = live
    with client.live() as socket:
        assert socket.subscribe("containers")["items"][0]["id"] == 1
        with pytest.raises(Exception, match="No such topic"):
            socket.subscribe("nonsense")
        socket.subscribe("last")
        assert [frame.type for frame in socket] == ["containers", "last"]
        assert socket.last_event_id == "b-7"


def test_the_async_streams(speaker: Speaker) -> None:
    speaker.on("GET /api/v1/containers/web/logs", follow)
    speaker.sockets["/api/v1/containers/web/exec"] = shell
    speaker.sockets["/api/v1/ws"] = live

    async def main() -> None:
        async with AsyncClient(speaker.url, "k") as client:
            texts = [output.text async for output in client.containers.logs("web", follow=True)]
            assert texts == ["one\n", "two\n"]
            async with client.containers.exec("web", "cat") as run:
                await run.send("typed")
                assert [output.text async for output in run][-1] == "TYPED"
            assert run.exit_code == 3
            async with await client.live() as socket:
                await socket.subscribe("last")
                assert [frame.type async for frame in socket] == ["last"]

    asyncio.run(main())
