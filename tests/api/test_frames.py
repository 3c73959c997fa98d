"""The event socket from inside: order, consistency, limits and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jupyter_ext.api import channel, frames, lapse
from jupyter_ext.errors import Forbidden, NotFound

from .house import ADMIN, ALICE, BOB, Dial, House, Speaker, until

OWN = {"topic": "frames", "cid": 1}
THINGS = {"topic": "things"}


async def closing(speaker: Speaker, seconds: float = 10) -> tuple[int, str]:
    """Read to the end; return the code and the reason of it."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await speaker.next(seconds)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def ticking(house: House) -> AsyncIterator[dict[str, Any]]:
    number = 0
    while True:
        number += 1
        yield {"n": number}
        await asyncio.sleep(0.01)


# -- order -----------------------------------------------------------------------------------------


async def test_requests_may_be_sent_without_waiting_for_replies(house: House, dial: Dial) -> None:
    """As a page does that logs in and subscribes as soon as it is connected."""
    speaker = await dial(None)
    await speaker.send("auth", {"token": "jx_alice"}, "a")
    await speaker.send("subscribe", THINGS, "s")
    replies = [await speaker.next(), await speaker.next()]
    assert [(reply["type"], reply["id"]) for reply in replies] == [
        ("auth", "a"),
        ("subscribe", "s"),
    ]
    assert replies[0]["data"]["user"] == {"id": "user-2", "username": "alice", "role": "user"}


async def test_a_subscription_that_is_ended_at_once_brings_nothing(
    house: House, dial: Dial
) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, Any]:
        entered.set()
        await go.wait()
        return {"items": []}

    house.stage.snapshot = slow
    speaker = await dial()
    await speaker.send("subscribe", THINGS, "s")
    await entered.wait()
    assert (await speaker.ask("unsubscribe", THINGS))["type"] == "unsubscribe"
    go.set()
    assert (await speaker.next())["id"] == "s"
    house.bus.publish("things", {})
    assert await speaker.silent()
    assert not house.bus.wanted("things")


async def test_subscribing_twice_answers_twice_and_tells_once(house: House, dial: Dial) -> None:
    speaker = await dial()
    for ident in ("a", "b"):
        await speaker.send("subscribe", THINGS, ident)
    assert {(await speaker.next())["id"], (await speaker.next())["id"]} == {"a", "b"}
    house.bus.publish("things", {"n": 1})
    assert (await speaker.next())["data"] == {"n": 1}
    assert await speaker.silent()


async def test_a_slow_answer_holds_up_no_other(house: House, dial: Dial) -> None:
    house.stage.snapshot = lambda: asyncio.sleep(3600)
    speaker = await dial()
    await speaker.send("subscribe", THINGS, "slow")
    assert (await speaker.ask("auth"))["type"] == "auth"


# -- the state and what follows --------------------------------------------------------------------


async def test_nothing_is_lost_between_the_state_and_the_first_event(
    house: House, dial: Dial
) -> None:
    async def meanwhile() -> dict[str, Any]:
        house.bus.publish("things", {"n": 1})
        await asyncio.sleep(0.05)
        house.bus.publish("things", {"n": 2})
        return {"items": [1]}

    house.stage.snapshot = meanwhile
    speaker = await dial()
    reply = await speaker.ask("subscribe", THINGS)
    assert reply["data"] == {"topic": "things", "items": [1]}
    house.bus.publish("things", {"n": 3})
    assert [(await speaker.next())["data"]["n"] for _ in range(3)] == [1, 2, 3]


async def test_an_event_says_when_and_which(house: House, dial: Dial) -> None:
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    event = house.bus.publish("things", {"n": 1})
    frame = await speaker.next()
    assert frame["timestamp"].endswith("Z")
    assert frame == {
        "type": "things",
        "data": {"n": 1},
        "eventId": event.id,
        "timestamp": frame["timestamp"],
    }


