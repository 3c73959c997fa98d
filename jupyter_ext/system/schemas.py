"""What the system routes answer."""

from __future__ import annotations

from pydantic import Field

from ..devices.schemas import GpuMeasure
from ..models import Model


class Problem(Model):
    """Something that is missing, and what to do."""

    service: str
    what: str
    cure: str = ""
    critical: bool = Field(False, description="Whether nothing works without it")


class Status(Model):
    """Whether all is well."""

    status: str = Field(description="healthy, degraded or unhealthy")
    version: str
    uptime: int = Field(description="Seconds since the server started")
    services: dict[str, str] = Field(description="State of each service by name")
    problems: list[Problem] = Field(default_factory=list)


class System(Model):
    """The machine."""

    hostname: str
    os: str
    cpu: int = Field(description="Logical cores")
    memory: str
    memory_bytes: int
    disk: str
    disk_bytes: int


class Traffic(Model):
    """Counters of all interfaces but loopback, in bytes since the machine started."""

    rx_bytes: int
    tx_bytes: int


class Resources(Model):
    """How busy the machine is."""

    cpu_usage: float = Field(description="Percent of all cores")
    memory_usage: float = Field(description="GB")
    memory_percent: float
    memory_total: float = Field(description="GB")
    disk_usage: float = Field(description="Percent of the disk that holds the server's state")
    network: Traffic
    gpus: list[GpuMeasure] = Field(default_factory=list, description="Of this machine")
