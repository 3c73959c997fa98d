"""Real containers that nobody uses: warned of, kept, stopped; and those that somebody does use."""

from __future__ import annotations

import asyncio
import json
import time as real_time
from datetime import timedelta

import pytest

from jupyter_ext.containers.schemas import StopOptions
from jupyter_ext.errors import Conflict, InvalidRequest, NotFound, Unavailable

from ..containers.conftest import ADMIN, BOB
from .conftest import HOUR, Server, Time, moment, rule

# What the databases do otherwise, the tests of several servers show.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
]


async def test_an_idle_one_is_warned_of_then_stopped_a_busy_one_runs_on(server: Server) -> None:
    await rule(server.store, **HOUR)
    idle = await server.run("idle")
    busy = await server.run("busy", "while :; do :; done", cpu=0.5)
    await server.look()
    await server.spend(49)
    assert server.warned() == []
    shown = server.idle_of(idle)
    assert shown is not None
    assert shown["warned_at"] is None
    assert moment(shown["stops_at"]) - moment(shown["since"]) == timedelta(hours=1)
    await server.spend(3)
    assert server.warned() == ["idle"]
    [warning] = server.told("idle_warning")
    assert warning["cid"] == idle.cid
    assert "pig container keep idle" in warning["message"]
    assert timedelta(minutes=7) < moment(warning["stops_at"]) - server.time.now
    assert server.status(idle) == "running"
    await server.spend(12)
    assert server.warned() == ["idle"]
    assert server.stopped() == [("idle", "idle")]
    assert (server.status(idle), server.status(busy)) == ("exited", "running")
    shown = server.idle_of(idle)
    assert shown is not None
    assert (shown["reason"], shown["stops_at"]) == ("idle", None)
    # Its owner sees it live, too: as the row of a list.
    rows = [data["container"] for data in server.told("changed") if data["container"]["idle"]]
    assert any(row["idle"]["warned_at"] for row in rows if row["cid"] == idle.cid)


@pytest.mark.slow
async def test_a_start_begins_the_clock_anew(server: Server) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(64)
    assert server.stopped() == [("web", "idle")]
    await server.service.containers.start(ADMIN, made.id)
    await server.spend(45)
    assert server.status(made) == "running"
    shown = server.idle_of(made)
    assert shown is not None
    assert shown["stopped_at"] is None
    await server.spend(30)
    assert server.stopped() == [("web", "idle")] * 2


@pytest.mark.slow
async def test_keep_postpones_and_the_warning_comes_again(server: Server) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(54)
    assert server.warned() == ["web"]
    kept = await server.keep("web", minutes=90)
    assert kept.idle is not None
    assert kept.idle["warned_at"] is None
    assert moment(kept.idle["kept_until"]) == server.time.now + timedelta(minutes=90)
    assert kept.idle["stops_at"] == kept.idle["kept_until"]
    # Never to an earlier moment.
    again = await server.keep("web", minutes=5)
    assert again.idle is not None
    assert again.idle["kept_until"] == kept.idle["kept_until"]
    await server.spend(78)
    assert server.warned() == ["web"]
    await server.spend(6)
    assert server.warned() == ["web", "web"]
    assert server.status(made) == "running"
    await server.spend(10)
    assert server.stopped() == [("web", "idle")]
    with pytest.raises(Conflict, match="does not run"):
        await server.keep("web")


async def test_keep_has_its_limit_and_is_the_owners(server: Server) -> None:
    await rule(server.store, **HOUR, keep_minutes=120)
    await server.run("web")
    await server.look()
    with pytest.raises(InvalidRequest) as refused:
        await server.keep("web", minutes=121)
    assert refused.value.fields == {"minutes": "must be 120 or less"}
    with pytest.raises(NotFound):
        await server.keep("web", BOB)
    kept = await server.keep("web")
    assert kept.idle is not None
    assert moment(kept.idle["kept_until"]) == server.time.now + timedelta(minutes=60)
    # An administrator's own limit counts for what they keep.
    kept = await server.keep("web", ADMIN, minutes=600)
    assert kept.idle is not None
    assert moment(kept.idle["kept_until"]) == server.time.now + timedelta(minutes=600)


@pytest.mark.slow
async def test_new_use_takes_a_warning_back(server: Server) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(54)
    assert server.warned() == ["web"]
    sessions = server.service.contents.sessions
    with sessions.open(made.id):
        await server.spend(2)
        shown = server.idle_of(made)
        assert shown is not None
        assert shown["warned_at"] is None
        await server.spend(70)
    assert server.status(made) == "running"
    await server.spend(64)
    assert server.stopped() == [("web", "idle")]


async def test_a_command_between_two_looks_is_use(server: Server) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(40)
    with server.service.contents.sessions.open(made.id):
        pass
    await server.spend(40)
    assert server.warned() == []


async def test_traffic_is_use(server: Server) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web", "nc -l -p 9 -e cat; sleep 1000")
    address = next(iter(server.service.mirror.containers[made.id].networks.values())).ip
    reader, writer = await connected(address, 9)
    await server.look()
    for _ in range(34):
        writer.write(b"x" * 200_000)
        await reader.readexactly(200_000)
        await server.spend(2)
    writer.close()
    assert server.status(made) == "running"
    assert server.warned() == []


