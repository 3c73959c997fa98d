"""Brings an image to a device that has not got it: by its digest, through a registry."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import NotFound, Unavailable
from ..operations.running import Progress
from .engines import Engine, Engines
from .image_index import title
from .image_keeper import ImageKeeper
from .image_types import EngineImage, PullProgress
from .references import DEFAULT_REGISTRY, ImageReference, parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Provisioner:
    """Carries images between devices.

    Parameters
    ----------
    registry
        Where images that are in none are pushed to, ``registry.lab:5000/desk``; empty for nowhere.
    """

    def __init__(self, engines: Engines, keeper: ImageKeeper, registry: str) -> None:
        self._engines = engines
        self._keeper = keeper
        self._registry = registry.strip("/")

    async def bring(self, image: EngineImage, did: int, progress: Progress) -> None:
        """Have a device get an image that another one has.

        Raises
        ------
        NotFound
            The registry has it no more, or gives something else.
        Unavailable
            One of the engines, or the registry, does not answer.
        """
        engine = self._engines.on(did)
        index = self._keeper.index
        if did in index.devices(image.id):
            return
        reference = _by_digest(image) or await self._push(image, progress)
        await progress.update(message=f"Device {did} pulls {title(image)}")
        await _watch(engine.driver.pull(reference.repository, reference.digest or ""), progress)
        await self._name(engine, image)
        await self._keeper.came(image.id, None)
        if did not in index.devices(image.id):
            raise NotFound(
                "image",
                title(image),
                f"{reference} is another image than {title(image)} for device {did}, whose "
                "processor may be of another kind.",
            )

    async def fetch(self, reference: ImageReference, did: int, progress: Progress) -> None:
        """Have a device pull an image that none has yet."""
        driver = self._engines.on(did).driver
        wanted = reference.digest or reference.tag or ""
        await _watch(driver.pull(reference.repository, wanted), progress)
        found = await driver.inspect_image(str(reference))
        await self._keeper.came(found.id, None)

    async def _name(self, engine: Engine, image: EngineImage) -> None:
        """Give it its names there, too, so that containers are listed by what people call it."""
        for tag in image.tags:
            name = parse_reference(tag)
            try:
                await engine.driver.inspect_image(tag)
            except NotFound:
                await engine.driver.tag(image.id, name.repository, name.tag or "latest")

    async def _push(self, image: EngineImage, progress: Progress) -> ImageReference:
        """Push an image to the registry, and return by which digest it is had there."""
        if not self._registry:
            raise Unavailable(
                f"{title(image)} is on no registry, so that other devices can't get it.",
                "Name one: ContainerDefaults.registry.",
            )
        source = self._engines.on(self._keeper.index.devices(image.id)[0]).driver
        name = parse_reference(image.tags[0]) if image.tags else None
        path = name.repository if name else f"images/{image.id.removeprefix('sha256:')[:32]}"
        if name and name.registry != DEFAULT_REGISTRY:
            path = path.partition("/")[2]
        repository, tag = f"{self._registry}/{path}", (name.tag if name else None) or "latest"
        await source.tag(image.id, repository, tag)
        await progress.update(message=f"Pushing {title(image)} to {self._registry}")
        await _watch(source.push(repository, tag), progress)
        pushed = await source.inspect_image(f"{repository}:{tag}")
        for digest in pushed.digests:
            found = parse_reference(digest)
            if found.repository == repository:
                return found
        raise Unavailable(f"The registry {self._registry} did not say what it took.")


def _by_digest(image: EngineImage) -> ImageReference | None:
    return parse_reference(image.digests[0]) if image.digests else None


async def _watch(steps: AsyncIterator[PullProgress], progress: Progress) -> None:
    async for step in steps:
        layers = [asdict(layer) for layer in step.layers]
        await progress.update(step.fraction, step.message or None, {"layers": layers})
