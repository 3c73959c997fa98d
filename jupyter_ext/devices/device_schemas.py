"""What goes in and out of devices."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from ..models import Model

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_USER_OR_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_GPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}")

DeviceState = Literal["ready", "draining", "lost", "no-address", "down", "left"]

MOST_GPUS = 256
"""Of one device."""


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or value.isdigit():
        raise ValueError(
            "must have 1 to 63 letters, digits, dots, dashes and underscores, begin with a letter "
            "or digit, and be no number"
        )
    return value


def check_address(value: str) -> str:
    """See that an engine of another host can be reached by an address, and return it.

    Raises
    ------
    ValueError
        It can't.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("ssh", "tcp", "https") or not parts.hostname:
        raise ValueError("must be ssh://user@host or tcp://host:port")
    if parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("must have no password, path or query: ssh uses keys, tcp certificates")
    user, host = parts.username, parts.hostname
    # The configuration of ssh may hand them to a shell, or to a program as its argument.
    if (user and not _USER_OR_HOST.fullmatch(user)) or not (
        _USER_OR_HOST.fullmatch(host) or _is_ip(host)
    ):
        raise ValueError("has a user or host that is none: letters, digits, dots and dashes")
    try:
        parts.port  # noqa: B018 - says whether it is one
    except ValueError:
        raise ValueError("has a port that is none") from None
    return value.rstrip("/")


def _folder(value: str) -> str:
    if not PurePosixPath(value).is_absolute():
        raise ValueError("must be a whole path, from / on")
    return value


def _ip(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _is_ip(value: str) -> bool:
    try:
        return bool(ipaddress.ip_address(value)) and "%" not in value
    except ValueError:
        return False


def _uuid(value: str) -> str:
    if not _GPU.fullmatch(value):
        raise ValueError("must be as the driver names it: GPU-… or MIG-…")
    return value


def check_trust(address: str, host_key: str | None, certificates: str | None) -> None:
    """See that what makes a host trusted fits its address.

    Raises
    ------
    ValueError
        It does not.
    """
    if urlsplit(address).scheme == "ssh":
        if certificates is not None:
            raise ValueError("certificates are for tcp://; ssh uses keys")
    elif host_key is not None:
        raise ValueError("host_key is for ssh://; tcp uses certificates")
    elif certificates is None:
        raise ValueError(
            "tcp:// needs certificates: without TLS everybody on the network is root there"
        )


DeviceName = Annotated[str, AfterValidator(_name)]
Address = Annotated[str, Field(max_length=512), AfterValidator(check_address)]
Folder = Annotated[str, Field(max_length=4096), AfterValidator(_folder)]
IpAddress = Annotated[str, Field(max_length=64), AfterValidator(_ip)]


class DeclaredGpu(Model):
    """A GPU of a device that is not this machine."""

    uuid: Annotated[str, AfterValidator(_uuid)]
    model: str = Field(min_length=1, max_length=128, examples=["NVIDIA A100-SXM4-80GB"])
    memory: int = Field(ge=1, le=1 << 24, description="MB")


class NewDevice(Model):
    """A host to be added."""

    name: DeviceName
    address: Address = Field(examples=["ssh://docker@gpu2.lab", "tcp://gpu3.lab:2376"])
    host_key: str | None = Field(
        None, max_length=128, description="Of ssh, the fingerprint of the host's key: SHA256:…"
    )
    certificates: Folder | None = Field(
        None,
        description="Of tcp, the folder of this machine with ca.pem, cert.pem and key.pem",
    )
    bind_address: IpAddress | None = Field(
        None, description="What ports are bound to there; the host's own address by default"
    )
    gpus: list[DeclaredGpu] | None = Field(
        None, max_length=MOST_GPUS, description="Left out: looked for by a container"
    )

    @model_validator(mode="after")
    def _trusted(self) -> Self:
        check_trust(self.address, self.host_key, self.certificates)
        return self


class DeviceChange(Model):
    """What of a device can be changed; what is left out stays."""

    name: DeviceName | None = None
    address: Address | None = Field(
        None, description="Where its engine is now, with host_key or certificates as for a new one"
    )
    host_key: str | None = Field(None, max_length=128)
    certificates: Folder | None = None
    bind_address: IpAddress | None = None
    draining: bool | None = Field(None, description="true: nothing new is placed there")
    gpus: list[DeclaredGpu] | None = Field(None, max_length=MOST_GPUS)


class DeviceRemoval(Model):
    """How to remove a device."""

    force: bool = Field(
        False, description="Also where containers are left on it, which are forgotten"
    )


class DeviceReply(Model):
    """A host with an engine: how it is, what it has, and what of it is taken."""

    did: int
    name: str
    state: DeviceState = Field(
        description="no-address: a node of the swarm whose engine can't be reached without one; "
        "down: so says the swarm, though its engine answers; left: the swarm, and containers are "
        "left on it"
    )
    since: str | None = Field(description="RFC 3339; null where nobody knows")
    problem: str | None = Field(None, description="Why it can't be reached; to administrators")
    address: str | None = Field(None, description="Of its engine; to administrators")
    node: str | None = Field(None, description="Its id in the swarm; to administrators")
    bind_address: str
    cpu_name: str
    total_cpu: float
    used_cpu: float
    total_memory: int = Field(description="Bytes")
    used_memory: int = Field(description="Bytes")
    gpus: list[int] = Field(description="Numbers of its GPUs")
    used_gpus: list[int]
    containers: int = Field(description="Of everybody")


class DeviceList(Model):
    """All devices."""

    devices: list[DeviceReply]
    total: int


class RemovedDevice(Model):
    """A device that was removed."""

    did: int
    name: str
