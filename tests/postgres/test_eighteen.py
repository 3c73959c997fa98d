"""What PostgreSQL 18 alone can: clones that share blocks with what they were made of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ..engines import clusters, disks, eighteen, jupyter
from .conftest import settings
from .test_databases import run

pytestmark = pytest.mark.postgres

ROWS = 200_000
"""About 150 MB: more than what is written page by page."""


def used(disk: Path) -> int:
    """Return the bytes that are taken, all that was written being there."""
    os.sync()
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


@contextmanager
def desk_on(disk: Path) -> Iterator[httpx.Client]:
    """A server whose cluster is PostgreSQL 18, with its files on a disk."""
    with eighteen.programs() as programs:
        config = settings(disk, programs=str(programs.folder))
        try:
            with jupyter.jupyter_server(config=config) as server, server.client() as client:
                yield client
                print(server.log[-6000:])
        finally:
            for pid in clusters.postmasters(disk):
                clusters.end(pid)


def made(client: httpx.Client, path: str, name: str) -> str:
    reply = client.post(path, json={"name": name}, timeout=120)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["connection_url"])


@pytest.mark.parametrize(("kind", "shares"), [("xfs", True), ("ext4", False)])
def test_a_clone_shares_blocks_where_the_disk_can(kind: str, shares: bool) -> None:
    with disks.small_disk(1500, kind) as disk, desk_on(disk) as client:
        url = made(client, "databases", "source")
        assert run(url, "SHOW server_version_num")[0][0].startswith("18")  # type: ignore[attr-defined]
        run(
            url,
            "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) AS text"
            f" FROM generate_series(1, {ROWS}) i",
        )
        size = client.get("databases?fresh=true").json()
        [source] = [each["size_bytes"] for each in size["databases"] if each["name"] == "source"]
        before = used(disk)

        clone = made(client, "databases/source/clone", "clone")

        taken = used(disk) - before
        assert (taken < source / 4) is shares, f"{taken} of {source} bytes"
        # What is written in one is not in the other.
        run(clone, "DELETE FROM t WHERE i > 10", "UPDATE t SET text = 'clone'")
        assert run(clone, "SELECT count(*), min(text) FROM t") == [(10, "clone")]
        [(count, least)] = run(url, "SELECT count(*), min(text) FROM t")
        assert (count, least != "clone") == (ROWS, True)
