"""Rules of sharing a private image with some users: its owner names them."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from contextlib import suppress
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..api.route import Page
from ..errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited
from .image_index import missing, title
from .image_keeper import ImageKeeper
from .image_registry import SIGNAL, KnownImage
from .image_shares import add_share, remove_share, shares_of, user_of
from .image_types import EngineImage
from .replies import ShareItem
from .views import Image, moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from ..store import Store

MOST = 100
"""Users whom an image may be shared with."""

WRONG_NAMES = 20
"""Unknown names that somebody may write within `FORGIVEN`, so that nobody collects user names."""

FORGIVEN = 3600.0
"""Seconds."""


class ImageSharing:
    """Who else sees and runs somebody's image; it stays the owner's to delete and to share."""

    def __init__(self, store: Store, keeper: ImageKeeper) -> None:
        self._store = store
        self._keeper = keeper
        self._wrong = _WrongNames()

    async def list(self, caller: Account, ref: str) -> Page[ShareItem]:
        """Whom an image is shared with, by name; who is one of them sees only themself.

        Raises
        ------
        NotFound
            No image of this name or number is the caller's to see.
        """
        image, known = await self._find(caller, ref)
        async with self._store.read() as session:
            found = await shares_of(session, known.iid)
        owns = self._keeper.index.owns(caller, image)
        items = [
            ShareItem(username=name, shared_at=moment(since))
            for name, since in found
            if owns or name == caller.username
        ]
        return Page(items, len(items), MOST, 0, "shares")

    async def add(self, caller: Account, ref: str, username: str) -> Image:
        """Let a user see an image and run it; one who may already goes on so.

        Raises
        ------
        NotFound
            No image of this name or number is the caller's to see.
        Forbidden
            It is somebody else's.
        InvalidRequest
            There is no such user, or it is the owner.
        Conflict
            It is everybody's, or shared with as many as may be.
        RateLimited
            The caller has written too many names that nobody has.
        """
        image, known = await self._own(caller, ref)
        if known.public:
            raise Conflict(
                "image", title(image), f"{title(image)} is everybody's: all users may run it."
            )
        self._wrong.check(caller)
        # Before the look, so that those who ask at once are counted, too.
        guess = self._wrong.count(caller)
        async with self._store.write() as session:
            user = await user_of(session, username)
            if user is not None and user != known.owner:
                if not await add_share(session, known.iid, user, MOST):
                    raise Conflict(
                        "image",
                        title(image),
                        f"{title(image)} is shared with {MOST} users, and that is the most. Take "
                        "it back from one of them first.",
                        fields={"username": "is one too many"},
                    )
                await self._raise(session)
        if user is None:
            raise InvalidRequest(fields={"username": f"no user goes by {username!r}"})
        if user == known.owner:
            self._wrong.take_back(caller, guess)
            raise InvalidRequest(fields={"username": f"{username} is whose image it is"})
        self._wrong.take_back(caller, guess)
        await self._keeper.follow_shares()
        return self._keeper.index.view(image)

    async def remove(self, caller: Account, ref: str, username: str) -> Image:
        """Take an image back from a user; what they started from it goes on.

        Raises
        ------
        NotFound
            No image of this name or number is the caller's to see, or it is not shared with them.
        Forbidden
            It is somebody else's.
        """
        image, known = await self._own(caller, ref)
        async with self._store.write() as session:
            user = await user_of(session, username)
            gone = user is not None and await remove_share(session, known.iid, user)
            if gone:
                await self._raise(session)
        if not gone:
            raise NotFound(
                "share", username, f"{title(image)} is not shared with a user {username!r}."
            )
        await self._keeper.follow_shares()
        return self._keeper.index.view(image)

    # -- inside ----------------------------------------------------------------------------------

    async def _find(self, caller: Account, ref: str) -> tuple[EngineImage, KnownImage]:
        await self._keeper.need_filled()
        image = self._keeper.index.by_ref(caller, ref)
        known = self._keeper.registry.by_engine.get(image.id)
        if known is None:
            raise missing(ref)
        return image, known

    async def _own(self, caller: Account, ref: str) -> tuple[EngineImage, KnownImage]:
        image, known = await self._find(caller, ref)
        if not self._keeper.index.owns(caller, image):
            owner = self._keeper.index.view(image).owner
            whose = f"belongs to {owner}, who" if owner else "is everybody's: an administrator"
            raise Forbidden(f"{title(image)} {whose} says who else may use it.")
        return image, known

    async def _raise(self, session: AsyncSession) -> None:
        if not self._store.is_sqlite:
            await self._store.signals.raise_(session, SIGNAL)


class _WrongNames:
    """Counts names that nobody has, by who wrote them."""

    def __init__(self) -> None:
        self._moments: dict[str, deque[float]] = defaultdict(deque)

    def check(self, caller: Account) -> None:
        """Refuse before a name is looked up.

        Raises
        ------
        RateLimited
            The caller guesses.
        """
        moments, now = self._moments.get(caller.id), time.monotonic()
        while moments and now - moments[0] > FORGIVEN:
            moments.popleft()
        if moments is not None and not moments:
            del self._moments[caller.id]
        # An administrator may list all users.
        if moments and len(moments) >= WRONG_NAMES and not caller.is_admin:
            wait = moments[0] + FORGIVEN - now
            raise RateLimited(
                wait,
                f"{WRONG_NAMES} names that you wrote are nobody's. Ask whom you mean for their "
                f"user name, and try again in {max(1, round(wait / 60))} minutes.",
            )

    def count(self, caller: Account) -> float:
        """Count one, and return what takes it back."""
        now = time.monotonic()
        self._moments[caller.id].append(now)
        return now

    def take_back(self, caller: Account, counted: float) -> None:
        """Count one no more: somebody has the name."""
        with suppress(ValueError):
            self._moments[caller.id].remove(counted)
