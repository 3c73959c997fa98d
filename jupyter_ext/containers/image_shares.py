"""Private images that their owners share with some users, as the store has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.records import UserRecord
from ..errors import NotFound
from ..store import utcnow
from .records import ImageRecord, ImageShare


async def readers_of(session: AsyncSession) -> Mapping[int, frozenset[str]]:
    """Return the accounts that each image is shared with, by its number."""
    found: dict[int, set[str]] = defaultdict(set)
    for iid, user in await session.execute(select(ImageShare.iid, ImageShare.user_id)):
        found[iid].add(user)
    return {iid: frozenset(users) for iid, users in found.items()}


async def shares_of(session: AsyncSession, iid: int) -> Sequence[tuple[str, datetime]]:
    """Return the names of those whom an image is shared with, and since when, by name."""
    rows = await session.execute(
        select(UserRecord.username, ImageShare.created_at)
        .join(ImageShare, ImageShare.user_id == UserRecord.id)
        .where(ImageShare.iid == iid)
        .order_by(UserRecord.username)
    )
    return [(name, since) for name, since in rows]


async def user_of(session: AsyncSession, username: str) -> str | None:
    """Return the account of a user name, None where there is none."""
    row = select(UserRecord.id).where(UserRecord.username == username)
    # Who is being deleted at this moment is either gone or stays until the end.
    found: str | None = await session.scalar(row.with_for_update(key_share=True))
    return found


async def add_share(session: AsyncSession, iid: int, user: str, most: int) -> bool:
    """Share an image with a user; of several servers one at a time, so that the limit holds.

    Returns
    -------
    bool
        False where it is shared with `most` users already.

    Raises
    ------
    NotFound
        The image is gone by now.
    """
    row = select(ImageRecord.iid).where(ImageRecord.iid == iid).with_for_update()
    if await session.scalar(row) is None:
        raise NotFound("image", iid)
    if await session.get(ImageShare, (iid, user)) is not None:
        return True
    count = await session.scalar(
        select(func.count()).select_from(ImageShare).where(ImageShare.iid == iid)
    )
    if (count or 0) >= most:
        return False
    session.add(ImageShare(iid=iid, user_id=user, created_at=utcnow()))
    await session.flush()
    return True


async def remove_share(session: AsyncSession, iid: int, user: str) -> bool:
    """Take a share back; False where there was none."""
    found = await session.execute(
        delete(ImageShare)
        .where(ImageShare.iid == iid, ImageShare.user_id == user)
        .returning(ImageShare.user_id)
    )
    return found.first() is not None


async def no_share_of_ones_own(session: AsyncSession, owner: str) -> None:
    """Forget shares with whoever owns the image by now."""
    own = select(ImageRecord.iid).where(ImageRecord.owner == owner)
    await session.execute(
        delete(ImageShare).where(ImageShare.user_id == owner, ImageShare.iid.in_(own))
    )