async def test_resume_brings_what_was_missed_oldest_first_and_the_newest_last(
    house: House, dial: Dial
) -> None:
    seen = house.bus.publish("things", {"n": 0})
    for number in range(1, 4):
        house.bus.publish("things", {"n": number})
        house.bus.publish("others", {"n": number})
    speaker = await dial()
    await speaker.send("subscribe", THINGS, "1")
    await speaker.send("subscribe", {"topic": "others"}, "2")
    await speaker.send("resume", {"lastEventId": seen.id}, "r")
    got = [await speaker.next() for _ in range(9)]
    assert [frame["id"] for frame in got[:2]] == ["1", "2"]
    for topic in ("things", "others"):
        told = [frame["data"]["n"] for frame in got if frame["type"] == topic]
        assert told == [1, 2, 3]
    assert (got[-1]["type"], got[-1]["data"]["resumed"]) == ("resume", True)
    house.bus.publish("things", {"n": 4})
    assert (await speaker.next())["data"] == {"n": 4}


async def test_events_that_come_while_it_resumes_are_told_after_what_was_missed(
    house: House, dial: Dial
) -> None:
    seen = house.bus.publish("things", {"n": 0})
    for number in range(1, 300):
        house.bus.publish("things", {"n": number, "text": "x" * 20_000})
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    await speaker.send("resume", {"lastEventId": seen.id}, "r")
    told: list[int] = []
    while not told:
        told.append((await speaker.next())["data"]["n"])
    for number in range(300, 310):
        house.bus.publish("things", {"n": number})
    while told[-1] != 309:
        frame = await speaker.next()
        if frame["type"] == "things":
            told.append(frame["data"]["n"])
    assert told == list(range(1, 310))


async def test_resume_before_the_subscriptions_serves_as_well(house: House, dial: Dial) -> None:
    seen = house.bus.publish("things", {"n": 0})
    house.bus.publish("things", {"n": 1})
    speaker = await dial()
    assert (await speaker.ask("resume", {"lastEventId": seen.id}))["data"]["resumed"] is True
    assert (await speaker.ask("subscribe", THINGS))["type"] == "subscribe"
    assert (await speaker.next())["data"] == {"n": 1}


async def test_resume_from_another_boot_says_so(house: House, dial: Dial) -> None:
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    reply = await speaker.ask("resume", {"lastEventId": "other-1"})
    assert reply["data"] == {"resumed": False, "lastEventId": house.bus.last_id}
    assert (await speaker.ask("resume", {"lastEventId": 5}))["data"]["code"] == "INVALID_REQUEST"


async def test_somebody_elses_events_are_not_sent(house: House, dial: Dial) -> None:
    alice, admin = await dial("alice"), await dial("admin")
    for speaker in (alice, admin):
        await speaker.ask("subscribe", THINGS)
    house.bus.publish("things", {"of": "bob"}, owner=BOB.id)
    house.bus.publish("things", {"of": "alice"}, owner=ALICE.id)
    assert (await admin.next())["data"] == {"of": "bob"}
    assert (await admin.next())["data"] == {"of": "alice"}
    assert (await alice.next())["data"] == {"of": "alice"}


# -- feeds of their own ----------------------------------------------------------------------------


async def test_a_feed_of_its_own_goes_on_until_it_is_ended(house: House, dial: Dial) -> None:
    house.stage.frames = lambda: ticking(house)
    speaker = await dial()
    await speaker.ask("subscribe", OWN)
    assert (await speaker.next())["data"] == {"cid": 1, "n": 1}
    ident = await speaker.send("unsubscribe", OWN)
    while (await speaker.next()).get("id") != ident:
        pass
    await until(lambda: house.stage.closed == ["frames 1"])
    assert await speaker.silent()


