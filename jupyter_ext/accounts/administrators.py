"""There is always an administrator."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..errors import Conflict
from .records import UserRecord


async def keep_an_administrator(session: AsyncSession, leaving: UserRecord) -> None:
    """Refuse to lose the last one.

    Raises
    ------
    Conflict
        `leaving` is it.
    """
    # The rows are locked: two administrators that delete each other must not both succeed.
    admins = await session.scalars(
        select(UserRecord.id)
        .where(UserRecord.role == "admin", UserRecord.enabled)
        .with_for_update()
    )
    if not set(admins) - {leaving.id}:
        raise Conflict(
            "user",
            leaving.username,
            f"{leaving.username} is the last administrator. Make another one first.",
        )
