"""Containers and images in the words of dialect `matrix`, whose error texts are exact."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from pydantic import Field

from ..accounts.schemas import Account
from ..api.route import May
from ..devices.ledger import DeviceLedger
from ..devices.records import LOCAL_DEVICE
from ..errors import Conflict, Forbidden, InvalidRequest, NotFound, PlatformError, QuotaExceeded
from ..models import Model
from ..operations.running import Running
from . import views
from .connections import ContainerConnections
from .engines import Engines
from .fields import LARGEST_NUMBER, Cpu, Gpus, Memory, Name
from .image_index import title
from .image_types import EngineImage
from .images import ImageManager
from .manager import ContainerManager
from .refitting import Refitter
from .registry import Registry
from .saving import ImageSaver, NewImage
from .schemas import (
    VOLUMES,
    DeleteQuery,
    ImageDeleteQuery,
    NewContainer,
    StopOptions,
    Volume,
)
from .views import Container

if TYPE_CHECKING:
    from ..store import Store

T = TypeVar("T")

_log = logging.getLogger(__name__)

NO_GPU = "无GPU"
EVERYBODY = "public"

NO_CONTAINER = "no container or not authorized to visit"
NO_IMAGE = "no image or not authorized to visit image"
NO_IMAGE_TO_REMOVE = "no image or not authorized to remove"
IMAGE_USED = "some containers is based on the image, unable to remove image"
NOT_ENOUGH = "cpu or memory not enough"
NOT_RUN = "docker run failed"


class MatrixContainer(Model):
    """A container of an image by its number."""

    iid: int = Field(strict=True, ge=1, le=LARGEST_NUMBER)
    name: Name
    cpu: Cpu
    mem: Memory
    gid: Gpus = None
    wait: bool = Field(False, description="Wait in the queue where no such GPU is free")
    volumes: list[Volume] = Field(default_factory=list, max_length=VOLUMES)


class MatrixCommand(Model):
    """What a container is to do."""

    cmd: Literal["start", "stop"]
    gid: Gpus = None


class MatrixImage(NewImage):
    """A container to be saved, by its number."""

    cid: int = Field(strict=True, ge=1, le=LARGEST_NUMBER)


class MatrixContainers:
    """Containers and images by their numbers."""

    def __init__(
        self,
        containers: ContainerManager,
        images: ImageManager,
        saver: ImageSaver,
        registry: Registry,
        devices: DeviceLedger,
        store: Store,
        engines: Engines,
        refitter: Refitter,
        connections: ContainerConnections,
    ) -> None:
        self._engines = engines
        self._refitter = refitter
        self._containers = containers
        self._images = images
        self._saver = saver
        self._registry = registry
        self._devices = devices
        self._store = store
        self._connections = connections

    # -- containers ------------------------------------------------------------------------------

    async def numbers(self, caller: Account) -> dict[str, list[int]]:
        """The numbers of the caller's containers; an administrator's list is everybody's."""
        return {"cid": sorted(item.cid for item in await self._containers.all(caller))}

    async def status(self, caller: Account, cid: str) -> dict[str, str]:
        """Whether a container runs.

        Raises
        ------
        NotFound
            It is somebody else's, or nobody's.
        """
        found = await self._find(caller, cid)
        return {"result": "running" if found.engine.running else "stopped"}

    async def facts(self, caller: Account, cid: str, may: May) -> dict[str, Any]:
        """All that one needs to get into a container, and what it has.

        The password opens a shell, so that whoever may not run commands does not see it.

        Raises
        ------
        NotFound
            It is somebody else's, or nobody's.
        """
        found = await self._find(caller, cid)
        shown = views.detail(found)
        async with self._store.read() as session:
            models = await self._devices.models(session, found.gpus)
            device = await self._devices.device(session, found.device)
        return {
            "name": found.name,
            "cpu": _whole(shown["cpu"]),
            "memory": shown["mem"],
            **self._way_in(found, password=may("container:exec")),
            "ip": self._connections.address(found),
            "cpu_name": device.cpu_name if device else "",
            "gpu_type": ", ".join(models) or NO_GPU,
        }

    async def create(
        self, caller: Account, body: MatrixContainer
    ) -> dict[str, Any] | Running[dict[str, Any]]:
        """Make a container with a password, and ports for ssh, JupyterLab and TensorBoard.

        Raises
        ------
        NotFound
            There is no such image for the caller.
        Conflict
            The device is full, a GPU is taken, or the engine refused.
        """
        image = self._image(await self._seen(caller), body.iid)
        wanted = NewContainer(
            name=body.name,
            image=image.tags[0] if image.tags else image.id,
            cpu=body.cpu,
            mem=body.mem,
            gid=body.gid,
            wait=body.wait,
            volumes=body.volumes,
            connect=True,
        )
        made = await self._said(self._containers.create(caller, wanted), body.gid)
        return made.turned(self._made) if isinstance(made, Running) else self._made(made)

    async def created(self, caller: Account, result: Mapping[str, Any]) -> dict[str, Any]:
        """What `create` returns, by what is kept of its operation.

        Raises
        ------
        NotFound
            It was deleted since, or this server has not heard of it yet.
        """
        return self._made(await self._find(caller, str(result["cid"])))

    async def command(
        self, caller: Account, cid: str, body: MatrixCommand, may: May
    ) -> dict[str, Any] | Running[dict[str, Any]]:
        """Start or stop a container.

        Raises
        ------
        Forbidden
            The caller may start containers, and not stop them.
        NotFound
            It is somebody else's, or nobody's.
        Conflict
            It runs or stands still already, the device is full, or a GPU is taken.
        """
        found = await self._find(caller, cid)
        if body.cmd == "stop":
            if not may("container:stop"):
                raise Forbidden("You may not stop containers: container:stop is missing.")
            change = await self._containers.stop(caller, cid, StopOptions(), StopOptions())
            if not change.changed:
                raise Conflict("container", found.name, "container already stopped")
        else:
            return await self._started(caller, found, body)
        return {}

    async def _started(
        self, caller: Account, found: Container, body: MatrixCommand
    ) -> dict[str, Any] | Running[dict[str, Any]]:
        cid, gid = str(found.cid), body.gid
        wish = NewContainer(name="any", image="any", gid=gid).wish
        # Who names no GPU means those that it has; 0 and null are none.
        other = "gid" in body.model_fields_set and not self._refitter.fits(found, wish)
        if other and not found.engine.running:
            refitting = await self._said(self._refitter.start(caller, cid, wish), gid)
            return refitting.turned(lambda _: {})
        change = await self._said(self._containers.start(caller, cid), gid)
        if not change.changed:
            raise Conflict("container", found.name, "container already running")
        return {}

    async def delete(self, caller: Account, cid: str) -> dict[str, Any]:
        """Stop a container and delete it.

        Raises
        ------
        NotFound
            It is somebody else's, or nobody's.
        """
        await self._find(caller, cid)
        await self._containers.delete(caller, cid, DeleteQuery())
        return {}

    # -- images ----------------------------------------------------------------------------------

    async def own_images(self, caller: Account) -> dict[str, list[int]]:
        """The numbers of the images that the caller made."""
        seen = await self._seen(caller)
        return {
            "iid": [iid for iid in seen if self._images.registry.by_iid[iid].owner == caller.id]
        }

    async def public_images(self, caller: Account) -> dict[str, list[int]]:
        """The numbers of everybody's images."""
        seen = await self._seen(caller)
        known = self._images.registry.by_iid
        return {"iid": sorted(iid for iid in seen if known[iid].public)}

    async def images_on(self, caller: Account, did: str) -> dict[str, list[int]]:
        """The numbers of the images that can run on a device.

        Raises
        ------
        NotFound
            There is no such device.
        """
        number = _number(did)
        if number not in {engine.did for engine in self._engines}:
            raise NotFound("device", did)
        index = self._images.index
        seen = await self._seen(caller)
        return {"iid": sorted(iid for iid in seen if index.runs_on(seen[iid], number))}

    async def image_facts(self, caller: Account, iid: str) -> dict[str, Any]:
        """An image.

        Raises
        ------
        NotFound
            It is somebody else's, or nobody's.
        """
        image = self._image(await self._seen(caller), _number(iid))
        shown = self._images.index.view(image)
        return {
            "did": self._images.registry.by_engine[image.id].device,
            "name": title(image),
            "public": shown.public,
            "user": shown.owner or EVERYBODY,
            "size": image.size,
        }

    async def save(self, caller: Account, body: MatrixImage) -> Running[dict[str, Any]]:
        """Save a container as an image of the caller's.

        Raises
        ------
        NotFound
            The container is somebody else's, or nobody's.
        Conflict
            The name is taken.
        """
        await self._find(caller, str(body.cid))
        saving = await self._saver.save(caller, str(body.cid), body)
        return saving.turned(lambda image: {"iid": image.iid})

    async def saved(self, caller: Account, result: Mapping[str, Any]) -> dict[str, Any]:
        """What `save` returns, by what is kept of its operation."""
        return {"iid": result["iid"]}

    async def delete_image(self, caller: Account, iid: str) -> dict[str, Any]:
        """Delete an image.

        Raises
        ------
        NotFound
            It is somebody else's, or nobody's.
        Conflict
            A container is based on it.
        """
        try:
            image = self._image(await self._seen(caller), _number(iid))
            await self._images.delete(caller, image.id, ImageDeleteQuery(force=True))
        except (NotFound, Forbidden):
            raise NotFound("image", iid, NO_IMAGE_TO_REMOVE) from None
        except Conflict:
            raise Conflict("image", iid, IMAGE_USED) from None
        return {}

    # -- inside ----------------------------------------------------------------------------------

    async def _find(self, caller: Account, cid: str) -> Container:
        # A name may be all digits, and is no number here.
        if _number(cid) in self._registry.by_cid:
            try:
                return await self._containers.get(caller, cid)
            except NotFound:
                pass
        raise NotFound("container", cid, NO_CONTAINER)

    async def _seen(self, caller: Account) -> dict[int, EngineImage]:
        return {item.iid: item.engine for item in await self._images.all(caller) if item.iid}

    def _image(self, seen: dict[int, EngineImage], iid: int) -> EngineImage:
        if iid not in seen:
            raise NotFound("image", iid, NO_IMAGE)
        return seen[iid]

    def _way_in(self, item: Container, *, password: bool = True) -> dict[str, Any]:
        ports = self._connections.of(item)["ports"]
        return {
            "portssh": ports["ssh"],
            "portjupyter": ports["jupyter"],
            "porttsb": ports["tensorboard"],
            "passwd": self._connections.password(item) if password else None,
        }

    def _made(self, item: Container) -> dict[str, Any]:
        return {**self._way_in(item), "cid": item.cid}

    async def _said(self, work: Awaitable[T], gid: int | Sequence[int] | str | None) -> T:
        """Do something, and say in the document's words why it failed."""
        try:
            return await work
        except PlatformError as error:
            _say(error, gid)


def _say(error: PlatformError, gid: int | Sequence[int] | str | None) -> NoReturn:
    match error:
        case InvalidRequest() if error.fields.keys() <= {"cpu", "mem"}:
            raise Conflict("device", LOCAL_DEVICE, NOT_ENOUGH) from error
        case Conflict(kind="device"):
            raise Conflict("device", error.name, NOT_ENOUGH) from error
        case Conflict(kind="gpu"):
            which = error.name if error.name != "0" else gid or "auto"
            raise Conflict("gpu", error.name, f"gpu {which} not available") from error
        case NotFound(kind="image"):
            raise NotFound("image", error.name, NO_IMAGE) from error
        case Conflict() | Forbidden() if not isinstance(error, QuotaExceeded):
            _log.info("A container was not made: %s", error)
            raise Conflict("container", "", NOT_RUN) from error
    raise error


def _number(text: str) -> int:
    """Return a number of the path, 0 where it is none: nothing has that number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _whole(cpu: float) -> float:
    return int(cpu) if cpu == int(cpu) else cpu
