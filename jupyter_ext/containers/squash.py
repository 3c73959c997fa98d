"""Writes containers down as images, in one layer where there would be too many."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..errors import NotFound
from ..operations.running import Progress
from ..operations.schemas import Operation
from .defaults import ContainerDefaults
from .references import ImageReference

if TYPE_CHECKING:
    from ..store.secrets import Secrets
    from .engines import Engines

MEGABYTE = 1_000_000
PAUSED = "paused"
"""In an operation's details: which container it pauses, and the engine's time before that."""


class ImageWriter:
    """Commits containers on their own devices, within operations."""

    def __init__(self, engines: Engines, defaults: ContainerDefaults, secrets: Secrets) -> None:
        self._engines = engines
        self._defaults = defaults
        self._secrets = secrets

    async def write(
        self,
        container: str,
        reference: ImageReference,
        labels: Mapping[str, str],
        progress: Progress,
    ) -> str:
        """Save a container's files as an image, and return the image's id.

        Each commit adds a layer to those of the container's image; where they would be more than
        `ContainerDefaults.max_image_layers`, all files go into one.

        Raises
        ------
        NotFound, Unavailable
            As `docker_flatten.flatten`.
        """
        driver, most = self._engines.driver(container), self._defaults.max_image_layers
        tag = reference.tag or "latest"
        layers = await driver.layers(container) + 1 if most else 0
        if layers <= most:
            return await driver.commit(container, reference.repository, tag, labels)
        why = f"It would have {layers} layers, and {most} are the most here"
        progress.log(f"{why}: all files go into one.")
        await progress.update(0.0, f"{why}: putting all into one")
        mark = self._secrets.seals(progress.operation.id)[0]
        steps = driver.flatten(container, reference.repository, tag, labels, mark)
        image, size = "", 0
        async with aclosing(steps):
            async for step in steps:
                image, size = step.image, step.total
                if step.pauses_after is not None:
                    # Whoever recovers this must know which pause was ours.
                    await progress.keep({PAUSED: {"container": container, "at": step.pauses_after}})
                told = f"{step.moved // MEGABYTE} of about {step.total // MEGABYTE} MB"
                await progress.update(step.fraction, f"Putting all files into one layer: {told}")
        now = (await driver.inspect_image(image)).size
        done = f"All files are in one layer, in place of {layers}: {now // MEGABYTE} MB"
        progress.log(f"{done}.")
        await progress.update(
            message=done,
            details={"squashed": {"layers": layers, "size_before": size, "size": now}},
        )
        return image

    async def tidy(self, did: int, operation: Operation) -> None:
        """Remove what a crash left of a `write`, and let the container go on that it paused."""
        try:
            driver = self._engines.on(did).driver
        except NotFound:
            # The device was removed, with all that was on it.
            return
        # The key may have been renewed since.
        for mark in self._secrets.seals(operation.id):
            await driver.sweep(mark)
        if paused := operation.details.get(PAUSED):
            await driver.release(paused["container"], paused["at"])
