"""Which pgBackRest reads which PostgreSQL."""

from __future__ import annotations

from ..errors import Unavailable

READS = ((14, (2, 34)), (15, (2, 39)), (16, (2, 46)), (17, (2, 53, 1)), (18, (2, 55)))
"""The first pgBackRest that reads each version of PostgreSQL. Source: pgBackRest's release notes,
"PostgreSQL N support" under each release."""


def check_pair(version: str, server: int) -> None:
    """Refuse a pgBackRest that does not read this PostgreSQL.

    Raises
    ------
    Unavailable
        The text names the version that is needed.
    """
    needed = next((least for major, least in READS if server <= major), READS[-1][1])
    if tuple(int(part) for part in version.split(".")) < needed:
        least = ".".join(str(part) for part in needed)
        raise Unavailable(
            f"Backups of PostgreSQL {server} need pgBackRest {least} or newer, and {version} is "
            "installed.",
            "Install a newer one (apt.postgresql.org has it), or run an older PostgreSQL.",
        )
