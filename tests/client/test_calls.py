"""What goes over the wire, and how long work, lost connections and rotated keys are handled."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.client import AsyncClient, Client, OperationCancelled, Thing
from jupyter_ext.client import aio as aio_module
from jupyter_ext.errors import NotFound, RateLimited, Unauthenticated, Unavailable

from .speaker import Speaker, Speaking

WEB = {"id": "c" * 64, "name": "web", "status": "running"}
ENVELOPE = {"code": 200, "message": "success", "data": WEB}


def operation(state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "op-1",
        "kind": "container.create",
        "subject": "web",
        "state": state,
        "progress": None,
        "message": "",
        "details": {},
        **more,
    }


def test_the_key_travels_in_the_header(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    assert client.system.status().status == "healthy"
    assert speaker.asked[0].headers["Authorization"] == "Bearer jx_secret-of-the-tests"


def test_the_server_is_asked_to_speak_english(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/containers", {"data": {"total": 0, "items": []}})
    client.containers.list()
    client.request("GET", "/api/v1/containers")
    assert [asked.headers["Accept-Language"] for asked in speaker.asked] == ["en", "en"]


def test_lists_are_pages(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/containers", {"data": {"total": 3, "items": [WEB]}})
    found = client.containers.list("running", limit=1)
    assert (found[0].name, found.total) == ("web", 3)
    assert speaker.asked[0].query == {"status": "running", "limit": "1", "offset": "0"}


def test_names_are_quoted(speaker: Speaker, client: Client) -> None:
    with pytest.raises(NotFound):
        client.containers.get("../status?x=1")
    assert speaker.asked[0].path == "/api/v1/containers/..%2Fstatus%3Fx%3D1"


def test_a_mapping_and_words_describe_a_container(speaker: Speaker, client: Client) -> None:
    speaker.says("POST /api/v1/containers", ENVELOPE)
    client.containers.create({"name": "web", "image": "busybox"}, mem=64)
    asked = speaker.asked[0]
    assert asked.json == {"name": "web", "image": "busybox", "mem": 64}
    assert asked.headers["Prefer"].startswith("respond-async")
    assert asked.headers["Idempotency-Key"]


def test_long_work_is_followed_with_progress(speaker: Speaker, client: Client) -> None:
    speaker.says("POST /api/v1/containers", {"code": 202, "data": operation("pending")}, 202)
    speaker.says("GET /api/v1/operations/op-1", operation("running", message="Pulling"))

    async def events(handler: Speaking) -> None:
        await handler.say_event("operations", operation("running", progress=0.5), "b-1")
        await handler.say_event("operations", {**operation("failed"), "id": "op-2"}, "b-2")
        await handler.say_event("operations", operation("succeeded", result=WEB), "b-3")

    speaker.on("GET /api/v1/events", events)
    seen: list[Thing] = []
    made = client.containers.create(name="web", image="busybox", progress=seen.append)
    assert made.name == "web"
    assert [state.state for state in seen] == ["pending", "running", "running", "succeeded"]
    assert seen[2].progress == 0.5


def test_the_end_is_not_missed_when_it_comes_before_the_events(
    speaker: Speaker, client: Client
) -> None:
    speaker.says("POST /api/v1/images/pull", {"data": operation("pending")}, 202)
    done = operation("succeeded", result={"id": "sha256:1", "tags": ["x:1"], "size": 1})
    speaker.says("GET /api/v1/operations/op-1", done)

    async def events(handler: Speaking) -> None:
        handler.write(": hello\n\n")
        await handler.flush()
        await asyncio.sleep(0.2)

    speaker.on("GET /api/v1/events", events)
    assert client.images.pull("x:1").tags == ["x:1"]
    assert speaker.asked[0].json == {"name": "x", "tag": "1"}


def test_a_broken_event_stream_is_taken_up_again(speaker: Speaker, client: Client) -> None:
    speaker.says("POST /api/v1/images/pull", {"data": operation("running")}, 202)
    states = iter([operation("running"), operation("succeeded", result={"id": "i"})])

    def answer(handler: Speaking) -> None:
        handler.finish(next(states))

    speaker.on("GET /api/v1/operations/op-1", answer)
    speaker.on("GET /api/v1/events", lambda handler: handler.finish())
    assert client.images.pull("x").id == "i"
    assert speaker.paths().count("GET /api/v1/events") == 2


def test_failed_work_raises_what_it_failed_with(speaker: Speaker, client: Client) -> None:
    error = {"code": "NOT_FOUND", "message": "No image x.", "details": {"image": "x"}}
    speaker.says("POST /api/v1/images/pull", {"data": operation("failed", error=error)}, 202)
    with pytest.raises(NotFound, match="No image x"):
        client.images.pull("x")


def test_cancelled_work_says_so(speaker: Speaker, client: Client) -> None:
    speaker.says("POST /api/v1/images/pull", {"data": operation("cancelled")}, 202)
    with pytest.raises(OperationCancelled):
        client.images.pull("x")


def test_a_rotated_key_is_read_again(speaker: Speaker, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("jx_old")

    def answer(handler: Speaking) -> None:
        if handler.request.headers["Authorization"] == "Bearer jx_old":
            file.write_text("jx_new")
            handler.set_status(401)
            handler.finish({"error": {"code": "UNAUTHORIZED", "message": "Expired."}})
        else:
            handler.finish({"status": "healthy"})

    speaker.on("GET /api/v1/status", answer)
    with Client(speaker.url, token_file=file) as client:
        assert client.system.status().status == "healthy"
        assert client.system.status().status == "healthy"
    assert len(speaker.asked) == 3


def test_a_bad_key_is_not_tried_for_ever(speaker: Speaker, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("jx_old")
    body = {"error": {"code": "UNAUTHORIZED", "message": "No."}}
    speaker.says("GET /api/v1/status", body, 401)
    with (
        Client(speaker.url, token_file=tmp_path / "token") as client,
        pytest.raises(Unauthenticated),
    ):
        client.system.status()
    assert len(speaker.asked) == 1


def test_a_limit_says_when_to_come_back(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/status", {"error": {"code": "RATE_LIMITED"}}, 429, Retry_After="9")
    with pytest.raises(RateLimited) as caught:
        client.system.status()
    assert caught.value.retry_after == 9


def test_nobody_there_says_what_to_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}/", "jx_secret") as client:
        with pytest.raises(Unavailable, match="does not answer") as caught:
            client.system.status()
        assert "jupyter lab" in caught.value.message
        with pytest.raises(Unavailable, match="does not answer"):
            client.live()
    assert "secret" not in caught.value.message


def test_another_programs_answer_is_told(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/containers/web/logs", {"hello": "world"})
    with pytest.raises(Unavailable, match="something else"):
        client.containers.logs("web")


def test_a_redirect_is_not_followed_with_the_key(speaker: Speaker, client: Client) -> None:
    speaker.says("GET /api/v1/status", {}, 302, Location="http://127.0.0.1:1/login")
    with pytest.raises(Unavailable, match="elsewhere"):
        client.system.status()


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    with Client(speaker.url, "k") as client:
        assert client.system.status().status == "healthy"


def test_logs_never_hold_the_key(
    speaker: Speaker, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    speaker.says("GET /api/v1/status", {"status": "healthy"})

    async def talk(socket: Any) -> None:
        asked = await socket.hear()
        await socket.say({"type": "subscribe", "id": asked["id"], "data": {}})

    speaker.sockets["/api/v1/ws"] = talk
    client.system.status()
    with client.live() as live:
        live.subscribe("engine")
    assert "secret-of-the-tests" not in caplog.text


GROUPS = (
    "containers",
    "images",
    "operations",
    "api_keys",
    "users",
    "roles",
    "audit",
    "quotas",
    "invitations",
    "system",
)


def test_both_clients_offer_the_same() -> None:
    with Client("http://127.0.0.1:1", "k") as one:
        other = AsyncClient("http://127.0.0.1:1", "k")
        for name in GROUPS:
            waiting, awaiting = getattr(one, name), getattr(other, name)
            offered = {n for n in dir(waiting) if not n.startswith("_")}
            assert offered <= {n for n in dir(awaiting) if not n.startswith("_")}
            for method in offered:
                assert inspect.signature(getattr(waiting, method)).parameters.keys() == (
                    inspect.signature(getattr(awaiting, method)).parameters.keys()
                )
        asyncio.run(other.close())
    public = {name for name in vars(Client) if not name.startswith("_")}
    assert public == {name for name in vars(aio_module.AsyncClient) if not name.startswith("_")}


def test_the_async_client_does_as_the_other(speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", {"data": {"total": 1, "items": [WEB]}})
    speaker.says("POST /api/v1/images/pull", {"data": operation("pending")}, 202)
    speaker.says("GET /api/v1/operations/op-1", operation("running"))

    async def events(handler: Speaking) -> None:
        await handler.say_event("operations", operation("succeeded", result={"id": "i"}))

    speaker.on("GET /api/v1/events", events)

    async def main() -> None:
        async with AsyncClient(speaker.url, "k") as client:
            assert (await client.containers.list())[0].name == "web"
            assert (await client.images.pull("x")).id == "i"
            with pytest.raises(NotFound):
                await client.containers.get("nothing")

    asyncio.run(main())


def test_devices_by_number_and_name(speaker: Speaker, client: Client) -> None:
    device = {"did": 2, "name": "gpu2", "state": "ready"}
    speaker.says("GET /api/v1/devices", {"devices": [device], "total": 1})
    speaker.says("POST /api/v1/devices", device, 201)
    speaker.says("PUT /api/v1/devices/gpu2", device)
    speaker.says("POST /api/v1/devices/2/gpus", device)
    speaker.says("DELETE /api/v1/devices/2", {"did": 2, "name": "gpu2"})
    assert [each.name for each in client.devices.list()] == ["gpu2"]
    client.devices.add("gpu2", "tcp://gpu2:2376", certificates="/c", gpus=[])
    client.devices.set("gpu2", draining=False)
    client.devices.find_gpus(2)
    client.devices.remove(2, force=True)
    sent = [asked.json for asked in speaker.asked]
    assert sent[1:3] == [
        {"name": "gpu2", "address": "tcp://gpu2:2376", "certificates": "/c", "gpus": []},
        {"draining": False},
    ]
    assert speaker.asked[4].query == {"force": "true"}
