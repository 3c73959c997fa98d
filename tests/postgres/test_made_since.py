"""A database that was made after the backup from which it is restored: its rows are there."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from .conftest import Desk
from .test_backups import taken
from .test_databases import run, url_of
from .test_restores import nothing_is_left, now, restored, rows, table, write

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def cloned(client: httpx.Client, name: str, into: str) -> None:
    """Clone a database."""
    reply = client.post(f"databases/{name}/clone", json={"name": into})
    assert reply.status_code == 201, reply.text


def dropped(client: httpx.Client, name: str) -> None:
    """Drop a database."""
    assert client.delete(f"databases/{name}?force=true").status_code == 200


def back(desk: Desk, client: httpx.Client, name: str) -> dict[str, Any]:
    """Restore a database to now, from before which the last backup is another one's."""
    moment = now(desk.admin)
    write(url_of(client, name), 90)
    later = taken(desk.admin, type="incremental")
    made = restored(client, later, target_time=moment, databases=[name])
    nothing_is_left(desk)
    return made


@pytest.fixture(scope="module", autouse=True)
def backup(desk: Desk) -> dict[str, Any]:
    """A backup of three databases, before all that is made here."""
    for number, name in enumerate(("source", "taken", "made"), 1):
        write(table(desk.admin, name), number)
    # The spare database is made a moment after the last.
    time.sleep(3)
    made = taken(desk.admin)
    # Its end, from which on there are moments, is known to the second.
    time.sleep(1.1)
    return made


def test_a_clone(desk: Desk) -> None:
    cloned(desk.admin, "source", "fresh")
    write(url_of(desk.admin, "fresh"), 10)
    back(desk, desk.admin, "fresh")
    assert rows(url_of(desk.admin, "fresh")) == [1, 10]
    # And of what was restored, which are other files again.
    write(url_of(desk.admin, "fresh"), 11)
    back(desk, desk.admin, "fresh")
    assert rows(url_of(desk.admin, "fresh")) == [1, 10, 11]


def test_a_clone_that_took_a_name_of_the_backup(desk: Desk) -> None:
    dropped(desk.admin, "taken")
    cloned(desk.admin, "source", "taken")
    write(url_of(desk.admin, "taken"), 10)
    back(desk, desk.admin, "taken")
    assert rows(url_of(desk.admin, "taken")) == [1, 10]


def test_one_that_was_made_and_dropped_again(desk: Desk) -> None:
    dropped(desk.admin, "made")
    write(table(desk.admin, "made"), 10)
    moment = now(desk.admin)
    dropped(desk.admin, "made")
    later = taken(desk.admin, type="incremental")
    restored(desk.admin, later, target_time=moment, databases=["made"])
    assert rows(url_of(desk.admin, "made")) == [10]


def test_one_that_was_dropped_by_hand_is_restored_or_refused(desk: Desk) -> None:
    write(table(desk.admin, "byhand"), 1)
    taken(desk.admin, type="incremental")
    time.sleep(1.1)
    moment = now(desk.admin)
    # Nothing is committed in between, so that a recovery to then has removed its files.
    run(url_of(desk.admin, "postgres"), "DROP DATABASE byhand")
    later = taken(desk.admin, type="incremental")
    reply = desk.admin.post(
        f"backups/{later['id']}/restore",
        json={"target_time": moment.isoformat(), "databases": ["byhand"]},
        timeout=240,
    )
    if reply.status_code == 200:
        assert rows(url_of(desk.admin, "byhand")) == [1]
    else:
        assert reply.status_code == 400 and "being dropped" in reply.text, reply.text
    nothing_is_left(desk)


def test_a_users_own(desk: Desk) -> None:
    with desk.user("cleo") as cleo:
        write(table(cleo, "cleos"), 1)
        taken(desk.admin, type="incremental")
        cloned(cleo, "cleos", "copy")
        write(url_of(cleo, "copy"), 2)
        back(desk, cleo, "copy")
        assert rows(url_of(cleo, "copy")) == [1, 2]
