"""Containers in snapshots: each an image, and what it is made of it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from ..accounts.schemas import Account
from ..containers.connection import PASSWORD_VARIABLE
from ..containers.fields import MEGABYTE
from ..containers.image_registry import Origin
from ..containers.references import parse_reference, saved_reference
from ..containers.schemas import DeleteQuery, NewContainer, StopOptions
from ..errors import Conflict, NotFound, PlatformError
from ..operations.running import Progress, Running
from ..operations.schemas import Operation
from .parts import Freed, Kept
from .schemas import Group

if TYPE_CHECKING:
    from ..containers.engine_types import EngineContainer
    from ..containers.image_types import EngineImage
    from ..containers.known import Known
    from ..containers.service import ContainerService
    from ..store.secrets import Secrets

PREFIX = "container:"

GPU_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
"""Of the GPUs that it had: it is granted others."""


class ContainerKeeper:
    """Keeps users' containers."""

    group: ClassVar[Group] = "containers"

    def __init__(self, service: ContainerService, secrets: Secrets) -> None:
        self._service = service
        self._secrets = secrets

    async def take(
        self, caller: Account, mark: str, progress: Progress, names: Sequence[str] | None = None
    ) -> Sequence[Kept]:
        """Save each of the caller's containers; only what differs from its image takes room."""
        kept = []
        for known in self._own(caller.id):
            name = f"{PREFIX}{known.name}"
            if names is None or name in names:
                with suppress(NotFound):  # it was deleted meanwhile
                    kept.append(await self._save(caller, known, name, mark, progress))
        return kept

    async def discard(
        self, owner: str, mark: str, parts: Sequence[Kept], operation: Operation | None = None
    ) -> Freed:
        """Remove the images of a mark, but for those that containers are based on."""
        images = self._service.image_keeper
        if not (parts or images.index.filled or self._own(owner)):
            # There is no engine, and never was one.
            return Freed()
        if operation is not None:
            for engine in self._service.engines:
                with suppress(PlatformError):
                    await self._service.saver.tidy(engine.did, operation)
        await images.refresh()
        stored = {str(part.facts["image"]): part.stored for part in parts}
        freed, left = 0, []
        for image in list(images.index.images.values()):
            for tag in image.tags:
                if tag.rpartition("/")[2].startswith(f"{mark}-"):
                    if self._used(image):
                        left.append(tag)
                    else:
                        await self._service.images.remove(image)
                        freed += stored.get(tag, 0)
                    break
        await images.refresh()
        return Freed(freed, tuple(left))

    async def gone(self, owner: str, parts: Sequence[Kept]) -> Sequence[str]:
        """Tell where somebody has deleted the image."""
        index = self._service.image_keeper.index
        images = [str(part.facts["image"]) for part in parts]
        return [
            f"The image {image} was deleted."
            if index.filled and not index.has(parse_reference(image))
            else ""
            for image in images
        ]

    # -- restoring -----------------------------------------------------------------------------

    async def check(self, parts: Sequence[Kept]) -> None:
        """See that containers can be made of what is kept; raises `Conflict`, `Unavailable`."""
        if parts:
            await self._service.access.need_reached()
        for part in parts:
            self._spec(part)

    async def restore(self, caller: Account, part: Kept, *, again: bool = False) -> None:
        """Make a container again as it was; one of its name is deleted, which is kept already.

        Parameters
        ----------
        again
            A crash interrupted it, and it may be done.

        Raises
        ------
        PlatformError
            It can't be made, as `ContainerManager.create` tells.
        """
        spec, password, runs = self._spec(part)
        if (known := self._named(caller.id, spec.name)) is not None:
            if again and known.image == spec.image:
                return
            with suppress(NotFound):
                query = DeleteQuery(force=True)
                await self._service.containers.delete(caller, str(known.cid), query)
        made = await self._service.creation.create(caller, spec, password)
        if isinstance(made, Running):
            made = await made.wait()
        if not runs:
            await self._service.containers.stop(caller, str(made.cid), StopOptions(), StopOptions())

    # -- inside --------------------------------------------------------------------------------

    def _own(self, owner: str) -> list[Known]:
        known = self._service.registry.by_cid.values()
        return sorted(
            (each for each in known if each.owner == owner and each.engine_id),
            key=lambda each: each.cid,
        )

    def _named(self, owner: str, name: str) -> Known | None:
        return next((each for each in self._own(owner) if each.name == name), None)

    def _used(self, image: EngineImage) -> bool:
        containers = self._service.engines.containers.values()
        return any(each.image_id == image.id for each in containers)

    async def _save(
        self, caller: Account, known: Known, name: str, mark: str, progress: Progress
    ) -> Kept:
        found = await self._service.access.fresh(caller, str(known.cid))
        reference = saved_reference(caller.username, caller.id, f"{mark}-{known.cid}")
        origin = Origin(owner=caller.id, public=False)
        image = await self._service.saver.write(found, reference, origin, progress)
        stored = image.engine.size
        with suppress(PlatformError):
            driver = self._service.engines.driver(found.id)
            stored -= (await driver.inspect_image(found.engine.image_id)).size
        made_of = json.dumps(_words(known, found.engine) | {"password": self._password(known)})
        return Kept(
            name,
            "container",
            image.engine.size,
            max(0, stored),
            # What it was given may be secret.
            facts={"image": str(reference), "made_of": self._secrets.encrypt(made_of)},
        )

    def _password(self, known: Known) -> str | None:
        return self._secrets.decrypt(known.password) if known.password is not None else None

    def _spec(self, part: Kept) -> tuple[NewContainer, str | None, bool]:
        """Return what a container is made with, its password, and whether it ran."""
        words: dict[str, Any] = json.loads(self._secrets.decrypt(str(part.facts["made_of"])))
        password, runs = words.pop("password"), bool(words.pop("runs"))
        try:
            spec = NewContainer.model_validate({**words, "image": part.facts["image"]})
        except ValidationError as error:
            raise Conflict(
                "container",
                part.name.removeprefix(PREFIX),
                f"{part.name} can't be made again: {error.errors()[0]['msg']}. Start a container "
                f"of {part.facts['image']} by hand.",
            ) from None
        return spec, password, runs


def _words(known: Known, engine: EngineContainer) -> dict[str, Any]:
    """Return what a container was made with, as a request for a new one."""
    detail = engine.detail
    assert detail is not None  # noqa: S101 - of an inspect
    return {
        "name": known.name,
        "runs": engine.running,
        "ports": {
            key: port.host_port if port is not None else None
            for key, port in detail.published.items()
        },
        "environment": {
            name: value
            for name, value in detail.environment.items()
            if name not in (PASSWORD_VARIABLE, GPU_VARIABLE)
        },
        "volumes": [
            {
                "host_path": mount.source,
                "container_path": mount.target,
                "read_only": mount.read_only,
            }
            for mount in engine.mounts
            if mount.kind == "bind"
        ],
        "cpu": detail.cpu or None,
        "mem": (detail.memory or 0) // MEGABYTE or None,
        "restart_policy": None if known.gpus else detail.restart_policy,
        "count": len(known.gpus) or None,
        "device": known.device,
    }
