"""What goes in and out of devices and GPUs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..models import Model


class Holder(Model):
    """A container that has a place on a GPU; of somebody else's only since when."""

    since: str = Field(description="RFC 3339")
    mine: bool
    cid: int | None = None
    container: str | None = None
    username: str | None = None


class GpuProcess(Model):
    """A process that computes on a GPU; of somebody else's only its memory."""

    memory_used: int = Field(description="Bytes of the GPU's memory")
    pid: int | None = Field(None, description="On the host")
    cid: int | None = None
    container: str | None = None
    username: str | None = None


class GpuSample(Model):
    """A GPU at a moment that is over."""

    at: str = Field(description="RFC 3339")
    utilization: int | None = Field(description="%")
    memory_used: int | None = Field(description="Bytes")


class GpuReply(Model):
    """A GPU, who has it, and how busy it is."""

    gid: int
    device: int
    device_name: str
    uuid: str
    model: str
    memory: int = Field(description="Bytes")
    parent: str | None = Field(None, description="Of a MIG slice, the card's UUID")
    mode: Literal["exclusive", "shared"]
    slots: int = Field(description="Containers that may have it at once")
    free: int = Field(description="How many more may")
    present: bool = Field(description="Whether the device has it now")
    foreign: bool = Field(False, description="Whether a task of the swarm has it")
    holders: list[Holder]
    utilization: int | None = Field(None, description="%")
    memory_used: int | None = Field(None, description="Bytes")
    temperature: int | None = Field(None, description="°C")
    power: float | None = Field(None, description="W")
    processes: list[GpuProcess] = Field(default_factory=list)


class GpuMeasure(Model):
    """How busy a GPU is; what its driver does not tell, or a GPU of another machine, is null."""

    gid: int
    utilization: int | None = Field(None, description="Per cent")
    memory_used: int | None = Field(None, description="Bytes")
    temperature: int | None = Field(None, description="Degrees Celsius")
    power: float | None = Field(None, description="Watts")


class GpuDetail(GpuReply):
    """The same, with its last hour."""

    history: list[GpuSample]


class GpuList(Model):
    """All GPUs, and how many wait for one."""

    gpus: list[GpuReply]
    total: int
    waiting: int = Field(description="Requests in the queue")
