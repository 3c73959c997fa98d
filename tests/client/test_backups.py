"""Backups: what goes over the wire, and which one a moment begins with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jupyter_ext.client import Client, Thing
from jupyter_ext.client.moments import backup_for, moment
from jupyter_ext.errors import InvalidRequest, NotFound

from .speaker import Speaker

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def one(id: str, hour: int, timeline: int, *windows: tuple[int, int, int], of: str = "a") -> Thing:
    """Return a backup of an hour for databases, with what can be restored of each timeline."""
    at = [NOON.replace(hour=each).isoformat() for each in range(24)]
    shown = [{"timeline": line, "from": at[first], "to": at[last]} for line, first, last in windows]
    return Thing(
        {
            "id": id,
            "created_at": at[hour],
            "seconds": 59,
            "timeline": timeline,
            "recovery_window": shown,
            "databases": [*of],
        }
    )


EARLY = one("early", 8, 1, (1, 9, 14), (2, 12, 15), of="abc")
LATE = one("late", 13, 2, (2, 13, 15), of="ab")
# Nothing after it is archived yet.
NEWEST = one("newest", 16, 2)


@pytest.mark.parametrize(
    ("hour", "timeline", "found"),
    [
        (None, None, "newest"),
        (17, None, "newest"),
        (17, 2, "newest"),
        (17, 1, "early"),
        (14, None, "late"),
        (14, 1, "early"),
        (10, None, "early"),
        (8, None, "early"),
        (1, None, "newest"),
    ],
)
def test_a_moment_begins_with_the_backup_before_it(
    hour: int | None, timeline: int | None, found: str
) -> None:
    to = None if hour is None else NOON.replace(hour=hour)
    assert backup_for([NEWEST, LATE, EARLY], to, timeline).id == found


def test_what_is_known_to_the_second_is_good_from_the_next_one_on() -> None:
    taken = NOON.replace(hour=16)
    for seconds, found in ((59, "late"), (60, "newest")):
        to = taken + timedelta(seconds=seconds)
        assert backup_for([NEWEST, LATE, EARLY], to).id == found


@pytest.mark.parametrize(
    ("names", "found"),
    [("a", "newest"), ("b", "late"), ("bc", "early"), ("d", "newest"), ("bd", "late")],
)
def test_databases_begin_with_a_backup_that_was_taken_for_them(names: str, found: str) -> None:
    to = NOON.replace(hour=17)
    assert backup_for([NEWEST, LATE, EARLY], to, databases=[*names]).id == found


def test_without_a_backup_there_is_no_moment() -> None:
    with pytest.raises(NotFound, match="take one first"):
        backup_for([], NOON)


def test_moments_as_people_write_them() -> None:
    assert moment("2026-01-02T12:00:00Z") == moment("2026-01-02 13:00:00+01:00") == NOON
    here = moment("2026-01-02 12:00:00.5")
    assert here.replace(tzinfo=None) == datetime(2026, 1, 2, 12, 0, 0, 500_000)
    assert here.tzinfo is not None
    now = datetime.now(UTC)
    assert timedelta(0) <= moment("10m") - (now - timedelta(minutes=10)) < timedelta(minutes=1)
    for wrong in ("yesterday", "", "12", "2026-13-01"):
        with pytest.raises(InvalidRequest) as raised:
            moment(wrong)
        assert "10m" in raised.value.fields["target_time"]


def test_what_is_asked_is_sent(speaker: Speaker, client: Client) -> None:
    speaker.says("POST /api/v1/backups/a%2Fb/restore", {"dry_run": True, "side": None})
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    client.backups.restore(
        "a/b", to=east, timeline=2, databases=(), files=(), side=True, dry_run=True
    )
    asked = speaker.asked[0]
    assert asked.json == {
        "target_time": "2026-01-02T12:00:00Z",
        "timeline": 2,
        "databases": [],
        "files": [],
        "mode": "side",
        "dry_run": True,
    }
    assert "Prefer" not in asked.headers
    speaker.says("POST /api/v1/backups", {"id": "b"}, 201)
    client.backups.create(databases=("mine",), files=("a.txt",))
    assert speaker.asked[1].json == {"databases": ["mine"], "files": ["a.txt"]}
    assert speaker.asked[1].headers["Idempotency-Key"]


@pytest.mark.parametrize("status", [200, 403])
def test_the_address_of_what_is_left_beside(speaker: Speaker, client: Client, status: int) -> None:
    side: dict[str, Any] = {"id": "s", "host": "127.0.0.1", "port": 9, "connection_url": None}
    done = {"id": "op-1", "kind": "backup.restore", "subject": "b", "state": "succeeded"}
    speaker.says("POST /api/v1/backups/b/restore", done | {"result": {"side": side}}, 202)
    login = {"user": "dba", "password": "a/b@c"}
    refused = {"error": {"code": "FORBIDDEN", "message": "Your key may not connect."}}
    told = login if status == 200 else refused
    speaker.says("GET /api/v1/databases/postgres/connection", told, status)
    made = client.backups.restore("b", side=True, progress=lambda _: None)
    wanted = "postgresql://dba:a%2Fb%40c@127.0.0.1:9/postgres" if status == 200 else None
    assert made.side.connection_url == wanted
