"""What the store remembers of backups, also of those that are gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.postgres.backup_book import BackupBook
from jupyter_ext.store import Store

from .test_backup_limits import full

DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_ids_are_given_once(store: Store) -> None:
    book = BackupBook(store)

    async def id_of(moment: datetime) -> str:
        made = full(moment)
        given = (await book.add(made, None, [], {})).id
        assert (await book.adopt(made, {})).id == given, "it is noted already"
        return given

    assert await id_of(DAY) == "backup-20260102"
    await book.forget([full(DAY).label])
    assert await id_of(DAY + timedelta(seconds=1)) == "backup-20260102-030406"
    assert await id_of(DAY + timedelta(days=1)) == "backup-20260103"
    assert await id_of(DAY) == "backup-20260102-030405", "the clock was set back"
    twin = await book.adopt(replace(full(DAY), label="20260102-030405F_20260102-030405I"), {})
    assert twin.id == "backup-20260102-030405-2", "of the same second"
    assert await id_of(DAY + timedelta(days=2)) == "backup-20260104"


async def test_who_took_one_is_known_for_a_day_whatever_became_of_it(store: Store) -> None:
    book = BackupBook(store)
    async with store.write() as session:
        for name in ("ann", "ben"):
            session.add(
                UserRecord(id=name, username=name, role="user", permissions=[], created_at=DAY)
            )
    made = full(DAY)
    # Somebody listed it before it was noted.
    await book.adopt(made, {})
    assert await book.taken_by("ann") == []
    for _ in range(2):
        await book.add(made, "ann", [], {})
    await book.forget([made.label])
    assert await book.taken_by("ann") == [DAY]
    await book.add(full(DAY + timedelta(hours=23)), "ben", [], {})
    assert (await book.taken_by("ann"), len(await book.taken_by("ben"))) == ([DAY], 1)
    await book.add(full(DAY + timedelta(days=3)), "ben", [], {})
    assert (await book.taken_by("ann"), len(await book.taken_by("ben"))) == ([], 1)
