"""Several servers of one store, one after the other and at once, on both databases."""

from __future__ import annotations

import asyncio
import time as real_time
from datetime import timedelta

import pytest

from ..containers.conftest import ADMIN
from ..engines.dockerd import Dockerd
from .conftest import HOUR, MakeServers, Time, moment, rule

pytestmark = [pytest.mark.slow, pytest.mark.docker]


def test_a_server_that_starts_again_goes_on_counting(
    make_idle_server: MakeServers, jp_asyncio_loop: asyncio.AbstractEventLoop, time: Time
) -> None:
    first, second = make_idle_server(), make_idle_server()

    async def before() -> None:
        await first.start()
        await rule(first.store, **HOUR)
        await first.run("web")
        await first.look()
        await first.spend(44)
        await first.stop()

    async def after() -> None:
        # Down for a day, which nobody measured.
        time.now += timedelta(days=1)
        await second.start()
        await second.spend(4)
        assert second.warned() == []
        [made] = await second.service.containers.all(ADMIN)
        shown = second.idle_of(made)
        assert shown is not None
        assert moment(shown["stops_at"]) - time.now <= timedelta(minutes=14)
        await second.spend(16)
        assert second.warned() == ["web"]
        assert second.stopped() == [("web", "idle")]

    jp_asyncio_loop.run_until_complete(before())
    jp_asyncio_loop.run_until_complete(after())


def test_two_servers_act_once_and_both_tell(
    make_idle_server: MakeServers,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
    docker_engine: Dockerd,
    time: Time,
) -> None:
    one, two = make_idle_server(), make_idle_server()

    async def both(minutes: int) -> None:
        for _ in range(minutes // 2):
            time.now += timedelta(minutes=2)
            await asyncio.gather(one.measure(), two.measure())
            await asyncio.gather(one.idle.watch.look(), two.idle.watch.look())

    async def run() -> None:
        await one.start()
        await rule(one.store, **HOUR)
        made = [await one.run(f"web-{number}") for number in range(3)]
        await two.start()
        with Events(docker_engine) as events:
            await both(40)
            # A terminal through one of them keeps the other from stopping it.
            with two.service.contents.sessions.open(made[0].id):
                await both(30)
            assert one.status(made[0]) == "running"
            for server in (one, two):
                await server.look()
                assert sorted(server.warned()) == ["web-1", "web-2"]
                assert sorted(server.stopped()) == [("web-1", "idle"), ("web-2", "idle")]
            # A keep through one counts at the other.
            await both(54)
            await two.keep("web-0", minutes=30)
            await both(16)
            assert one.status(made[0]) == "running"
            await both(20)
            await asyncio.sleep(0.5)
        assert sorted(events.stops) == sorted(each.id for each in made)

    jp_asyncio_loop.run_until_complete(run())


class Events:
    """The engine's own word on which containers it was asked to stop."""

    def __init__(self, engine: Dockerd) -> None:
        self.stops: list[str] = []
        self._engine = engine
        self._begun = real_time.time()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        command = ("events", "--since", f"{self._begun:.3f}", "--until", f"{real_time.time():.3f}")
        text = self._engine.docker(*command, "--filter", "event=stop", "--format", "{{.ID}}")
        self.stops = text.split()
