"""Where a cluster lies, and how its programs reach it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .processes import SystemUser
from .programs import Programs

SUPERUSER = "dba"
"""The cluster's own role, as the document calls it; it owns what nobody else does."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster of this machine.

    Parameters
    ----------
    data
        Its data directory.
    sockets
        The folder of its Unix socket, at which the owner of the files is the superuser without a
        password (peer authentication, mapped by ``pg_ident.conf``).
    port
        Of 127.0.0.1, and in the socket's name.
    user
        To whom the files belong, and as whom its programs run.
    """

    data: Path
    sockets: Path
    port: int
    user: SystemUser
    programs: Programs

    def conninfo(self, database: str = "postgres") -> dict[str, str]:
        """Return how the superuser connects, as libpq names the parameters."""
        return {
            "host": str(self.sockets),
            "port": str(self.port),
            "user": SUPERUSER,
            "dbname": database,
        }
