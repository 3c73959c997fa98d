"""Containers in snapshots: each an image, and what it is made of it with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from ..accounts.schemas import Account
from ..containers.connection import PASSWORD_VARIABLE
from ..containers.engine_types import EngineMount
from ..containers.exchanging import Former
from ..containers.fields import MEGABYTE
from ..containers.image_registry import Origin
from ..containers.marks import HOME
from ..containers.mounts import Grant
from ..containers.references import parse_reference, saved_reference
from ..containers.schemas import NewContainer, StopOptions
from ..devices.records import LOCAL_DEVICE
from ..errors import Conflict, NotFound, PlatformError, Unavailable
from ..operations.running import Progress, Running
from ..operations.schemas import Operation
from ..postgres.phases import Enter, unheard
from .book import CID, SnapshotBook
from .parts import Freed, Kept
from .phases import SnapshotPhase
from .schemas import Group

if TYPE_CHECKING:
    from ..containers.engine_types import EngineContainer
    from ..containers.image_types import EngineImage
    from ..containers.known import Known
    from ..containers.service import ContainerService
    from ..containers.views import Container
    from ..store.secrets import Secrets

PREFIX = "container:"

GPU_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
"""Of the GPUs that it had: it is granted others."""

UNNAMED = re.compile("[0-9a-f]{64}")
"""What the engine calls a volume that nobody gave a name."""


class ContainerKeeper:
    """Keeps users' containers."""

    group: ClassVar[Group] = "containers"

    def __init__(self, service: ContainerService, book: SnapshotBook, secrets: Secrets) -> None:
        self._service = service
        self._book = book
        self._secrets = secrets

    async def take(
        self,
        caller: Account,
        mark: str,
        progress: Progress,
        names: Sequence[str] | None = None,
        enter: Enter = unheard,
    ) -> Sequence[Kept]:
        """Save each of the caller's containers; only what differs from its image takes room."""
        kept = []
        for known in self._own(caller.id):
            name = f"{PREFIX}{known.name}"
            if names is None or name in names:
                with suppress(NotFound):  # it was deleted meanwhile
                    kept.append(await self._save(caller, known, name, mark, progress, enter))
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

    async def check(self, caller: Account, parts: Sequence[Kept]) -> None:
        """See that containers can be made of what is kept, and that nothing is lost by that.

        Raises
        ------
        Conflict
            One can't be made again as it was, or another one has its name.
        Unavailable
            The engine does not answer.
        """
        if parts:
            await self._service.access.need_reached()
        for part in parts:
            made_of = self._made_of(part)
            if await self.former(caller, part) is None:
                await self._check_volumes(part, made_of)

    async def former(self, caller: Account, part: Kept) -> dict[str, Any] | None:
        """Return whose place a container takes, in words that can be kept; None: nobody's.

        Raises
        ------
        Conflict
            Another container has its name, or it can't be exchanged.
        """
        known = self._named(caller.id, _name_of(part))
        if known is None:
            return None
        if known.cid != part.facts[CID]:
            raise Conflict(
                "container",
                known.name,
                f"{known.name} is another container than the one in the snapshot, which was "
                "deleted. Rename it or delete it, and restore again.",
            )
        found = await self._service.access.fresh(caller, str(known.cid))
        return asdict(self._service.exchanger.former(found))

    async def stands(self, caller: Account, part: Kept, former: Mapping[str, Any]) -> bool:
        """Whether the container that was there is as it was."""
        try:
            return await self.former(caller, part) == former
        except PlatformError:
            return False

    async def restore(self, caller: Account, part: Kept) -> None:
        """Make a container again as it was; it takes the place of the one that it was taken of.

        Raises
        ------
        PlatformError
            It can't be made, as `ContainerManager.create` tells; the one that was there stays.
        """
        made_of = self._made_of(part)
        known = self._named(caller.id, made_of.spec.name)
        if known is not None:
            found = await self._service.access.fresh(caller, str(known.cid))
            await self._service.exchanger.exchange(found, made_of.spec.image, runs=made_of.runs)
            return
        again = Grant(made_of.volumes, tmpfs=made_of.tmpfs)
        creating = self._service.creation.create(caller, made_of.spec, made_of.password, again)
        made = await creating
        if isinstance(made, Running):
            made = await made.wait()
        await self._book.renumber(caller.id, int(part.facts[CID]), made.cid)
        if not made_of.runs:
            await self._service.containers.stop(caller, str(made.cid), StopOptions(), StopOptions())

    async def finish(self, caller: Account, part: Kept, former: Mapping[str, Any] | None) -> bool:
        """See what a crash left of a `restore`; whether it was done.

        Parameters
        ----------
        former
            Whose place it was to take.
        """
        await self._service.access.need_reached()
        known = self._named(caller.id, _name_of(part))
        if known is None:
            return False
        if former is not None:
            return await self._service.exchanger.finish(known, Former(**former))
        await self._book.renumber(caller.id, int(part.facts[CID]), known.cid)
        return True

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
        self,
        caller: Account,
        known: Known,
        name: str,
        mark: str,
        progress: Progress,
        enter: Enter,
    ) -> Kept:
        found = await self._service.access.fresh(caller, str(known.cid))
        reference = saved_reference(caller.username, caller.id, f"{mark}-{known.cid}")
        origin = Origin(owner=caller.id, public=False)
        enter(SnapshotPhase.COMMITTING)
        image = await self._service.saver.write(found, reference, origin, progress)
        enter(SnapshotPhase.DESCRIBING)
        stored = image.engine.size
        with suppress(PlatformError):
            driver = self._service.engines.driver(found.id)
            stored -= (await driver.inspect_image(found.engine.image_id)).size
        words = _words(known, found.engine)
        words |= {"password": self._password(known), "volumes_made": await self._volumes(found)}
        return Kept(
            name,
            "container",
            image.engine.size,
            max(0, stored),
            facts={
                "image": str(reference),
                CID: known.cid,
                # What it was given may be secret.
                "made_of": self._secrets.encrypt(json.dumps(words)),
            },
            not_in_it=_not_in_it(found.engine),
        )

    async def _volumes(self, found: Container) -> dict[str, str]:
        """Return when each of its volumes was made, by which it is known again."""
        driver, made = self._service.engines.driver(found.id), {}
        for mount in _volumes(found.engine):
            try:
                made[mount.source] = await driver.volume_made(mount.source)
            except NotFound as error:
                # Not the container is gone, which nobody would hear of.
                raise Unavailable(
                    f"Docker does not find the volume {mount.source} of {found.name}.",
                    "Look at its volume driver.",
                ) from error
        return made

    async def _check_volumes(self, part: Kept, made_of: MadeOf) -> None:
        """See that the volumes of a container that was deleted are there."""
        driver = self._service.engines.on(made_of.spec.device or LOCAL_DEVICE).driver
        for name, made in made_of.volumes_made.items():
            try:
                same = await driver.volume_made(name) == made
            except NotFound:
                problem = f"its volume {name} was deleted"
            else:
                problem = "" if same else f"{name} is another volume by now than the one it had"
            if problem:
                raise Conflict(
                    "container",
                    _name_of(part),
                    f"{part.name} can't be made again as it was: {problem}. Start a container of "
                    f"{part.facts['image']} by hand, or name the other parts.",
                )

    def _password(self, known: Known) -> str | None:
        return self._secrets.decrypt(known.password) if known.password is not None else None

    def _made_of(self, part: Kept) -> MadeOf:
        """Return what a container is made with."""
        words: dict[str, Any] = json.loads(self._secrets.decrypt(str(part.facts["made_of"])))
        password, runs = words.pop("password"), bool(words.pop("runs"))
        attached = [EngineMount(**each) for each in words.pop("attached")]
        tmpfs, made = words.pop("tmpfs"), words.pop("volumes_made")
        try:
            spec = NewContainer.model_validate({**words, "image": part.facts["image"]})
        except ValidationError as error:
            raise Conflict(
                "container",
                _name_of(part),
                f"{part.name} can't be made again: {error.errors()[0]['msg']}. Start a container "
                f"of {part.facts['image']} by hand.",
            ) from None
        return MadeOf(spec, password, runs, tuple(attached), tmpfs, made)


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What a container is made again with.

    Parameters
    ----------
    runs
        Whether it ran.
    volumes_made
        When each volume was made, in the engine's words.
    """

    spec: NewContainer
    password: str | None
    runs: bool
    volumes: tuple[EngineMount, ...]
    tmpfs: Mapping[str, str]
    volumes_made: Mapping[str, str]


def _name_of(part: Kept) -> str:
    return part.name.removeprefix(PREFIX)


def _volumes(engine: EngineContainer) -> list[EngineMount]:
    return [mount for mount in engine.mounts if mount.kind == "volume"]


def _not_in_it(engine: EngineContainer) -> list[str]:
    """Say what belongs to a container and is in no image of it."""
    stays = "stays as it is, and is attached again"
    said = []
    for mount in engine.mounts:
        if mount.kind == "bind":
            said.append(f"The folder {mount.source} at {mount.target} {stays}.")
        elif mount.kind == "volume":
            name = "" if UNNAMED.fullmatch(mount.source) else f" {mount.source}"
            said.append(f"The volume{name} at {mount.target} {stays}.")
    for target in engine.detail.tmpfs if engine.detail else ():
        said.append(f"What is in memory at {target} is gone afterwards, as after every stop.")
    if HOME not in engine.labels:
        said.append(
            "It was made by the docker command: its networks, rights and devices stay with it; if "
            "it is deleted before it is restored, it is made again without them."
        )
    return said


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
        "attached": [asdict(mount) for mount in _volumes(engine)],
        "tmpfs": dict(detail.tmpfs),
        "cpu": detail.cpu or None,
        "mem": (detail.memory or 0) // MEGABYTE or None,
        "restart_policy": None if known.gpus else detail.restart_policy,
        "count": len(known.gpus) or None,
        "device": known.device,
    }
