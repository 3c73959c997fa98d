"""What a user who goes leaves behind of containers and images: given away, or deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..errors import Conflict, NotFound, PlatformError
from .image_index import title
from .known import Known
from .marks import HOME
from .references import engine_name

if TYPE_CHECKING:
    from .engines import Engines
    from .image_types import EngineImage
    from .images import ImageManager
    from .keeper import Keeper
    from .registry import Registry

_log = logging.getLogger(__name__)


class ContainerBelongings:
    """Containers and images of one owner, all at once."""

    def __init__(
        self,
        registry: Registry,
        keeper: Keeper,
        images: ImageManager,
        engines: Engines,
    ) -> None:
        self._registry = registry
        self._keeper = keeper
        self._images = images
        self._engines = engines

    async def owned(self, account: Account) -> Sequence[str]:
        """Return the names of the containers and private images of an account."""
        containers = [f"container {known.name}" for known in self._of(account)]
        images = [f"image {title(image)}" for image in self._images_of(account)]
        return [*containers, *images]

    async def check_departure(self, account: Account, to: Account | None) -> None:
        """See that they can be given to somebody.

        Raises
        ------
        Conflict
            The new owner has containers of the same names, or one is being made.
        """
        given = self._of(account)
        for known in given:
            _made(known)
        if to is None:
            return
        theirs = {known.name for known in self._of(to)}
        same = sorted(known.name for known in given if known.name in theirs)
        if same:
            raise Conflict(
                "container",
                same[0],
                f"{to.username} has containers of these names already: {', '.join(same)}. "
                "Rename one of each first.",
            )

    async def transfer(self, account: Account, to: Account) -> None:
        """Make them somebody else's; a container that runs goes on, and shares of images stay.

        Its labels still name who made it, since the engine can't change them: after a lost store it
        would go to the owner of the server.

        Raises
        ------
        Conflict
            The new owner has containers of the same names.
        Unavailable
            The engine does not answer.
        """
        await self.check_departure(account, to)
        given = self._of(account)
        renamed: list[Known] = []
        try:
            for known in given:
                await self._rename(known, account, to)
                renamed.append(known)
            await self._registry.give([known.cid for known in given], to.id)
        except PlatformError:
            for known in renamed:
                with suppress(PlatformError):
                    await self._rename(known, to, account)
            raise
        images = self._images_of(account)
        await self._images.registry.give(account.id, to.id)
        for known in given:
            self._keeper.tell(known.engine_id or "")
        for image in images:
            self._images.tell(image.id)

    async def purge(self, account: Account) -> None:
        """Delete them; running containers are killed.

        Raises
        ------
        Conflict
            Somebody else's container is based on an image.
        Unavailable
            The engine does not answer.
        """
        for known in self._of(account):
            engine_id = _made(known)
            try:
                await self._engines.driver(engine_id).remove(engine_id, force=True, volumes=True)
            except NotFound:
                _log.debug("%s was gone already", known.name)
            await self._keeper.forget(engine_id)
        for image in self._images_of(account):
            try:
                await self._images.remove(image)
            except NotFound:
                _log.debug("%s was gone already", image.id)
        await self._images.registry.give(account.id, None)

    def _of(self, account: Account) -> list[Known]:
        return [known for known in self._registry.by_cid.values() if known.owner == account.id]

    def _images_of(self, account: Account) -> list[EngineImage]:
        images = self._images.index.images
        return [
            images[known.engine_id]
            for known in self._images.registry.by_engine.values()
            if known.owner == account.id and known.engine_id in images
        ]

    async def _rename(self, known: Known, account: Account, to: Account) -> None:
        engine = self._engines.containers.get(known.engine_id or "")
        # A container that was not made here keeps the name that it came with.
        if engine is None or HOME not in engine.labels:
            return
        old, new = engine_name(account.username, known.name), engine_name(to.username, known.name)
        if engine.name in (old, new):
            await self._engines.driver(engine.id).rename(engine.id, new)


def _made(known: Known) -> str:
    """Return the engine's id of a container.

    Raises
    ------
    Conflict
        It has none yet.
    """
    if known.engine_id is None:
        raise Conflict("container", known.name, f"{known.name} is being made at this moment.")
    return known.engine_id
