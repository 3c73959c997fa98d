"""How a host's engine is let in: trusted first, then asked what it is, and no device twice."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..addresses import refused_kind
from ..containers.docker_address import EngineAddress
from ..containers.engine_types import EngineInfo
from ..errors import Conflict, InvalidRequest
from .records import DeviceRecord
from .threads import in_a_thread


class Door(Protocol):
    """Who reaches engines that are no devices yet."""

    async def look(self, address: EngineAddress) -> EngineInfo:
        """Ask an engine what it is."""

    async def host_key(self, address: EngineAddress) -> tuple[str, str]:
        """Return the public key that an ssh host shows, and its fingerprint."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that somebody names.

    Parameters
    ----------
    host_key
        Of ssh, the fingerprint that the host's key must have.
    certificates
        Of tcp, the folder with ``ca.pem``, ``cert.pem`` and ``key.pem``.
    """

    name: str
    address: str
    host_key: str | None = None
    certificates: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """An engine that is trusted and has answered.

    Parameters
    ----------
    bind_address
        The host's own IP address.
    """

    address: EngineAddress
    info: EngineInfo
    bind_address: str

    def write(self, row: DeviceRecord) -> None:
        """Write down how the engine of a device is reached."""
        row.address = self.address.url
        row.host_key = self.address.host_key
        row.certificates = str(self.address.certificates or "")
        row.engine = self.info.id or None


async def admit(door: Door, candidate: Candidate, bind_address: str | None = None) -> Admitted:
    """Look at an engine that is to be a device's.

    Raises
    ------
    Conflict
        The host's key is not the one that was named; where none was, the text shows it.
    InvalidRequest
        The certificates can't be used, or the host's address is not known or no host's.
    Unavailable
        The engine does not answer.
    """
    own = await _own_address(EngineAddress(candidate.address).host, bind_address)
    address = await _trusted(door, candidate)
    info = await door.look(address)
    return Admitted(address, info, bind_address or own)


async def check_alone(session: AsyncSession, admitted: Admitted, name: str, did: int = 0) -> None:
    """See that an engine is no other device's.

    Parameters
    ----------
    did
        The device that it is to be of, where there is one already.

    Raises
    ------
    Conflict
        It is.
    """
    if not admitted.info.id:
        return
    device = DeviceRecord
    twin = await session.scalar(
        select(device.name).where(device.engine == admitted.info.id, device.did != did)
    )
    if twin is not None:
        raise Conflict(
            "device",
            name,
            f"The engine at {admitted.address.url} is the device {twin!r} already.",
            fields={"address": "is a device already"},
        )


async def _trusted(door: Door, candidate: Candidate) -> EngineAddress:
    """Return how a host is reached and known again."""
    if candidate.certificates is not None:
        folder = Path(candidate.certificates)
        await in_a_thread(lambda: _check_certificates(folder), "certificates")
        return EngineAddress(candidate.address, folder)
    address = EngineAddress(candidate.address)
    key, fingerprint = await door.host_key(address)
    if candidate.host_key is None:
        raise Conflict(
            "device",
            candidate.name,
            f"The host {address.host} shows the key {fingerprint} ({key.split()[0]}). Compare "
            "it with what the host's administrator says (`ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub` there), and name it as host_key.",
            fields={"host_key": f"is needed: {fingerprint}"},
        )
    if candidate.host_key != fingerprint:
        raise Conflict(
            "device",
            candidate.name,
            f"The host {address.host} shows another key, {fingerprint}: it is another host, or "
            "somebody is between.",
            fields={"host_key": f"is not the host's: {fingerprint}"},
        )
    return EngineAddress(candidate.address, host_key=key)


async def _own_address(host: str, bind_address: str | None) -> str:
    """Return a host's IP address, which the engine there binds ports to.

    Parameters
    ----------
    bind_address
        What they are bound to instead, so that the name may be one that only ssh knows.

    Raises
    ------
    InvalidRequest
        Its name is not known, or means what is no machine of anybody's.
    """
    try:
        found = [str(ipaddress.ip_address(host))]
    except ValueError:
        try:
            answers = await in_a_thread(lambda: socket.getaddrinfo(host, None), "host name")
        except (OSError, UnicodeError):
            if bind_address is not None:
                return bind_address
            problem = f"is needed: {host} is not known"
            raise InvalidRequest(fields={"bind_address": problem}) from None
        found = [str(answer[4][0]).partition("%")[0] for answer in answers]
    for text in found:
        address = ipaddress.ip_address(text)
        kind = refused_kind(address)
        # A tunnel's near end is a loopback address.
        if kind is not None and not address.is_loopback:
            raise InvalidRequest(fields={"address": f"is {kind}, where no host is"})
    return found[0]


def _check_certificates(folder: Path) -> None:
    """Refuse certificates that can't be used, or a key that is not secret.

    Raises
    ------
    InvalidRequest
        The text says why.
    """
    for name in ("ca.pem", "cert.pem", "key.pem"):
        path = folder / name
        try:
            # Whatever else goes by this name might never end.
            if not path.is_file():
                raise InvalidRequest(fields={"certificates": f"{name} is no file there"})
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            problem = f"{name} can't be read: {error.strerror}"
            raise InvalidRequest(fields={"certificates": problem}) from None
    if mode & stat.S_IROTH and folder.stat().st_mode & stat.S_IXOTH:
        problem = "key.pem can be read by everybody on this machine: `chmod 600` it"
        raise InvalidRequest(fields={"certificates": problem})
    try:
        EngineAddress("", folder).ssl_context()
    except (OSError, ValueError) as error:
        problem = f"can't be used: {getattr(error, 'reason', None) or error}"
        raise InvalidRequest(fields={"certificates": problem}) from None
