"""A thousand who wait for sixty-four GPUs, and servers that are killed meanwhile.

That no GPU was held twice is judged by the engine alone: by the device requests of its containers,
and by when it says that they started and ended.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ..api.conftest import UNLIMITED
from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.jupyter import JupyterServer
from ..engines.postgres import PostgresServer
from ..engines.scratch import wait_until
from ..engines.stores import KEY

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(3000)]

GPUS = 64
REQUESTS = 1000
GIVE_UP = 2000
"""Seconds after which a request that nothing came of is asked about."""

SAMPLE = 50
"""Requests that are sent one after the other, for the time of a thousand."""

AT_ONCE = 24
"""Containers that are ended at once; the engine starts as many meanwhile."""


@dataclass
class Life:
    """A container as the engine told of it."""

    gpus: list[str]
    started: float
    ended: float = float("inf")


@dataclass
class Witness:
    """Follows the engine's events, and asks it for each container what it was made with."""

    engine: Dockerd
    lives: dict[str, Life] = field(default_factory=dict)
    made: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        filters = [f"--filter=event={action}" for action in ("create", "start", "die")]
        events = subprocess.Popen(
            ["docker", "events", "--format={{json .}}", *filters],
            env=self.engine.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        thread = threading.Thread(target=self._follow, args=(events,))
        thread.start()
        try:
            yield
        finally:
            events.terminate()
            events.wait()
            thread.join()
            assert events.stdout is not None
            events.stdout.close()

    def _follow(self, events: subprocess.Popen[str]) -> None:
        assert events.stdout is not None
        for line in events.stdout:
            event = json.loads(line)
            at, ident = event["timeNano"] / 1e9, event["id"]
            match event["Action"]:
                case "create":
                    self.made[ident] = self._given(ident)
                case "start":
                    self.lives[ident] = Life(self.made[ident], at)
                case "die":
                    self.lives[ident].ended = at

    def _given(self, ident: str) -> list[str]:
        try:
            [found] = json.loads(self.engine.docker("inspect", ident))
        except RuntimeError:
            # Removed before it was started: a start without an entry here fails the judgement.
            return []
        requests = found["HostConfig"]["DeviceRequests"] or []
        return [uuid for request in requests for uuid in request["DeviceIDs"]]

    def judge(self) -> None:
        """No GPU was in two containers at a time, and each container had one."""
        by_gpu: defaultdict[str, list[Life]] = defaultdict(list)
        for life in self.lives.values():
            assert len(life.gpus) == 1, life
            by_gpu[life.gpus[0]].append(life)
        for uuid, lives in by_gpu.items():
            lives.sort(key=lambda life: life.started)
            for before, after in zip(lives, lives[1:], strict=False):
                assert before.ended <= after.started, (uuid, before, after)
        assert len(by_gpu) == GPUS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Dockerd]:
    with Dockerd(programs=gpus.hook_folder(tmp_path)) as running:
        images.load_busybox(running)
        yield running


@pytest.fixture
def cards(tmp_path: Path) -> Cards:
    return Cards(tmp_path, [Card(f"GPU-{number:02}") for number in range(GPUS)])


Start = Callable[..., JupyterServer]


@pytest.fixture
def start(engine: Dockerd, cards: Cards) -> Iterator[Start]:
    """Start a server: ``start(store={…})``."""
    with ExitStack() as stack:

        def run(store: dict[str, str], home: Path | None = None) -> JupyterServer:
            config: dict[str, dict[str, Any]] = {
                "JupyterExt": {"rate_limits": UNLIMITED, **store},
                # All are one user's, and the user's own network would hold a few hundred.
                "ContainerDefaults": {"init": False},
            }
            return stack.enter_context(
                jupyter.jupyter_server(
                    docker_host=engine.url, environ=cards.environ, config=config, home=home
                )
            )

        yield run


