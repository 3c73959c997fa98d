"""What a container engine's driver takes and returns about images, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as the engine sees it; from `architecture` on only an inspect fills it."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    created_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    containers: int | None = None
    architecture: str = ""
    os: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """How far a layer of an image has come; `total` 0 while the engine has not said it."""

    id: str
    status: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull has come.

    Parameters
    ----------
    fraction
        0 to 1, None while no layer has a size.
    message
        The engine's last sentence that is not about a layer.
    """

    layers: tuple[LayerProgress, ...]
    fraction: float | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build has come.

    Parameters
    ----------
    step, steps
        Which instruction of how many; 0 before the first.
    line
        What it printed.
    image
        The id of the image, once it is there.
    """

    step: int
    steps: int
    instruction: str
    line: str = ""
    image: str = ""

    @property
    def fraction(self) -> float | None:
        """0 to 1, None while nobody knows."""
        return (self.step - 1) / self.steps if self.steps else None


@dataclass(frozen=True, slots=True)
class FlattenProgress:
    """How far a container's files have come on their way into one layer.

    Parameters
    ----------
    moved, total
        Bytes; `total` is about what there is, 0 where nobody knows.
    image
        The id of the image, once it is there.
    pauses_after
        Of the report before the container is paused: the engine's time, in seconds of the epoch.
    """

    moved: int
    total: int
    image: str = ""
    pauses_after: float | None = None

    @property
    def fraction(self) -> float | None:
        """0 to 1, None while nobody knows."""
        return min(1.0, self.moved / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """A person's login at a registry, for one pull; never kept by the driver, never shown."""

    username: str
    password: str = field(repr=False)
