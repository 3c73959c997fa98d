"""What backups of users who are no administrators leave to others: their backups, and room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jupyter_ext.postgres.backup_info import EXTRA, BackupInfo, BackupKind, RepositoryInfo

from ..engines import clusters
from .conftest import Desk, settings
from .test_backups import desk_in, listed, taken

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A server that keeps one full backup, and lets users take two a day."""
    with clusters.cluster_folder() as folder:
        kept = settings(folder)["BackupSettings"] | {"keep_full": 1}
        with desk_in(folder, BackupSettings=kept) as made:
            yield made


def ids(desk: Desk) -> list[str]:
    return [each["id"] for each in listed(desk.admin)]


def snapshot(client: httpx.Client, name: str) -> httpx.Response:
    """Take a snapshot of databases alone."""
    body = {"name": name, "parts": ["databases"]}
    return client.post("snapshots", json=body, timeout=120)


def test_users_push_out_nothing_and_no_id_comes_again(desk: Desk) -> None:
    with desk.user("flush") as flush:
        desk.made(flush, "flushed")
        first = taken(desk.admin)["id"]

        own = [taken(flush)["id"], taken(flush)["id"]]
        assert ids(desk) == [own[1], own[0], first], "who may delete none has none deleted"

        newer = taken(desk.admin)["id"]
        assert ids(desk) == [newer], "an administrator's counts"
        refused = flush.post("backups", json={})
        assert refused.status_code == 429, "hers are gone, and were taken today all the same"
        assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
        again = taken(desk.admin)["id"]
        assert ids(desk) == [again]
        assert again.startswith(f"{first}-"), "a script that knows the first deletes no other"
        assert len({first, *own, newer, again}) == 5


@pytest.mark.slow
def test_snapshots_take_no_more_backups_than_their_owner_may(desk: Desk) -> None:
    taken(desk.admin)
    before = ids(desk)
    with desk.user("snapper") as snapper:
        for name in ("one", "two"):
            desk.made(snapper, f"snapped_{name}")
            assert snapshot(snapper, name).status_code == 201
            assert snapshot(snapper, f"{name}_more").status_code == 201, "the backup has it"
        assert len(ids(desk)) == len(before) + 2, "one for each new database"
        desk.made(snapper, "snapped_three")

        refused = snapshot(snapper, "three")

        assert refused.status_code == 429, refused.text
        assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
        assert "without databases" in refused.json()["error"]["message"]
        assert len(ids(desk)) == len(before) + 2
        assert snapper.get("snapshots/three").status_code == 404
        taken(desk.admin, type="incremental")
        assert snapshot(snapper, "three").status_code == 201, "another's backup has it by now"


@pytest.mark.parametrize(
    ("fulls", "wanted", "kept"),
    [
        ("aaa", 2, 2),
        ("auau", 2, 4),
        ("auauu", 1, 3),
        ("uaua", 2, 3),
        ("auuu", 2, None),
        ("uuu", 1, None),
        ("", 1, None),
    ],
)
def test_users_full_backups_take_no_place(fulls: str, wanted: int, kept: int | None) -> None:
    """Oldest first, of administrators and users."""
    first = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    there = [
        full(first + timedelta(days=number), extra=who == "u") for number, who in enumerate(fulls)
    ]

    assert RepositoryInfo(tuple(there)).fulls_to_keep(wanted) == kept


def full(begun: datetime, *, extra: bool = False) -> BackupInfo:
    """Return a full backup of some moment."""
    return BackupInfo(
        label=f"{begun:%Y%m%d-%H%M%S}F",
        kind=BackupKind.FULL,
        start=begun,
        stop=begun,
        timeline=1,
        start_lsn="0/2000028",
        stop_lsn="0/3000028",
        first_segment="000000010000000000000002",
        last_segment="000000010000000000000003",
        database_size=1,
        delta_size=1,
        stored_size=1,
        annotations={"mark": "m", **(EXTRA if extra else {})},
    )
