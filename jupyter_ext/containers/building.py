"""Builds the project's own notebook image, which is everybody's and has a number of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ..accounts.schemas import Account
from ..errors import Conflict, NotFound, PlatformError, Unavailable
from ..models import Model
from ..operations.running import Progress, Running
from ..operations.schemas import Operation, OperationQuery, Recovered
from . import views
from .defaults import ContainerDefaults
from .docker_build import shortened
from .fields import ImageName
from .image_keeper import ImageKeeper
from .images import ImageManager
from .marks import HOME, NOTEBOOK
from .records import NOTEBOOK_IID
from .references import NOTEBOOK_IMAGE, parse_reference
from .views import Image

if TYPE_CHECKING:
    from ..operations.manager import Operations
    from .docker_driver import DockerDriver

BUILD = "image.build"

RECIPE = Path(__file__).parent / "notebook_image"

SWEEPS = (0.2, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each look for what a build left: an engine takes a while to end a step."""

_log = logging.getLogger(__name__)


class NewBuild(Model):
    """An image to be built."""

    name: Literal["notebook"]
    base: ImageName | None = Field(
        None,
        description="What it is built on, of Debian's family; pulled where it is missing",
        examples=["debian:bookworm-slim"],
    )
    cuda: bool = Field(False, description="Build it on the CUDA base that the operator configured")
    fresh: bool = Field(False, description="Do every step again, so that packages are the newest")

    @model_validator(mode="after")
    def _one_base(self) -> NewBuild:
        if self.base and self.cuda:
            raise ValueError("base and cuda exclude each other: each says what it is built on")
        return self


class ImageBuilder:
    """Builds the notebook image, one build at a time."""

    def __init__(
        self,
        operations: Operations,
        images: ImageManager,
        keeper: ImageKeeper,
        driver: DockerDriver,
        defaults: ContainerDefaults,
    ) -> None:
        self._operations = operations
        self._images = images
        self._keeper = keeper
        self._driver = driver
        self._defaults = defaults
        self._beginning = asyncio.Lock()
        self._reference = parse_reference(NOTEBOOK_IMAGE)
        operations.on_recovery(BUILD, self.recover)

    async def build(self, caller: Account, body: NewBuild) -> Running[Image]:
        """Build the notebook image and put it behind its number, in place of an earlier one.

        Containers of the earlier one keep running; it goes once it has none.

        Raises
        ------
        NotFound
            The base is somebody else's.
        Conflict
            It is being built already.
        Unavailable
            The engine does not answer.
        """
        defaults = self._defaults
        base = body.base or (defaults.notebook_cuda_base if body.cuda else defaults.notebook_base)
        found = await self._images.find(caller, base)
        argument = self._images.index.argument(caller, base)
        if found is None:
            await self._images.admit(caller, parse_reference(argument))
        async with self._beginning:
            going = OperationQuery(kind=BUILD, active=True, limit=1)
            for operation in (await self._operations.list(caller, going)).items:
                raise Conflict(
                    "image",
                    body.name,
                    f"The image is being built already ({operation.id}). Wait for it, or cancel "
                    f"it (`pig operation cancel {operation.id}`).",
                )
            before = [image.id for image in await self._unnamed()]
            known = self._images.registry.by_iid.get(NOTEBOOK_IID)
            former = known.engine_id if known else None
            return await self._operations.start(
                caller,
                BUILD,
                body.name,
                partial(self._build, caller, body, argument, before, pull=found is None),
                input={"base": argument, "before": before, "former": former},
                present=views.image,
            )

    async def _build(
        self,
        caller: Account,
        body: NewBuild,
        base: str,
        before: Collection[str],
        progress: Progress,
        *,
        pull: bool,
    ) -> Image:
        try:
            if pull:
                await self._images.fetch(caller, parse_reference(base), progress)
                await progress.update(details={})
            image = await self._run(base, progress, fresh=body.fresh)
        except BaseException:
            if not progress.interrupted:
                await asyncio.shield(self._sweep(before))
            raise
        taking = asyncio.ensure_future(self._take_in(image))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # Too late: it is built, and half a name is worse than a whole one.
            return await taking

    async def _run(self, base: str, progress: Progress, *, fresh: bool) -> str:
        """Let the engine build, and return the image's id."""
        arguments = {**self._defaults.notebook_build_arguments, "BASE": base}
        image = ""
        async with aclosing(self._driver.build(RECIPE, arguments, fresh=fresh)) as steps:
            async for step in steps:
                image = step.image or image
                if step.line:
                    progress.log(step.line)
                what = f"Step {step.step} of {step.steps}: {shortened(step.instruction)}"
                await progress.update(step.fraction, what if step.step else None)
        if not image:
            raise Unavailable("Docker did not say which image it built.", "Build it again.")
        return image

    async def _take_in(self, image: str) -> Image:
        """Name and number what was built, and let go of what it replaces."""
        former = self._images.registry.by_iid.get(NOTEBOOK_IID)
        made = await self._keeper.built(image, self._reference)
        if former is not None and former.engine_id != image:
            await self._let_go(former.engine_id)
        return made

    async def _let_go(self, former: str) -> None:
        """Remove what was replaced, unless it has another name or something is made of it."""
        left = self._keeper.index.images.get(former)
        if left is None or left.tags:
            return
        try:
            await self._driver.remove_image(former)
        except (NotFound, Conflict) as error:
            _log.info("The notebook image that was replaced stays: %s", error)
            return
        await self._keeper.refresh()

    async def recover(self, operation: Operation, given: Mapping[str, Any]) -> str | Recovered:
        """Finish what only lacked its number, or remove what is left of it."""
        await self._keeper.refresh()
        image = self._keeper.index.named(self._reference)
        if image is not None and image.id != given["former"]:
            made = await self._keeper.built(image.id, self._reference)
            return Recovered("The image is built.", succeeded=True, result=views.image(made))
        await self._sweep(given["before"])
        return "The server stopped while the image was built. Build it again."

    # -- what is left of builds ------------------------------------------------------------------

    async def _unnamed(self) -> list[Any]:
        """Images of builds that have no name: not finished, or replaced."""
        return [
            image
            for image in await self._driver.list_images()
            # What is saved of a container has no name at first either, and says whose it is.
            if NOTEBOOK in image.labels and HOME not in image.labels and not image.tags
        ]

    async def _sweep(self, before: Collection[str]) -> None:
        """Remove what a build left that did not come to its end.

        Parameters
        ----------
        before
            What was there when it began.
        """
        seen, left = False, list[str]()
        try:
            for pause in SWEEPS:
                await asyncio.sleep(pause)
                left = [image.id for image in await self._unnamed() if image.id not in before]
                for image in left:
                    # The engine still ends the step that was made of it.
                    with suppress(NotFound, Conflict):
                        await self._driver.remove_image(image)
                if seen and not left:
                    break
                seen = True
            else:
                _log.warning("The engine still holds what is left of a build: %s", ", ".join(left))
            await self._keeper.refresh()
        except PlatformError as error:
            _log.warning("What is left of a build could not be removed: %s", error)
