"""What a restore replaced is kept beside it for a while, and no longer."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from ..engines import clusters
from ..engines.scratch import wait_until
from ..services.test_over_http import numbers
from .conftest import Desk
from .test_backups import desk_in, taken
from .test_databases import listed, quota_used, run, url_of
from .test_restores import restored, table, write

pytestmark = pytest.mark.postgres


def earlier(client: httpx.Client, name: str) -> int:
    """Return what a dry run says that earlier restores have kept."""
    backup = client.get("backups").json()["backups"][0]
    told = restored(client, backup, databases=[name], dry_run=True)
    found: int = told["bytes"]["kept_earlier"]
    return found


def replaced(client: httpx.Client, name: str = "mine") -> str:
    """Restore a database; return what the one before is called."""
    url = table(client, name)
    write(url, 1)
    backup = taken(client)
    write(url, 2)
    made = restored(client, backup, databases=[name])
    kept: str = made["kept"][name]
    return kept


def shown(client: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"databases/{name}").json()
    return found


def test_it_tells_until_when_and_stays_until_then(desk: Desk) -> None:
    with desk.user("keeper") as user:
        kept = replaced(user)

        until = datetime.fromisoformat(shown(user, kept)["kept_until"])
        assert 6.9 < (until - datetime.now(until.tzinfo)).total_seconds() / 86400 < 7
        assert shown(user, "mine")["kept_until"] is None
        told = numbers(desk.admin)
        assert told["jupyter_ext_databases_kept"] == 1
        assert told["jupyter_ext_restores_beside"] == 0
        user.post(f"databases/{kept}/clone", json={"name": "saved"}).raise_for_status()
        assert shown(user, "saved")["kept_until"] is None


def test_a_dry_run_tells_what_earlier_restores_have_kept(desk: Desk) -> None:
    with desk.user("saver") as user, desk.user("other") as other:
        desk.made(other, "theirs")
        taken(other)
        # Called alike, and kept by nobody.
        desk.made(user, "hers.before-20260102-030405")
        kept = replaced(user, "hers")
        run(url_of(user, kept), "CREATE TABLE more AS SELECT generate_series(1, 10000)")

        sizes = {
            each["name"]: each["size_bytes"]
            for each in desk.admin.get("databases?fresh=true").json()["databases"]
            if each["kept_until"]
        }

        assert (earlier(user, "hers"), earlier(other, "theirs")) == (sizes[kept], 0)
        assert earlier(desk.admin, "theirs") == sum(sizes.values())
        [data] = desk.folder.glob("*/data")
        cluster = data.with_name("before-20990101-000000")
        cluster.mkdir()
        (cluster / "file").write_bytes(b"x" * 1000)
        assert earlier(desk.admin, "theirs") == sum(sizes.values()) + 1000
        assert earlier(user, "hers") == sizes[kept]


@pytest.mark.slow
def test_it_goes_once_nobody_is_in_it_and_nothing_else_does() -> None:
    with (
        clusters.cluster_folder() as folder,
        desk_in(
            folder,
            PostgresSettings={"size_interval": 5},
            BackupSettings={"keep_replaced_days": 0},
        ) as desk,
        desk.user("looking") as user,
    ):
        desk.made(user, "mine.before-20260102-030405")
        kept = replaced(user)
        stays = f"{kept}, which a restore had replaced, stays: it is in use\n"
        with psycopg.connect(url_of(user, "mine")) as locking:
            locking.execute(f"COMMENT ON DATABASE \"{kept}\" IS 'mine'")
            # Nobody waits for the lock meanwhile.
            wait_until(lambda: stays in desk.server.log, "somebody to look for it")
        with closing(psycopg.connect(url_of(user, kept))) as inside:
            times = desk.server.log.count(stays) + 1
            wait_until(lambda: desk.server.log.count(stays) > times, "another two looks", 30)
            rows = inside.execute("SELECT n FROM log ORDER BY n").fetchall()
            assert rows == [(1,), (2,)]

        wait_until(lambda: kept not in listed(user), "its end", 30)

        assert set(listed(user)) == {"mine", "mine.before-20260102-030405"}
        assert quota_used(user) == 2
