"""Servers that are killed while they make and clone databases: all of it is there, or nothing."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import nullcontext
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from jupyter_ext.postgres.schemas import SPARE, SYSTEM

from ..engines import clusters, jupyter
from ..engines.scratch import scratch_folder, wait_until
from ..postgres.conftest import settings

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]

KILLS = 10
ROWS = 300_000


def answers(client: httpx.Client) -> bool:
    return client.get("databases").status_code == 200


def ended(client: httpx.Client, ident: str) -> bool:
    return client.get(f"operations/{ident}").json()["state"] not in ("pending", "running")


def begin(client: httpx.Client, path: str, name: str) -> str:
    headers = {**client.headers, "Prefer": "respond-async"}
    reply = client.post(path, json={"name": name}, headers=headers)
    assert reply.status_code == 202, reply.text
    return str(reply.json()["id"])


@pytest.mark.parametrize("busy", [False, True], ids=["files", "dump"])
def test_a_server_that_is_killed_leaves_no_half_database(busy: bool) -> None:
    chance = random.Random(7)
    states: list[str] = []
    with clusters.cluster_folder() as folder, scratch_folder("home") as home:
        config = settings(folder)
        source = ""
        begun: list[tuple[str, str]] = []
        for number in range(KILLS):
            copy, new = f"copy {number}", f"new {number}"
            with (
                jupyter.jupyter_server(config=config, home=home) as server,
                server.client() as client,
            ):
                source = source or filled(client)
                wait_until(partial(answers, client), "the databases")
                states += [check(client, name, ident) for name, ident in begun]
                # The one that is made beforehand is there again, and nothing else is left.
                wait_until(partial(is_tidy, source), "an end of what was begun")
                with psycopg.connect(source) if busy else nullcontext():
                    begun = [(copy, begin(client, "databases/full/clone", copy))]
                    begun += [(new, begin(client, "databases", new))]
                    time.sleep(chance.uniform(0, 0.6))
                    server.process.kill()
                    server.process.wait()
    assert set(states) == {"succeeded", "failed"}


def test_a_name_is_given_back_where_postgresql_was_away_when_its_making_failed() -> None:
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder)) as server,
        server.client() as client,
    ):
        source = filled(client)
        [data] = folder.glob("*/data")
        with psycopg.connect(source):
            ident = begin(client, "databases/full/clone", "copy")
            [pid] = clusters.postmasters(folder)
            # Nothing starts it before this is back.
            (data / "PG_VERSION").rename(data / "away")
            os.kill(pid, signal.SIGKILL)
        time.sleep(15)
        (data / "away").rename(data / "PG_VERSION")
        wait_until(partial(answers, client), "the databases", 90)

        assert check(client, "copy", ident) == "failed"


def is_tidy(url: str) -> bool:
    # Not from within what is cloned next.
    with psycopg.connect(f"{url.rpartition('/')[0]}/postgres") as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
    return {name for (name,) in rows} == {*SYSTEM, SPARE, "full"}


def filled(client: httpx.Client) -> str:
    url: str = client.post("databases", json={"name": "full"}).json()["connection_url"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i, repeat('x', 300) AS text FROM generate_series(1, %s) i",
            [ROWS],
        )
    return url


def check(client: httpx.Client, name: str, ident: str) -> str:
    """Return what became of a database, which is there whole or not at all."""
    wait_until(partial(ended, client, ident), f"the end of {ident}", 60)
    operation: dict[str, Any] = client.get(f"operations/{ident}").json()
    way = client.get(f"databases/{name}/connection")
    assert (way.status_code == 200) is (operation["state"] == "succeeded"), operation
    if way.status_code == 200:
        with psycopg.connect(way.json()["url"]) as connection:
            if name.startswith("copy"):
                assert connection.execute("SELECT count(*) FROM t").fetchone() == (ROWS,)
        assert client.delete(f"databases/{name}?force=true").status_code == 200
    else:
        # The name is free again.
        made = client.post("databases", json={"name": name})
        assert made.status_code == 201, made.text
        assert client.delete(f"databases/{name}").status_code == 200
    return str(operation["state"])
