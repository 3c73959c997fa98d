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
from .test_databases import listed, quota_used, url_of
from .test_restores import restored, table, write

pytestmark = pytest.mark.postgres


def replaced(client: httpx.Client) -> str:
    """Restore a database; return what the one before is called."""
    url = table(client, "mine")
    write(url, 1)
    backup = taken(client)
    write(url, 2)
    made = restored(client, backup, databases=["mine"])
    kept: str = made["kept"]["mine"]
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
        with closing(psycopg.connect(url_of(user, kept))) as inside:
            stays = f"{kept}, which a restore had replaced, stays"
            wait_until(lambda: stays in desk.server.log, "somebody to look for it")
            rows = inside.execute("SELECT n FROM log ORDER BY n").fetchall()
            assert rows == [(1,), (2,)]

        wait_until(lambda: kept not in listed(user), "its end", 30)

        assert set(listed(user)) == {"mine", "mine.before-20260102-030405"}
        assert quota_used(user) == 2
