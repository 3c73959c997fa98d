"""Finds images for a caller, from memory alone: no spelling reaches what is somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..accounts.schemas import Account
from ..errors import InvalidRequest, NotFound
from .image_registry import ImageRegistry
from .image_types import EngineImage
from .marks import PART, REFITTED
from .people import People
from .references import (
    ImageReference,
    image_name_problem,
    looks_like_id,
    parse_reference,
    saved_reference,
)
from .views import Image

if TYPE_CHECKING:
    from ..store.secrets import Secrets


class ImageIndex:
    """The engines' side of images (the last lists) and ours (the registry) put together."""

    def __init__(self, registry: ImageRegistry, people: People, secrets: Secrets) -> None:
        self._registry = registry
        self._people = people
        self._secrets = secrets
        self.images: dict[str, EngineImage] = {}
        self._names: dict[str, str] = {}
        self._lists: Mapping[int, Mapping[str, EngineImage]] = {}
        self.shared = False
        """Whether devices get one another's images through a registry of their own."""
        self.filled = False
        """Whether the engine has listed its images."""

    def fill(
        self,
        images: Mapping[str, EngineImage],
        lists: Mapping[int, Mapping[str, EngineImage]],
    ) -> None:
        """Take the engines' lists in, together and by device; all images have records by now."""
        self.images = dict(images)
        self._lists = {did: dict(found) for did, found in lists.items()}
        # Where devices mean different images by a name, the first device's counts.
        self._names = {
            name: image.id
            for did in sorted(lists, reverse=True)
            for image in lists[did].values()
            for name in (*image.digests, *image.tags)
        }
        self.filled = True

    def devices(self, engine_id: str) -> list[int]:
        """The devices that have an image."""
        return [did for did, images in sorted(self._lists.items()) if engine_id in images]

    def visible(self, caller: Account, engine_id: str) -> bool:
        """Whether the caller may know of an image."""
        known = self._registry.by_engine.get(engine_id)
        if known is None:
            return caller.is_admin
        mine = caller.id == known.owner or caller.id in known.readers
        return known.public or mine or caller.is_admin

    def hidden(self, image: EngineImage) -> bool:
        """Whether nobody is shown an image: it belongs to one container, or is not finished.

        A label counts only where no recipe of somebody's could have written it.
        """
        name = image.labels.get(REFITTED, "")
        if name and (name in image.tags or not (image.tags or image.digests)):
            return True
        return self._secrets.sealed(image.labels.get(PART, ""))

    def seen(self, caller: Account) -> list[EngineImage]:
        """Public images, the caller's own and those shared with them, newest first."""
        seen = [
            image
            for image in self.images.values()
            if not self.hidden(image) and self.visible(caller, image.id)
        ]
        return sorted(seen, key=lambda image: image.created_at, reverse=True)

    def has(self, reference: ImageReference) -> bool:
        """Whether the engine has an image of this name, whosever it is."""
        return str(reference) in self._names

    def named(self, reference: ImageReference) -> EngineImage | None:
        """The image that the engine has by this name, whosever it is."""
        return self.images.get(self._names.get(str(reference), ""))

    def find(self, caller: Account, name: str) -> EngineImage | None:
        """The image that a name, tag, digest, id or the beginning of one means to the caller.

        Raises
        ------
        InvalidRequest
            Several ids begin so.
        """
        reference = parsed(name)
        candidates: Iterable[str] = ()
        if reference is not None and str(reference) in self._names:
            candidates = [self._names[str(reference)]]
        elif looks_like_id(name):
            begin = name if name.startswith("sha256:") else f"sha256:{name}"
            candidates = [key for key in self.images if key.startswith(begin)]
        found = [self.images[key] for key in candidates if self.visible(caller, key)]
        if len(found) > 1:
            raise InvalidRequest(fields={"image": f"{name} is the beginning of several ids"})
        return found[0] if found else None

    def by_ref(self, caller: Account, ref: str) -> EngineImage:
        """The caller's image of a number, name or id; of their own the name's last part will do.

        Raises
        ------
        NotFound
            There is none, or it is somebody else's.
        """
        if ref.isascii() and ref.isdecimal() and len(ref) < 10:
            known = self._registry.by_iid.get(int(ref))
            if known is not None and self.visible(caller, known.engine_id):
                image = self.images.get(known.engine_id)
                if image is not None:
                    return image
        found = self.find(caller, ref) or self._own(caller, ref)
        if found is None:
            raise missing(ref)
        return found

    def _own(self, caller: Account, name: str) -> EngineImage | None:
        if image_name_problem(name):
            return None
        image = self.named(saved_reference(caller.username, caller.id, name))
        return image if image is not None and self.visible(caller, image.id) else None

    def argument(self, caller: Account, name: str) -> str:
        """What the engine is given for a name: no text that it could read as something else.

        A name always has its tag, so that it can't be taken for the beginning of an id.
        """
        reference, found = parsed(name), self.find(caller, name)
        if reference is not None and (found is None or str(reference) in self._names):
            return str(reference)
        return found.id if found is not None else name

    def runs_on(self, image: EngineImage, did: int) -> bool:
        """Whether a device has an image, or gets it from a registry."""
        return self.shared or bool(image.digests) or did in self.devices(image.id)

    def on_device(self, did: int, argument: str, image: EngineImage) -> str:
        """What a device's engine is given for an image: not every one has it by every name."""
        there = self._lists.get(did, {}).get(image.id)
        if there is not None and argument in (*there.tags, *there.digests):
            return argument
        return image.id

    def owns(self, caller: Account, image: EngineImage) -> bool:
        """Whether the caller decides who else sees an image."""
        known = self._registry.by_engine.get(image.id)
        return caller.is_admin or (known is not None and known.owner == caller.id)

    def view(self, image: EngineImage, reader: str | None = None) -> Image:
        """An image as managers hand it out.

        Parameters
        ----------
        reader
            An account that it is shared with, which sees no other share; None for its owner's view.
        """
        known = self._registry.by_engine.get(image.id)
        if known is None:
            return Image(None, None, False, image)
        owner = self._people.name(known.owner) if known.owner else None
        readers = known.readers if reader is None else known.readers & {reader}
        names = tuple(sorted(self._people.name(each) for each in readers))
        return Image(known.iid, owner, known.public, image, names)

    def view_for(self, caller: Account, image: EngineImage) -> Image:
        """An image as the caller may see it."""
        return self.view(image, None if self.owns(caller, image) else caller.id)


def parsed(name: str) -> ImageReference | None:
    """A name taken apart, None where it is none."""
    try:
        return parse_reference(name)
    except ValueError:
        return None


def title(image: EngineImage) -> str:
    """What people call an image."""
    return image.tags[0] if image.tags else image.id[:19]


def missing(name: str) -> NotFound:
    """Say that there is no such image, whether it is somebody else's or nobody's."""
    return NotFound("image", name, f"No image goes by {name!r}.")
