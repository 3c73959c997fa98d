"""What users set for their databases and roles ends no connection of the product's own.

`transaction_timeout` is there from PostgreSQL 17 on, and an older server, which lets nobody in who
names it, must not be told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from jupyter_ext.errors import Conflict
from jupyter_ext.postgres.connections import Connections, connected, ping
from jupyter_ext.postgres.sessions import endless

from ..engines import eighteen
from ..engines.desk_cluster import DeskCluster, desk_cluster

pytestmark = pytest.mark.postgres

SETTINGS = {
    "statement_timeout": 0,
    "idle_session_timeout": 14,
    "transaction_timeout": 17,
}


@pytest.fixture
def newest() -> Iterator[DeskCluster]:
    """A cluster of PostgreSQL 18."""
    with eighteen.programs() as programs, desk_cluster(programs) as made:
        yield made


@pytest.mark.parametrize("which", ["cluster", "newest"])
def test_what_the_settings_of_databases_and_roles_say_ends_no_session(
    which: str, request: pytest.FixtureRequest
) -> None:
    cluster: DeskCluster = request.getfixturevalue(which)
    cluster.start()
    place, version = cluster.place, cluster.place.programs.version
    known = [name for name, since in SETTINGS.items() if since <= version]
    cluster.sql("CREATE DATABASE hasty")
    whose = ("DATABASE hasty", "DATABASE template1", "DATABASE postgres", "ROLE dba")
    # In one session: a further one would be ended.
    with psycopg.connect(**place.conninfo(), autocommit=True) as superuser:  # type: ignore[arg-type]
        for name in known:
            for each in whose:
                superuser.execute(f"ALTER {each} SET {name} = 1".encode())

    async def run() -> None:
        connections = Connections()
        assert (await ping(place.conninfo(), 10, version))[1] == version
        await connections.open(place.conninfo(), version)
        try:
            for opened in (
                connections.to("hasty"),
                connections.use(),
                connections.alone("a role"),
                connections.outside(),
                connected(place, "hasty"),
            ):
                async with opened as connection:
                    await asyncio.sleep(0.05)
                    async with connection.transaction():
                        await connection.execute("SELECT pg_sleep(0.05)")
                        await connection.execute("SELECT pg_sleep(0.05)")
                    for name in known:
                        rows = await connection.execute(f"SHOW {name}".encode())
                        assert await rows.fetchone() == ("0",)
        finally:
            await connections.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (13, ["statement_timeout"]),
        (16, ["statement_timeout", "idle_session_timeout"]),
        (17, ["statement_timeout", "idle_session_timeout", "transaction_timeout"]),
    ],
)
def test_a_server_is_told_only_of_what_it_knows(version: int, said: list[str]) -> None:
    assert endless(version) == " ".join(f"-c {name}=0" for name in said)


def test_what_the_operators_own_url_sets_decides(cluster: DeskCluster) -> None:
    cluster.start()

    async def run() -> None:
        connections = Connections()
        conninfo = cluster.place.conninfo() | {"options": "-c statement_timeout=7s"}
        await connections.open(conninfo, cluster.place.programs.version)
        try:
            async with connections.use() as connection:
                for name, text in (("statement_timeout", "7s"), ("search_path", "pg_catalog")):
                    rows = await connection.execute(f"SHOW {name}".encode())
                    assert await rows.fetchone() == (text,)
        finally:
            await connections.close()

    asyncio.run(run())


def test_who_changes_what_another_one_changes_is_told_to_try_again(cluster: DeskCluster) -> None:
    cluster.start()
    cluster.sql("CREATE ROLE wanted")
    change = "ALTER ROLE wanted CONNECTION LIMIT 7"

    async def run() -> None:
        async with connected(cluster.place) as first, connected(cluster.place) as looks:
            async with first.transaction():
                await first.execute(change)
                second = asyncio.create_task(changed())
                waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
                async with asyncio.timeout(30):
                    while not await (await looks.execute(waiting)).fetchone():
                        await asyncio.sleep(0.01)
            with pytest.raises(Conflict, match="just then"):
                await second

    async def changed() -> None:
        async with connected(cluster.place) as connection:
            await connection.execute(change)

    asyncio.run(run())