async def test_what_could_not_be_measured_is_not_stopped(server: Server, time: Time) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(30)
    # Looks without a sample, and then a long time without a look.
    for _ in range(30):
        time.now += timedelta(minutes=2)
        await server.idle.watch.look()
    assert server.warned() == []
    await server.spend(16)
    assert server.warned() == []
    time.now += timedelta(days=1)
    await server.spend(2)
    assert server.warned() == []
    await server.spend(16)
    assert server.stopped() == [("web", "idle")]
    assert server.status(made) == "exited"


async def test_an_engine_that_is_away_stops_nothing(
    server: Server,
) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(54)
    server.service.mirror._lost(Unavailable("Docker does not answer."))
    await server.spend(20)
    assert server.status(made) == "running"
    assert server.stopped() == []


@pytest.mark.slow
async def test_a_lifetime_ends_what_is_used(server: Server) -> None:
    await rule(server.store, lifetime_minutes=120)
    made = await server.run("train", "while :; do :; done", cpu=0.5)
    await server.look()
    await server.spend(112)
    [warning] = server.told("idle_warning")
    assert warning["reason"] == "lifetime"
    assert "keep" not in warning["message"]
    await server.keep("train", minutes=600)
    await server.spend(24)
    assert server.stopped() == [("train", "lifetime")]
    assert server.status(made) == "exited"


async def test_without_rules_nothing_is_stopped_or_shown(server: Server) -> None:
    made = await server.run("web")
    await server.look()
    await server.spend(20)
    assert server.idle_of(made) is None
    # Stricter rules don't catch anybody unawares.
    server.time.now += timedelta(days=2)
    await rule(server.store, lifetime_minutes=60)
    await server.look()
    assert server.warned() == ["web"]
    assert server.status(made) == "running"
    await server.spend(9)
    assert server.status(made) == "running"
    await server.spend(3)
    assert server.status(made) == "exited"


@pytest.mark.slow
async def test_busy_kernels_are_use(server: Server, time: Time) -> None:
    """A page at the place of Jupyter's own, since the real one needs an image of 600 MB."""
    await rule(server.store, **HOUR)
    script = (
        "mkdir -p /www/api; echo '[]' > /www/api/terminals; "
        'echo "$KERNELS" > /www/api/kernels; httpd -f -p 8888 -h /www'
    )
    ports = {"8888/tcp": None}
    made = {
        name: await server.run(
            name,
            script,
            ports=ports,
            environment={"KERNELS": json.dumps(kernels)},
            password="a-token",
        )
        for name, kernels in {
            "busy": [{"execution_state": "busy", "last_activity": "2020-01-01T00:00:00Z"}],
            "late": [
                {
                    "execution_state": "idle",
                    "last_activity": (time.now + timedelta(minutes=40)).isoformat(),
                }
            ],
            "old": [{"execution_state": "idle", "last_activity": "2020-01-01T00:00:00Z"}],
        }.items()
    }
    await server.look()
    await server.spend(64)
    assert {name: server.status(each) for name, each in made.items()} == {
        "busy": "running",
        "late": "running",
        "old": "exited",
    }
    assert server.warned() == ["old"]
    await server.spend(40)
    assert server.stopped() == [("old", "idle"), ("late", "idle")]


async def test_what_comes_between_decision_and_stop_wins(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rule(server.store, **HOUR)
    made = {name: await server.run(name) for name in ("kept", "entered", "restarted", "left")}
    await server.look()
    await server.spend(58)
    assert len(server.warned()) == 4
    fresh = server.service.access.fresh

    begun, happened = asyncio.Event(), asyncio.Event()

    async def late(caller, ref):
        """Let people act after everything was decided."""
        if not begun.is_set():
            begun.set()
            await server.keep("kept", minutes=30)
            server.service.contents.sessions._open[made["entered"].id] += 1
            options = StopOptions(timeout=0)
            await server.service.containers.restart(ADMIN, "restarted", options, options)
            happened.set()
        if ref in {each.id for each in made.values()}:
            await happened.wait()
        return await fresh(caller, ref)

    monkeypatch.setattr(server.service.access, "fresh", late)
    await server.spend(4)
    assert {name: server.status(each) for name, each in made.items()} == {
        "kept": "running",
        "entered": "running",
        "restarted": "running",
        "left": "exited",
    }
    assert server.stopped() == [("left", "idle")]


async def test_a_stop_that_fails_is_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rule(server.store, **HOUR)
    made = await server.run("web")
    await server.look()
    await server.spend(58)
    stop = server.service.containers.stop

    async def fail(*_: object) -> None:
        raise Unavailable("Docker does not answer.")

    monkeypatch.setattr(server.service.containers, "stop", fail)
    await server.spend(4)
    assert server.stopped() == []
    monkeypatch.setattr(server.service.containers, "stop", stop)
    await server.spend(2)
    assert server.stopped() == [("web", "idle")]
    assert server.status(made) == "exited"


async def connected(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as soon as somebody listens."""
    deadline = real_time.monotonic() + 10
    while True:
        try:
            return await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            assert real_time.monotonic() < deadline
            await asyncio.sleep(0.05)
