"""What goes in and out of containers and images."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..devices.placement import Wish
from ..models import Model
from .connection import WAYS_IN
from .fields import (
    LARGEST_NUMBER,
    MEGABYTE,
    Command,
    Cpu,
    Environment,
    GpuCount,
    GpuMemory,
    GpuModel,
    Gpus,
    ImageName,
    Memory,
    Name,
    PortMap,
    RestartPolicy,
)
from .references import parse_reference

Status = Literal["created", "running", "paused", "restarting", "exited", "dead", "lost"]

VOLUMES = 100


class Volume(Model):
    """A folder of the host in a container."""

    host_path: str = Field(min_length=1, max_length=4096)
    container_path: str = Field(min_length=1, max_length=4096)
    read_only: bool = False


class NewContainer(Model):
    """A container to be made and started."""

    name: Name
    image: ImageName
    ports: PortMap = Field(default_factory=dict)
    environment: Environment = Field(default_factory=dict)
    volumes: list[Volume] = Field(default_factory=list, max_length=VOLUMES)
    command: Command | None = None
    cpu: Cpu | None = None
    mem: Memory | None = None
    restart_policy: RestartPolicy | None = None
    gid: Gpus = None
    count: GpuCount = None
    gpu_model: GpuModel = None
    gpu_memory: GpuMemory = None
    gpu_shared: bool = Field(False, description="A place on a GPU that others may be on, too")
    wait: bool = Field(False, description="Wait in the queue where no such GPU is free")
    device: int | None = Field(
        None, ge=1, le=LARGEST_NUMBER, description="Number of a device; chosen where left out"
    )
    connect: bool = Field(
        False,
        description="Ports for ssh, JupyterLab and TensorBoard, and a password, where the image "
        "knows what to do with them",
    )

    @model_validator(mode="after")
    def _ways_in(self) -> NewContainer:
        if self.connect:
            # What was asked for by number keeps its number.
            self.ports = {**dict.fromkeys(WAYS_IN), **self.ports}
        return self

    @model_validator(mode="after")
    def _one_way_to_ask(self) -> NewContainer:
        any_will_do = self.gid == "auto" or self.count
        if (numbers := self._numbers) and self.count not in (None, 0, len(numbers)):
            raise ValueError(f"count is {self.count}, but gid names {len(numbers)} GPUs")
        if self.gid == "auto" and self.count == 0:
            raise ValueError("count is 0, but gid is auto")
        narrower = self.gpu_model or self.gpu_memory or self.gpu_shared
        if narrower and (numbers or not any_will_do):
            raise ValueError("gpu_model, gpu_memory and gpu_shared need gid=auto or a count")
        return self

    @property
    def _numbers(self) -> tuple[int, ...]:
        if self.gid is None or self.gid == "auto":
            return ()
        return tuple(self.gid) if isinstance(self.gid, list) else (self.gid,)

    @property
    def waits(self) -> bool:
        """Whether it may wait for GPUs."""
        return self.wait and self.wish is not None

    @property
    def wish(self) -> Wish | None:
        """Which GPUs it wants; None for none."""
        if numbers := self._numbers:
            return Wish(gids=numbers)
        if self.gid != "auto" and not self.count:
            return None
        memory = (self.gpu_memory or 0) * MEGABYTE
        return Wish((), self.count or 1, self.gpu_model or "", memory, self.gpu_shared)


class ContainerChange(Model):
    """What of a container can be changed; what is left out stays."""

    name: Name | None = None
    cpu: Cpu | None = None
    mem: Memory | None = None
    restart_policy: RestartPolicy | None = None


class PageQuery(Model):
    """Which part of a list."""

    limit: int = Field(50, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=1 << 31)


class ContainerQuery(PageQuery):
    """Which containers."""

    status: Status | None = None


class StopOptions(Model):
    """How to stop."""

    timeout: int | None = Field(
        None, ge=0, le=3600, description="Seconds until it is killed; the image's own by default"
    )


class DeleteQuery(Model):
    """How to delete."""

    force: bool | None = Field(
        None,
        description="true kills a running container, false refuses it; stopped first if left out",
    )
    volumes: bool = Field(False, description="Its unnamed volumes, too")


class ImageDeleteQuery(Model):
    """How to delete an image."""

    force: bool = Field(False, description="Also where it has several tags")


class LogsQuery(Model):
    """Which part of what a container printed."""

    tail: int = Field(100, ge=0, le=10_000, description="Last lines")
    since: datetime | None = None
    until: datetime | None = None
    follow: bool = False
    timestamps: bool = False

    @field_validator("since", "until", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        """RFC 3339, or seconds since 1970."""
        if value is None or value == "":
            return None
        try:
            if isinstance(value, int | float) or re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", str(value)):
                return datetime.fromtimestamp(float(value), UTC)
            # A plus sign that was not escaped in a URL arrives as a space.
            moment = datetime.fromisoformat(re.sub(r" (\d\d:\d\d)$", r"+\1", str(value)))
        except (ValueError, OverflowError, OSError):
            raise ValueError("must be RFC 3339 or seconds since 1970") from None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @model_validator(mode="after")
    def _in_order(self) -> LogsQuery:
        if self.since and self.until and self.since > self.until:
            raise ValueError("since is later than until")
        return self


class ExecQuery(Model):
    """What to run in a container."""

    cmd: str | None = Field(None, max_length=4096, description="A line; a shell by default")
    tty: bool = True


class ConnectionQuery(Model):
    """What of the way into a container."""

    password: bool = Field(False, description="The password, too")


class PathQuery(Model):
    """A path inside a container."""

    path: str = Field(min_length=1, max_length=4096)

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("must begin with /")
        return value


class MetricsQuery(Model):
    """How far back."""

    duration: int | None = Field(None, ge=1, le=3600, description="Seconds of history")


class PullBody(Model):
    """An image to pull."""

    name: str = Field(min_length=1, max_length=512, examples=["nginx"])
    tag: str = Field("latest", max_length=128)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        value = value.strip()
        parse_reference(value)
        return value

    @field_validator("tag")
    @classmethod
    def _check_tag(cls, value: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if name is None:
            return value
        named = _tag_of(name)
        if not named:
            parse_reference(_joined(name, value))
        elif value not in ("latest", named):
            raise ValueError(f"differs from {named} in the name")
        return value

    @property
    def reference(self) -> str:
        """Name and tag in one; a tag or digest in the name wins over the default one."""
        return self.name if _tag_of(self.name) else _joined(self.name, self.tag)


def _tag_of(name: str) -> str:
    """The tag or digest that a name ends with."""
    last = name.rsplit("/", 1)[-1]
    return last.partition("@" if "@" in last else ":")[2]


def _joined(name: str, tag: str) -> str:
    return f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"
