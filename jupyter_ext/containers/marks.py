"""Labels that tell which containers are ours and whose, also when the store is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .engine_types import EngineContainer
from .references import CONTAINER_NAME, engine_name

OWNER = "jupyter_ext.owner"
NAME = "jupyter_ext.name"
CID = "jupyter_ext.cid"
HOME = "jupyter_ext.home"
LABELS = (OWNER, NAME, CID, HOME)
NOTEBOOK = "jupyter_ext.image"
"""Of the notebook image, and of all that is made of it (its Dockerfile says so)."""
SAVED = "jupyter_ext.saved"
"""Of an image that was made of a container."""
PROBE = "jupyter_ext.probe"
PROBE_NAME = "jupyter-ext-probe-"
"""What the name of a container begins with that looks for GPUs, and has that label."""
REFITTED = "jupyter_ext.refitted"
"""Of an image that one container was made again of; it goes with the container."""
PART = "jupyter_ext.part"
"""Of what an image is being made of in several steps: which operation does it, sealed by the store.

Any image may have a label of this name from its recipe; only a value with the store's seal hides.
"""

_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True)
class Mark:
    """What a container's labels say.

    Parameters
    ----------
    owner
        A user name.
    home
        The store's id.
    """

    owner: str
    name: str
    cid: int
    home: str

    def labels(self) -> dict[str, str]:
        """Write it as labels."""
        return {OWNER: self.owner, NAME: self.name, CID: str(self.cid), HOME: self.home}


def read_mark(container: EngineContainer, image: Mapping[str, str] | None) -> Mark | None:
    """Read a container's labels, None where they are not ours.

    An image's labels become those of its containers. Whoever makes an image could so name themself
    the owner of what root starts from it with the plain docker command; so a mark counts only where
    it is the container's own, and the engine's name of the container says the same.

    Parameters
    ----------
    image
        Labels of the container's image, None where they are not known.
    """
    labels = container.labels
    owner, name, number, home = (labels.get(key, "") for key in LABELS)
    if image is None or not (owner and home and CONTAINER_NAME.fullmatch(name)):
        return None
    if not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER):
        return None
    # No two containers of a store have one number, so an image never has that of its container.
    if (image.get(CID), image.get(HOME)) == (number, home):
        return None
    prefix = engine_name(owner, "")
    if not container.name.startswith(prefix):
        return None
    # It may have been renamed since the label was written.
    return Mark(owner, container.name.removeprefix(prefix) or name, int(number), home)