class Crowd:
    """Those who wait; each holds what it gets for a moment, and ends it in one of three ways."""

    def __init__(self, servers: list[JupyterServer], witness: Witness, key: str) -> None:
        self.servers = servers
        self.engine = witness.engine
        self.witness = witness
        self.headers = {"X-API-Key": key, "Prefer": "respond-async"}
        self.chance = random.Random(64)
        self.ending = asyncio.Semaphore(AT_ONCE)
        self.granted = 0
        self.made: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(trust_env=False, timeout=120, limits=limits) as self.http:
            looking = asyncio.create_task(self._look())
            try:
                await asyncio.gather(*(self._one(number) for number in range(REQUESTS)))
            finally:
                looking.cancel()

    async def _look(self) -> None:
        """See what was made; a thousand who ask for themselves take more time than the servers."""
        while True:
            page = await self._send("GET", "containers?limit=1000")
            for item in page["data"]["items"]:
                self.made[item["name"]].set()
            await asyncio.sleep(0.5)

    async def _one(self, number: int) -> None:
        body = {"name": f"n{number}", "image": "busybox:latest", "gid": "auto", "wait": True}
        body["command"] = ["sleep", "3600"]
        # Sent again after a crash, it is the same request.
        again = {"Idempotency-Key": f"request-{number}"}
        begun = await self._send("POST", "containers", json=body, headers=self.headers | again)
        ident = begun["data"]["id"]
        with suppress(TimeoutError):
            # One that failed is never seen.
            await asyncio.wait_for(self.made[f"n{number}"].wait(), GIVE_UP)
        while True:
            operation = await self._send("GET", f"operations/{ident}")
            if operation["state"] not in ("pending", "running"):
                break
            await asyncio.sleep(self.chance.uniform(0.2, 0.6))
        assert operation["state"] == "succeeded", json.dumps(operation, indent=1)
        self.granted += 1
        while operation["result"]["id"] not in self.witness.lives:
            await asyncio.sleep(0.1)
        async with self.ending:
            await self._end(operation["result"])

    async def _end(self, container: dict[str, Any]) -> None:
        way = self.chance.choice(["delete", "kill", "stop"])
        cid, ident = container["cid"], container["id"]
        if way == "delete":
            await self._send("DELETE", f"containers/{cid}?force=true")
        elif way == "kill":
            await asyncio.to_thread(self.engine.docker, "rm", "--force", ident)
        else:
            await self._send("POST", f"containers/{cid}/stop", json={"timeout": 0})

    async def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Ask any server; one that was killed is asked no more."""
        options.setdefault("headers", self.headers)
        said: list[str] = []
        for attempt in range(100):
            server = self.chance.choice(self.servers)
            with suppress(httpx.TransportError):
                reply = await self.http.request(method, f"{server.api}/{path}", **options)
                said.append(f"{reply.status_code} {reply.text[:160]}")
                if reply.status_code == 404 and path.startswith("containers/"):
                    # Another server hears of a new container within a second; after that it was
                    # deleted by a request whose answer was lost.
                    if method == "DELETE" and attempt > 5:
                        return {}
                    await asyncio.sleep(1)
                    continue
                if reply.status_code < 500 and reply.status_code != 409:
                    assert reply.is_success, (method, path, reply.text)
                    found: dict[str, Any] = reply.json()
                    return found
            await asyncio.sleep(1)
        raise AssertionError(f"{method} {path} was never answered as it should be: {said[-3:]}")


class GrantLog:
    """Has the database itself write down every grant, in the order in which they commit.

    Parameters
    ----------
    store
        The URL of a PostgreSQL, or the path of an SQLite file.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def begin(self) -> None:
        """Write down what is granted from now on."""
        when = "AFTER UPDATE OF granted ON gpu_requests FOR EACH ROW"
        changed = "WHEN (OLD.granted IS NULL AND NEW.granted IS NOT NULL)"
        self._execute("CREATE TABLE grant_log (place INTEGER, number INTEGER)")
        insert = "INSERT INTO grant_log (place, number) VALUES"
        if "://" not in self._store:
            self._execute(
                f"CREATE TRIGGER log_grant {when} {changed} BEGIN {insert} "
                "((SELECT count(*) FROM grant_log), NEW.number); END"
            )
            return
        self._execute(
            "CREATE FUNCTION log_grant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{insert} (txid_current(), NEW.number); RETURN NEW; END $$"
        )
        self._execute(f"CREATE TRIGGER log_grant {when} {changed} EXECUTE FUNCTION log_grant()")

    def read(self) -> list[int]:
        """Return the numbers of the requests that were granted; of one transaction's, by number."""
        rows = self._execute("SELECT number FROM grant_log ORDER BY place, number")
        return [number for (number,) in rows]

    def _execute(self, statement: str) -> list[Any]:
        if "://" in self._store:
            with psycopg.connect(self._store) as connection:
                done = connection.execute(statement)
                return done.fetchall() if done.description else []
        with closing(sqlite3.connect(self._store, timeout=30)) as file, file:
            return file.execute(statement).fetchall()


def one_after_the_other(server: JupyterServer, key: str) -> float:
    """Return the seconds that a request takes when nobody else asks: made, and deleted."""
    with server.client(headers={"X-API-Key": key}) as client:
        began = time.monotonic()
        for number in range(SAMPLE):
            body = {"name": f"one{number}", "image": "busybox:latest", "gid": "auto", "wait": True}
            body["command"] = ["sleep", "3600"]
            made = client.post("containers", json=body, timeout=60).raise_for_status().json()
            cid = made["data"]["cid"]
            client.delete(f"containers/{cid}", params={"force": True}).raise_for_status()
        return (time.monotonic() - began) / SAMPLE


@pytest.mark.parametrize("servers", [pytest.param(4, id="postgres"), pytest.param(1, id="sqlite")])
def test_gpus_are_handed_out_in_order_while_servers_are_killed(
    servers: int,
    engine: Dockerd,
    start: Start,
    postgres_server: PostgresServer,
) -> None:
    with ExitStack() as stack:
        store = {"store_key": KEY}
        if servers > 1:
            store["store_url"] = stack.enter_context(postgres_server.database())
        running = [start(store) for _ in range(servers)]
        key = running[0].key()
        log = GrantLog(store.get("store_url") or f"{running[0].home}/store.db")
        with running[0].client() as client:
            wait_until(lambda: len(client.get("gpus").json()["gpus"]) == GPUS, "the GPUs")
        alone = one_after_the_other(running[0], key)
        log.begin()
        witness = Witness(engine)
        crowd = Crowd(running, witness, key)
        stop = threading.Event()

        def kill_some() -> None:
            for number in (1, 2, 3):
                if stop.wait(45):
                    return
                victim = running[number % servers]
                victim.process.kill()
                victim.process.wait()
                running[number % servers] = start(store, victim.home)

        killer = threading.Thread(target=kill_some)
        began = time.monotonic()
        with witness.watching():
            killer.start()
            try:
                asyncio.run(crowd.run())
            finally:
                stop.set()
                killer.join()
        seconds = time.monotonic() - began
        print(f"all at once: {seconds:.0f} s, one after the other: {alone * REQUESTS:.0f} s")
        assert crowd.granted == REQUESTS
        numbers = log.read()
        assert len(numbers) == len(set(numbers)) == REQUESTS
        assert numbers == sorted(numbers)
        witness.judge()
        assert seconds < 3 * alone * REQUESTS