async def test_feeds_that_have_ended_take_no_place(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def short() -> AsyncIterator[dict[str, Any]]:
        yield {"ended": True}

    monkeypatch.setattr(frames, "SUBSCRIPTIONS", 2)
    house.stage.frames = short
    speaker = await dial()
    for number in range(6):
        assert (await speaker.ask("subscribe", {"topic": "frames", "cid": number}))[
            "type"
        ] != "error"
        assert (await speaker.next())["data"]["ended"] is True
        while len(house.stage.closed) <= number:
            await asyncio.sleep(0.01)


async def test_a_connection_may_subscribe_so_often(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "SUBSCRIPTIONS", 2)
    speaker = await dial()
    for topic in ("things", "others", "others"):
        assert (await speaker.ask("subscribe", {"topic": topic}))["type"] == "subscribe"
    house.stage.frames = lambda: ticking(house)
    refused = await speaker.ask("subscribe", OWN)
    assert refused["data"]["code"] == "RATE_LIMITED"
    assert "2 subscriptions" in refused["data"]["message"]


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound("container", "1"), "NOT_FOUND"), (OSError("x"), "INTERNAL_ERROR")]
)
async def test_a_feed_that_breaks_says_which(
    house: House, dial: Dial, error: Exception, code: str
) -> None:
    async def breaking() -> AsyncIterator[dict[str, Any]]:
        yield {"n": 1}
        raise error

    house.stage.frames = breaking
    speaker = await dial()
    await speaker.ask("subscribe", OWN)
    assert (await speaker.next())["data"]["n"] == 1
    frame = await speaker.next()
    assert frame["type"] == "error"
    assert "id" not in frame
    assert (frame["data"]["code"], frame["data"]["topic"], frame["data"]["cid"]) == (
        code,
        "frames",
        1,
    )
    assert (await speaker.ask("auth"))["type"] == "auth"


# -- what goes wrong -------------------------------------------------------------------------------


async def test_every_request_is_answered_in_time(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "REPLY_SECONDS", 0.1)
    house.stage.snapshot = lambda: asyncio.sleep(3600)
    speaker = await dial()
    reply = await speaker.ask("subscribe", THINGS)
    assert (reply["type"], reply["data"]["code"]) == ("error", "UNAVAILABLE")
    assert not house.bus.wanted("things")


@pytest.mark.parametrize(
    ("error", "code"), [(Forbidden("No."), "FORBIDDEN"), (OSError("x"), "INTERNAL_ERROR")]
)
async def test_a_state_that_can_not_be_told_is_an_error(
    house: House, dial: Dial, error: Exception, code: str
) -> None:
    async def failing() -> dict[str, Any]:
        raise error

    house.stage.snapshot = failing
    speaker = await dial()
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == code
    assert not house.bus.wanted("things")


async def test_a_permission_that_lacks_is_named(house: House, dial: Dial) -> None:
    speaker = await dial()
    reply = await speaker.ask("subscribe", {"topic": "closed"})
    assert reply["data"]["code"] == "FORBIDDEN"
    assert "secret:read" in reply["data"]["message"]


async def test_an_error_repeats_the_id_of_what_is_half_understood(house: House, dial: Dial) -> None:
    speaker = await dial()
    await speaker.connection.send('{"id": 7, "type": "subscribe", "data": []}')
    assert (await speaker.next())["id"] == 7
    await speaker.connection.send(b'{"id": 8, "type": "auth"}')
    assert (await speaker.next())["id"] == 8


async def test_so_many_requests_at_once_and_no_more(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "IN_FLIGHT", 2)
    house.stage.snapshot = lambda: asyncio.sleep(3600)
    speaker = await dial()
    for number in range(2):
        await speaker.send("subscribe", {"topic": "frames", "cid": number})
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == "RATE_LIMITED"


