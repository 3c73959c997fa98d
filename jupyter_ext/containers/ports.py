"""Ports of the host: which may be asked for, and which are free."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass

from ..errors import InvalidRequest, Unavailable

Ports = dict[str, int | None]
"""``{"80/tcp": 8080}``."""

Place = tuple[int, int, str]
"""A device, a port and a protocol: what one container has for itself."""


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """What may be published, and where.

    Parameters
    ----------
    lowest
        The first port that may be asked for.
    first, last
        Where free ones are picked; outside the kernel's own range for outgoing connections.
    address
        What they are bound to.
    """

    lowest: int = 1024
    first: int = 20_000
    last: int = 32_000
    address: str = "127.0.0.1"

    def check(self, ports: Ports) -> None:
        """Refuse ports below the lowest.

        Raises
        ------
        InvalidRequest
            Naming each.
        """
        low = [port for port in ports.values() if port is not None and port < self.lowest]
        if low:
            names = ", ".join(map(str, sorted(low)))
            raise InvalidRequest(
                fields={"ports": f"{names}: ports of the host begin at {self.lowest} here"}
            )

    def choose(self, ports: Ports, taken: Collection[tuple[int, str]]) -> Ports:
        """Pick a free port wherever any will do.

        Parameters
        ----------
        taken
            ``(port, protocol)`` of all that are claimed.

        Raises
        ------
        Unavailable
            There is none.
        """
        chosen: Ports = {}
        for key, port in ports.items():
            if port is None:
                protocol = key.partition("/")[2]
                numbers = {number for number, other in taken if other == protocol}
                numbers |= {number for number in (*ports.values(), *chosen.values()) if number}
                port = self.pick(protocol, numbers)
            chosen[key] = port
        return chosen

    def pick(self, protocol: str, taken: Collection[int]) -> int:
        """Find a port that nobody has.

        Raises
        ------
        Unavailable
            There is none.
        """
        count = self.last - self.first + 1
        start = random.randrange(count)  # noqa: S311 - spreads, keeps no secret
        for step in range(count):
            port = self.first + (start + step) % count
            if port not in taken and self._free(port, protocol):
                return port
        raise Unavailable(
            f"No port between {self.first} and {self.last} is free.",
            "Delete containers that are not needed, or widen the range.",
        )

    def _free(self, port: int, protocol: str) -> bool:
        """Whether no process has it now; the engine says it again when the container starts."""
        if protocol == "sctp":
            return True
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with closing(socket.socket(family, kind)) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, port))
            except PermissionError:
                return False
            except OSError as error:
                # An address of another machine can't be tried from here.
                return error.errno not in (98, 48)
        return True
