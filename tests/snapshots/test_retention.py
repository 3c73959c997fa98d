"""What restores have kept goes by its age and number; the newest of each account stays."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from jupyter_ext.accounts.records import UserRecord
from jupyter_ext.snapshots.book import BEFORE, KEPT, SnapshotBook
from jupyter_ext.snapshots.records import SnapshotRecord
from jupyter_ext.snapshots.restores import before_name
from jupyter_ext.store import Store
from jupyter_ext.store.types import utcnow

NOW = utcnow()


async def kept(book: SnapshotBook, store: Store, owner: str, days: int, state: str) -> str:
    """Write down a snapshot of an age; return its mark."""
    mark = f"{owner}-{days}-{state}"
    async with store.write() as session:
        await book.claim(session, owner, mark, mark, "")
    await book.finish(mark, [], state)
    async with store.write() as session:
        age = update(SnapshotRecord).where(SnapshotRecord.mark == mark)
        await session.execute(age.values(created_at=NOW - timedelta(days=days)))
    return mark


async def test_the_oldest_are_overdue_and_never_the_newest(store: Store) -> None:
    book = SnapshotBook(store)
    async with store.write() as session:
        for name in ("ann", "ben"):
            session.add(
                UserRecord(id=name, username=name, role="user", permissions=[], created_at=NOW)
            )
    for days in (1, 2, 3, 40, 50):
        await kept(book, store, "ann", days, BEFORE)
    # Hers, however old.
    await kept(book, store, "ann", 60, KEPT)
    for days in (70, 80):
        await kept(book, store, "ben", days, BEFORE)

    async def overdue(days: int, most: int) -> list[str]:
        return [each.mark for each in await book.overdue(NOW - timedelta(days=days), most)]

    assert await overdue(30, 10) == ["ben-80-before", "ann-50-before", "ann-40-before"]
    assert await overdue(365, 2) == ["ann-50-before", "ann-40-before", "ann-3-before"]
    assert await overdue(1, 1) == [
        "ben-80-before",
        *(f"ann-{days}-before" for days in (50, 40, 3, 2)),
    ]


def test_what_was_before_what_was_before_is_named_once() -> None:
    name = before_name("week 1")
    again = before_name(name)
    assert again.startswith("before week 1 2")
    assert len(again) == len(name)
    assert before_name("before lunch").startswith("before before lunch ")
    assert len(before_name("é" * 60).encode()) <= 63