async def test_whoever_sends_without_reading_is_not_read(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise their replies would pile up here."""
    speaker = await dial(max_queue=1, write_limit=1024)
    message = json.dumps({"type": "none", "id": "x" * 100_000})
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 2_000:
            async with asyncio.timeout(0.5):
                await speaker.connection.send(message)
            sent += 1
    assert len(asyncio.all_tasks()) < 40
    speaker.connection.transport.abort()


# -- what is counted -------------------------------------------------------------------------------


async def test_frames_are_counted_as_requests_over_http_are(
    house: House, dial: Dial, url: str
) -> None:
    house.limit(3)
    speaker = await dial("alice")
    assert (await speaker.ask("subscribe", THINGS))["type"] == "subscribe"
    assert (await speaker.ask("auth"))["type"] == "auth"
    refused = await speaker.ask("unsubscribe", THINGS)
    assert refused["type"] == "error"
    assert refused["data"]["code"] == "RATE_LIMITED"
    assert 1 <= refused["data"]["details"]["retry_after"] <= 60
    async with httpx.AsyncClient(headers={"X-API-Key": "jx_alice"}, trust_env=False) as http:
        assert (await http.get(f"{url}/nothing")).status_code == 429
    # What was refused was not done, and other people have counts of their own.
    house.bus.publish("things", {"n": 1})
    assert (await speaker.next())["data"] == {"n": 1}
    assert (await (await dial("bob")).ask("auth"))["type"] == "auth"


@pytest.mark.parametrize("message", ["{", "[]", '{"type": "auth", "data": []}', '{"type": "x"}'])
async def test_what_is_not_understood_is_counted_as_well(
    house: House, dial: Dial, message: str
) -> None:
    house.limit(2)
    speaker = await dial()
    codes = []
    for _ in range(2):
        await speaker.connection.send(message)
        codes.append((await speaker.next())["data"]["code"])
    assert codes[0] != "RATE_LIMITED"
    assert codes[1] == "RATE_LIMITED"


async def test_before_there_is_a_credential_the_address_is_counted(
    house: House, dial: Dial
) -> None:
    house.limit(2)
    speaker = await dial(None)
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == "UNAUTHORIZED"
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == "RATE_LIMITED"
    # A good key is counted for itself, once.
    assert (await speaker.ask("auth", {"token": "jx_alice"}))["type"] == "auth"
    assert (await speaker.ask("subscribe", THINGS))["type"] == "subscribe"
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == "RATE_LIMITED"


async def test_a_key_that_is_used_up_does_not_log_in(house: House, dial: Dial) -> None:
    house.limit(2)
    used = await dial("alice")
    await used.ask("auth")
    speaker = await dial(None)
    reply = await speaker.ask("auth", {"token": "jx_alice"})
    assert reply["data"]["code"] == "RATE_LIMITED"
    assert (await speaker.ask("subscribe", THINGS))["data"]["code"] == "UNAUTHORIZED"


async def test_jupyters_login_is_not_counted(house: House, dial: Dial) -> None:
    house.limit(2)
    token = house.app.identity_provider.token
    speaker = await dial(None, headers={"Authorization": f"token {token}"})
    for _ in range(2 * frames.REFUSALS):
        assert (await speaker.ask("auth"))["type"] == "auth"


async def test_whoever_goes_on_although_refused_is_closed(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "REFUSALS", 3)
    house.limit(1)
    speaker = await dial()
    for number in range(5):
        await speaker.send("subscribe", THINGS, str(number))
    for number in range(3):
        reply = await speaker.next()
        assert (reply["id"], reply["data"]["code"]) == (str(number), "RATE_LIMITED")
    code, reason = await closing(speaker)
    assert code == 4429
    assert "Too many requests" in reason
    await until(lambda: not house.sockets._open)


async def test_refusals_of_long_ago_close_nothing(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "REFUSALS", 3)
    speaker = await dial()
    for _ in range(3):
        house.limit(1)
        assert (await speaker.ask("auth"))["type"] == "auth"
        for _ in range(3):
            assert (await speaker.ask("auth"))["data"]["code"] == "RATE_LIMITED"


# -- ends ------------------------------------------------------------------------------------------


async def test_a_reader_that_does_not_read_slows_nobody_and_is_closed(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe = house.bus.subscribe
    monkeypatch.setattr(
        house.bus, "subscribe", lambda *args, **more: subscribe(*args, **more, limit=50)
    )
    lazy, quick = await dial(max_queue=1), await dial("bob")
    for speaker in (lazy, quick):
        await speaker.ask("subscribe", THINGS)
    for number in range(400):
        house.bus.publish("things", {"n": number, "text": "x" * 100_000})
        assert (await quick.next())["data"]["n"] == number
    code, reason = await closing(lazy)
    assert code == frames.TOO_SLOW
    assert "too slowly" in reason
    await quick.connection.close()
    await until(lambda: not house.bus.wanted("things"))


async def test_a_connection_that_ends_leaves_nothing(house: House, dial: Dial) -> None:
    house.stage.frames = lambda: ticking(house)
    hanging = {"topic": "others"}
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    await speaker.ask("subscribe", OWN)
    house.stage.snapshot = lambda: asyncio.sleep(3600)
    await speaker.send("subscribe", hanging)
    await until(lambda: house.bus.wanted("others"))
    speaker.connection.transport.abort()
    await until(lambda: not house.bus.wanted("things") and not house.bus.wanted("others"))
    await until(lambda: house.stage.closed == ["frames 1"])


async def test_the_server_says_good_bye(house: House, dial: Dial) -> None:
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    house.bus.close()
    assert await closing(speaker) == (1001, "The server stops.")


async def test_a_revoked_key_ends_it(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapse, "RECHECK_SECONDS", 0.05)
    header, frame = await dial("alice"), await dial(None)
    await frame.ask("auth", {"token": "jx_alice"})
    await asyncio.sleep(0.2)
    del house.keys.known["alice"]
    for speaker in (header, frame):
        assert await closing(speaker, 1) == (4401, "This API key is revoked.")


async def test_an_account_that_changes_ends_it(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapse, "RECHECK_SECONDS", 0.05)
    speaker = await dial("alice")
    house.disable(ALICE)
    code, reason = await closing(speaker, 1)
    assert code == 4401
    assert "changed" in reason


async def test_a_jupyter_login_whose_account_is_disabled_ends(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapse, "RECHECK_SECONDS", 0.05)
    token = house.app.identity_provider.token
    speaker = await dial(None, headers={"Authorization": f"token {token}"})
    assert (await speaker.ask("auth"))["data"]["user"]["username"] == "admin"
    house.owner = replace(ADMIN, enabled=False)
    code, reason = await closing(speaker, 1)
    assert code == 4403
    assert "disabled" in reason


async def test_whoever_says_nothing_is_shown_out(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "AUTH_SECONDS", 0.1)
    speaker = await dial(None)
    code, reason = await closing(speaker)
    assert code == 4401
    assert "auth" in reason


async def test_a_second_credential_must_be_the_same_persons(house: House, dial: Dial) -> None:
    speaker = await dial("alice")
    assert (await speaker.ask("auth", {"token": "jx_alice"}))["type"] == "auth"
    assert (await speaker.ask("auth", {"token": "jx_bob"}))["data"]["code"] == "CONFLICT"
    assert (await speaker.ask("auth", {"token": 5}))["data"]["code"] == "INVALID_REQUEST"


# -- handshakes ------------------------------------------------------------------------------------


async def test_handshakes_that_come_to_nothing_take_no_place(
    house: House, dial: Dial, url: str, port: int
) -> None:
    async with httpx.AsyncClient(headers={"X-API-Key": "jx_alice"}, trust_env=False) as http:
        assert (await http.get(f"{url}/ws")).status_code == 400
    with pytest.raises(InvalidStatus) as refused:
        await dial(None, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    assert b"Cross origin" in refused.value.response.body
    head = (
        f"GET {house.base_url}api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "X-API-Key: jx_alice\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    for wait in (0, 0.001, 0.005, 0.01, 0.02) * 4:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        await asyncio.sleep(wait)
        writer.transport.abort()
    await until(lambda: not house.sockets._open)


async def test_handshakes_are_counted_as_requests_are(house: House, dial: Dial) -> None:
    house.limit(2)
    first = await dial("alice")
    assert first.connection.response.headers["X-RateLimit-Limit"] == "2"
    await dial("alice")
    with pytest.raises(InvalidStatus) as refused:
        await dial("alice")
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    # Guesses in frames are counted by address, and so are guesses in headers.
    guesser = await dial(None)
    assert (await guesser.ask("auth", {"token": "jx_x"}))["data"]["code"] == "UNAUTHORIZED"
    assert (await guesser.ask("auth", {"token": "jx_x"}))["data"]["code"] == "RATE_LIMITED"
    with pytest.raises(InvalidStatus) as guessed:
        await dial("x")
    assert guessed.value.response.status_code == 429


async def test_watching_is_no_activity(house: House, dial: Dial) -> None:
    before = house.app.web_app.last_activity()
    speaker = await dial()
    await speaker.ask("subscribe", THINGS)
    house.bus.publish("things", {})
    await speaker.next()
    await speaker.connection.close()
    assert house.app.web_app.last_activity() == before


# -- sockets of one manager ------------------------------------------------------------------------


async def test_a_manager_talks_until_it_has_said_all(house: House, dial: Dial) -> None:
    async def echo(talk: Any) -> None:
        await talk.send(["setup", {}])
        while (message := await talk.receive()) != ["bye"]:
            await talk.send(message)

    house.stage.talk = echo
    speaker = await dial(path="/chat/x")
    assert await speaker.next() == ["setup", {}]
    await speaker.connection.send('["stdin", "a"]')
    assert await speaker.next() == ["stdin", "a"]
    await speaker.connection.send('["bye"]')
    assert (await closing(speaker))[0] in (1000, 1005)
    assert house.stage.closed == ["chat x"]


async def test_a_manager_is_told_when_the_client_goes(house: House, dial: Dial) -> None:
    house.stage.talk = lambda talk: talk.receive()
    speaker = await dial(path="/chat/x")
    await asyncio.sleep(0.05)
    speaker.connection.transport.abort()
    await until(lambda: house.stage.closed == ["chat x"])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotFound("container", "x"), 4404, "No container goes by"),
        (OSError("a secret"), 4500, "Something went wrong"),
    ],
)
async def test_a_talk_that_fails_ends_with_the_reason(
    house: House, dial: Dial, error: Exception, code: int, said: str
) -> None:
    async def failing(talk: Any) -> None:
        raise error

    house.stage.talk = failing
    speaker = await dial(path="/chat/x")
    ended = await closing(speaker)
    assert ended[0] == code
    assert said in ended[1]


async def test_whoever_sends_what_nobody_takes_is_closed(
    house: House, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STUCK_SECONDS", 0.1)
    house.stage.talk = lambda talk: asyncio.sleep(3600)
    speaker = await dial(path="/chat/x")
    for number in range(70):
        await speaker.connection.send(f'["stdin", {number}]')
    code, reason = await closing(speaker)
    assert code == 4503
    assert "not read" in reason
    await until(lambda: house.stage.closed == ["chat x"])
    assert not house.sockets._open


async def test_what_is_no_json_ends_a_talk(house: House, dial: Dial) -> None:
    house.stage.talk = lambda talk: talk.receive()
    speaker = await dial(path="/chat/x")
    await speaker.connection.send("{")
    assert (await closing(speaker))[0] == 4400


async def test_a_talk_needs_its_permission(house: House, dial: Dial) -> None:
    viewer = replace(house.keys.known["bob"], account=replace(BOB, role="viewer"))
    house.keys.known["bob"] = viewer
    with pytest.raises(InvalidStatus) as refused:
        await dial("bob", path="/chat/x")
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["code"] == 403
    assert not house.sockets._open
