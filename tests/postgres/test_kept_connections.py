"""Connections that are kept: each that is lent works, whatever became of the one before."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from jupyter_ext.errors import Away
from jupyter_ext.postgres.connections import Connections

from ..engines.desk_cluster import DeskCluster

pytestmark = pytest.mark.postgres

BACKEND = "SELECT pg_backend_pid()"


async def backend(connections: Connections) -> int:
    async with connections.use() as connection:
        row = await (await connection.execute(BACKEND)).fetchone()
        assert row is not None
        return int(row[0])


def with_connections(cluster: DeskCluster, work: Callable[[Connections], Awaitable[None]]) -> None:
    async def run() -> None:
        connections = Connections()
        await connections.open(cluster.place.conninfo(), cluster.place.programs.version)
        try:
            await work(connections)
        finally:
            await connections.close()

    cluster.start()
    asyncio.run(run())


def test_one_that_postgresql_ended_is_not_lent_again(cluster: DeskCluster) -> None:
    async def work(connections: Connections) -> None:
        first = await backend(connections)
        assert await backend(connections) == first, "it is kept"
        assert cluster.sql(f"SELECT pg_terminate_backend({first}, 5000)") == [True]
        assert await backend(connections) != first

    with_connections(cluster, work)


def test_one_whose_server_was_killed_and_came_back_is_not_lent_again(cluster: DeskCluster) -> None:
    async def work(connections: Connections) -> None:
        first = await backend(connections)
        # PostgreSQL ends all others, too, and goes on with new ones.
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                try:
                    second = await backend(connections)
                    break
                except Away:
                    await asyncio.sleep(0.05)
        assert second != first

    with_connections(cluster, work)


def test_one_that_has_something_to_say_is_asked(cluster: DeskCluster) -> None:
    async def work(connections: Connections) -> None:
        first = await backend(connections)
        # Each session is told of such a change before it is asked anything.
        cluster.sql("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
        cluster.sql("SELECT pg_reload_conf()")
        async with asyncio.timeout(30):
            zone: str | None = None
            while zone != "Asia/Tokyo":
                # The signal reaches a session when the system has time for it.
                await asyncio.sleep(0.05)
                assert await backend(connections) == first
                async with connections.use() as connection:
                    zone = connection.info.parameter_status("TimeZone")

    with_connections(cluster, work)
