"""Saves a container with all that was installed in it as an image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from ..accounts.schemas import Account
from ..errors import Conflict
from ..models import Model
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, Recovered
from . import views
from .access import Access
from .image_keeper import ImageKeeper
from .image_registry import Origin
from .marks import CID, REFITTED
from .references import ImageReference, image_name_problem, parse_reference, saved_reference
from .squash import ImageWriter
from .views import Container, Image

if TYPE_CHECKING:
    from ..operations.manager import Operations

SAVE = "image.save"


def _good(name: str) -> str:
    if problem := image_name_problem(name):
        raise ValueError(problem)
    return name


class NewImage(Model):
    """An image to be made of a container."""

    name: Annotated[str, Field(max_length=200, examples=["my_image"]), AfterValidator(_good)]
    public: bool = Field(False, description="Everybody may see it and start containers of it")


class ImageSaver:
    """Makes images of containers."""

    def __init__(
        self, access: Access, operations: Operations, keeper: ImageKeeper, writer: ImageWriter
    ) -> None:
        self._access = access
        self._operations = operations
        self._keeper = keeper
        self._writer = writer
        operations.on_recovery(SAVE, self.recover)

    async def save(self, caller: Account, ref: str, body: NewImage) -> Running[Image]:
        """Save a container, which stands still meanwhile, as its owner's image.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        Conflict
            Its owner has an image of this name.
        """
        found = await self._access.fresh(caller, ref)
        owner = await self._access.owner(found)
        await self._keeper.need_filled()
        reference = saved_reference(owner.username, owner.id, body.name)
        if self._keeper.index.has(reference):
            raise Conflict(
                "image",
                body.name,
                f"There is an image {body.name!r} already. Choose another name, or delete it.",
                fields={"name": "is taken"},
            )
        origin = Origin(owner=owner.id, public=body.public)
        return await self._operations.start(
            caller,
            SAVE,
            body.name,
            partial(self.write, found, reference, origin),
            input={
                "image": str(reference),
                "owner": owner.id,
                "public": body.public,
                "device": found.device,
            },
            present=views.image,
        )

    async def write(
        self, found: Container, reference: ImageReference, origin: Origin, progress: Progress
    ) -> Image:
        """Save a container as an image of a free name, within an operation."""
        await progress.update(message=f"Saving {found.name} as {reference.repository}")
        # What is saved on purpose goes with no container.
        labels = {REFITTED: ""} if found.engine.labels.get(REFITTED) else {}
        # A container's number in its image would say that its labels are not its own.
        labels |= {CID: ""} if found.engine.labels.get(CID) else {}
        engine_id = await self._writer.write(found.id, reference, labels, progress)
        return await self._keeper.saved(engine_id, origin)

    async def tidy(self, did: int, operation: Operation) -> None:
        """Remove what a crash left of a `write` that an operation did on a device."""
        await self._writer.tidy(did, operation)

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """See whether the engine finished what a crash interrupted."""
        if "device" in given:
            await self._writer.tidy(given["device"], operation)
        await self._keeper.refresh()
        index = self._keeper.index
        reference = parse_reference(given["image"])
        image = index.named(reference)
        if image is None:
            return "The server stopped before the image was saved. Save it again."
        shown = await self._keeper.saved(image.id, Origin(given["owner"], public=given["public"]))
        return Recovered("The image is saved.", succeeded=True, result=views.image(shown))
