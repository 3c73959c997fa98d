"""Rules of images: who sees them, who may delete them, how they come here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..accounts.schemas import Account
from ..addresses import AddressGuard
from ..api.route import Page
from ..errors import Conflict, Forbidden, NotFound
from ..operations.running import Progress, Running
from . import views
from .defaults import ContainerDefaults
from .image_index import missing, parsed, title
from .image_keeper import ImageKeeper
from .image_registry import KnownImage
from .image_types import EngineImage, PullProgress
from .pulls import Pulls
from .references import DEFAULT_REGISTRY, ImageReference, parse_reference
from .replies import Removed
from .schemas import ImageDeleteQuery, PageQuery, PullBody
from .views import Image

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from .engines import Engines

PULL = "image.pull"


class ImageManager:
    """Images of all engines, mirrored in memory, with their owners.

    Parameters
    ----------
    guard
        Asked about registries that users name. It can't pin what it resolved: the engine resolves
        the name by itself once more and follows where the registry sends it, to a server of tokens
        or of layers. So it keeps out a plain ``127.0.0.1:…`` and a name of it, and not somebody who
        runs a name service or a registry for the purpose; `ContainerDefaults.allow_image` does.
    """

    def __init__(
        self,
        keeper: ImageKeeper,
        operations: Operations,
        engines: Engines,
        defaults: ContainerDefaults,
        guard: AddressGuard,
    ) -> None:
        self._keeper = keeper
        self._operations = operations
        self._engines = engines
        self._defaults = defaults
        self._guard = guard
        self.registry = keeper.registry
        self.index = keeper.index
        self.tell = keeper.tell
        self._pulls = Pulls(self._pull_from, defaults.pulls_of)
        self.container_names: Callable[[Account, Iterable[str]], list[str]] = lambda *_: []
        """Names of those containers that a caller may know of."""
        operations.on_recovery(PULL, _recovered)

    async def list(self, caller: Account, query: PageQuery) -> Page[Image]:
        """Public images, the caller's own and those shared with them, newest first.

        Raises
        ------
        Unavailable
            The engine was never reached.
        """
        await self._keeper.need_filled()
        seen = self.index.seen(caller)
        part = seen[query.offset : query.offset + query.limit]
        return Page(
            [self.index.view_for(caller, image) for image in part],
            len(seen),
            query.limit,
            query.offset,
            "images",
            extra={"stale_since": views.moment(self._engines.local.mirror.stale_since)},
        )

    async def all(self, caller: Account) -> Sequence[Image]:
        """Public images, the caller's own and those shared with them, newest first.

        Raises
        ------
        Unavailable
            The engine was never reached.
        """
        await self._keeper.need_filled()
        return [self.index.view_for(caller, image) for image in self.index.seen(caller)]

    async def snapshot(self, caller: Account, data: Mapping[str, Any]) -> dict[str, Any]:
        """All images that the caller sees, for a subscription."""
        page = await self.list(caller, PageQuery(limit=1000))
        return {"items": [views.image(item) for item in page.items], **page.extra}

    async def find(self, caller: Account, name: str) -> EngineImage | None:
        """The image that a name, tag, digest or id means to the caller.

        Returns
        -------
        EngineImage or None
            None where the engine doesn't have it and it can be pulled.

        Raises
        ------
        NotFound
            It is somebody else's, or can't be pulled.
        """
        await self._keeper.need_filled()
        found = self.index.find(caller, name)
        if found is not None:
            return found
        reference = parsed(name)
        if name.startswith("sha256:") or reference is None or reference.private:
            raise missing(name)
        if self.index.has(reference):
            # It is here, and somebody else's.
            raise missing(name)
        try:
            # Memory may be a moment behind the engine.
            image = await self._engines.local.driver.inspect_image(str(reference))
        except NotFound:
            return None
        await self._keeper.refresh()
        if not self.index.visible(caller, image.id):
            raise missing(name)
        return image

    def vanished(self) -> None:
        """Look again: an image of the list is not there."""
        self._keeper.changed()

    async def made(self, caller: Account, result: Mapping[str, Any]) -> Image:
        """What a pull, a build or a save returns, by what is kept of its operation.

        Raises
        ------
        NotFound
            It was deleted since.
        """
        await self._keeper.refresh()
        return self.index.view_for(caller, self.index.by_ref(caller, str(result["iid"])))

    async def pull(self, caller: Account, body: PullBody) -> Running[Image]:
        """Pull an image; whoever asks for the same one meanwhile waits for the same pull.

        Raises
        ------
        NotFound
            The name is one of a committed image, which are never pulled.
        Forbidden
            The administrator does not allow it, or its registry.
        RateLimited
            The caller pulls as many images as they may.
        Unavailable
            The engine does not answer.
        """
        reference = parse_reference(body.reference)
        if reference.private:
            raise missing(str(reference))
        self._defaults.check_image(caller, [str(reference)])
        await self._keeper.need_filled()
        await self.admit(caller, reference)
        return await self._operations.start(
            caller,
            PULL,
            str(reference),
            lambda progress: self.fetch(caller, reference, progress),
            input={"image": str(reference)},
            present=views.image,
        )

    async def admit(self, caller: Account, reference: ImageReference) -> None:
        """Refuse a pull that would be refused once it has begun.

        Raises
        ------
        Forbidden
            Users may not name the registry.
        NotFound
            There is no such registry.
        RateLimited
            The caller pulls as many images as they may.
        """
        self._pulls.check(caller, reference)
        if reference.registry != DEFAULT_REGISTRY:
            await self._guard.check(caller, reference.registry, "image")

    async def fetch(self, caller: Account, reference: ImageReference, progress: Progress) -> Image:
        """Pull within an operation.

        Raises
        ------
        NotFound
            The registry doesn't have it, or it can't be reached; the text says what to do.
        Forbidden, RateLimited
            As `admit`, which is asked again: between the two may lie a crash or another pull.
        """
        await self.admit(caller, reference)
        present = set(self.index.images)
        await self._pulls.join(caller, reference, progress)
        image = await self._engines.local.driver.inspect_image(str(reference))
        await self._keeper.came(image.id, caller.id if image.id not in present else None)
        if not self.index.visible(caller, image.id):
            raise missing(str(reference))
        return self.index.view_for(caller, image)

    def _pull_from(self, reference: ImageReference) -> AsyncIterator[PullProgress]:
        driver = self._engines.local.driver
        return driver.pull(reference.repository, reference.digest or reference.tag or "")

    async def delete(self, caller: Account, ref: str, query: ImageDeleteQuery) -> Removed:
        """Delete an image, or take one of its several names away.

        Raises
        ------
        NotFound
            No image of this name or number is the caller's to see.
        Forbidden
            It is somebody else's, or somebody else pulled it, or it is everybody's and has several
            names.
        Conflict
            Containers are based on it, or it has several names.
        """
        await self._keeper.need_filled()
        image = self.index.by_ref(caller, ref)
        known = self.registry.by_engine.get(image.id)
        mine = known is not None and caller.id in (known.owner, known.puller)
        if not (caller.is_admin or mine):
            owner = self.index.view(image).owner
            whose = f"belongs to {owner}. They" if owner else "was not pulled by you. Who pulled it"
            raise Forbidden(f"{title(image)} {whose}, or an administrator, may delete it.")
        reference = parsed(ref)
        named = str(reference) if reference is not None and str(reference) in image.tags else None
        if named is None or len(image.tags) <= 1:
            self._refuse_used(caller, image)
        several = named is None and len(image.tags) > 1
        if several:
            self._refuse_several(caller, image, known, force=query.force)
        await self.remove(image, named, force=several)
        await self._keeper.refresh()
        return {"id": image.id}

    async def remove(
        self, image: EngineImage, name: str | None = None, *, force: bool = True
    ) -> None:
        """Remove an image, or only a name of it, from every device that has it.

        Raises
        ------
        NotFound
            None has it any more.
        Unavailable
            One of them does not answer.
        """
        gone: NotFound | None = missing(title(image))
        for did in self.index.devices(image.id):
            try:
                await self._engines.on(did).driver.remove_image(name or image.id, force=force)
            except NotFound as error:
                # Not every device knows it by every name, and the list may be a moment old.
                if gone is not None:
                    gone = error
            else:
                gone = None
        if gone is not None:
            raise gone

    def _refuse_several(
        self, caller: Account, image: EngineImage, known: KnownImage | None, *, force: bool
    ) -> None:
        """Keep several names together, unless they are all the caller's and meant."""
        # Of a public image anybody may have brought any of the names.
        own = known is not None and not known.public and known.owner == caller.id
        names = f"{title(image)} has several names ({', '.join(image.tags)})"
        if caller.is_admin or own:
            if not force:
                raise Conflict(
                    "image",
                    title(image),
                    f"{names}. Delete one of them, or all with force.",
                )
        elif force:
            raise Forbidden(
                f"{names}, which others may have given it. Delete one of them by that name; all at "
                "once only an administrator may delete."
            )
        else:
            raise Conflict("image", title(image), f"{names}. Delete one of them by that name.")

    def _refuse_used(self, caller: Account, image: EngineImage) -> None:
        users = [item for item in self._engines.containers.values() if item.image_id == image.id]
        if not users:
            return
        names = sorted(self.container_names(caller, [item.id for item in users]))
        hidden = len(users) - len(names)
        others = f"{hidden} of other users" if hidden else ""
        raise Conflict(
            "image",
            title(image),
            f"{title(image)} is used by containers: {', '.join([*names, others]).strip(', ')}. "
            "Delete them first.",
        )


async def _recovered(operation: Any, given: Mapping[str, Any]) -> str:
    """The engine throws half a pull away by itself, and keeps its finished layers."""
    return f"The server stopped while {given.get('image', 'it')} was pulled. Pull it again."
