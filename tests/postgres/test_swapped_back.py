"""A restored cluster that fails in the place of the cluster is taken out again, or that is said."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres import postmaster
from jupyter_ext.postgres.cluster import Cluster
from jupyter_ext.postgres.connections import connected
from jupyter_ext.postgres.place import Place
from jupyter_ext.postgres.settings import PostgresSettings

from ..engines import clusters

pytestmark = pytest.mark.postgres


async def _any(_: object) -> None:
    """Take whatever there is."""


async def tables(place: Place) -> list[str]:
    async with connected(place) as connection:
        rows = await connection.execute("SELECT relname FROM pg_class WHERE relname = 'newer'")
        return [name for (name,) in await rows.fetchall()]


async def replaced(
    folder: Path, home: Path, fail: Callable[[Place], Awaitable[None]]
) -> tuple[Cluster, Path, Unavailable]:
    """Put an older copy into the place of a cluster, which fails once; return the error."""
    cluster = Cluster(PostgresSettings(), home, str(folder), _any)
    await cluster.start()
    await cluster.stop()
    older, kept = cluster.folder / "older", cluster.folder / "before"
    subprocess.run(["cp", "-a", cluster.folder / "data", older], check=True)
    await cluster.start()
    place = await cluster.need()
    async with connected(place) as connection:
        await connection.execute("CREATE TABLE public.newer ()")
    failed = False

    async def once(there: Place) -> None:
        nonlocal failed
        if not failed:
            failed = True
            await fail(there)
            raise Unavailable("It fails here.")

    cluster.on_start(once)
    with pytest.raises(Unavailable) as error:
        await cluster.replace(older, kept, _any)
    return cluster, kept, error.value


def test_it_is_taken_out_also_where_a_session_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "STOP_SECONDS", 15)
    sessions = []

    async def stick(place: Place) -> None:
        # A session that a polite shutdown would wait for.
        session = psycopg.connect(**place.conninfo())  # type: ignore[arg-type]
        sessions.append(session)
        os.kill(session.info.backend_pid, signal.SIGSTOP)

    async def run() -> None:
        with clusters.cluster_folder() as folder:
            cluster, kept, error = await replaced(folder, tmp_path, stick)
            assert error.message == "It fails here."
            assert not kept.exists()
            assert await tables(await cluster.need()) == ["newer"]

    asyncio.run(run())
    for session in sessions:
        session.close()


def test_where_it_can_not_be_stopped_it_is_said_what_is_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "STOP_SECONDS", 1)
    stuck: list[int] = []

    async def stick(place: Place) -> None:
        found = postmaster.find(place.data)
        assert found is not None
        stuck.append(found.pid)
        os.kill(found.pid, signal.SIGSTOP)

    async def run() -> None:
        with clusters.cluster_folder() as folder:
            try:
                cluster, kept, error = await replaced(folder, tmp_path, stick)
            finally:
                for pid in stuck:
                    os.kill(pid, signal.SIGCONT)
            assert "It fails here" in error.message and "as it is" in error.message
            assert str(kept) in error.cure
            assert (kept / "PG_VERSION").exists()
            monkeypatch.undo()
            # What runs on is what was said.
            await cluster.stop()
            await cluster.start()
            assert await tables(await cluster.need()) == []

    asyncio.run(run())
