"""A connection as libpq's programs and drivers take it: by environment and a password file.

Neither an argument nor a variable holds the password, which both could be read by others:
https://www.postgresql.org/docs/current/libpq-envars.html and ``libpq-pgpass.html``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STRONGER = ("PGPASSWORD", "PGHOSTADDR", "PGSERVICE")
"""Variables that win over the password file, or over the host."""


def environment(connection: Mapping[str, Any], password_file: Path) -> dict[str, str]:
    """Return the variables that lead to a database.

    Parameters
    ----------
    connection
        What `database_connection` tells.
    """
    return {
        "PGHOST": str(connection["host"]),
        "PGPORT": str(connection["port"]),
        "PGUSER": str(connection["user"]),
        "PGDATABASE": str(connection["database"]),
        "PGPASSFILE": str(password_file),
    }


def password_line(connection: Mapping[str, Any]) -> str:
    """Return the line of a password file for a role in all databases of its server."""
    fields = (connection["host"], connection["port"], "*", connection["user"])
    parts = [*map(str, fields), str(connection["password"])]
    return ":".join(part if part == "*" else _escaped(part) for part in parts) + "\n"


def _escaped(field: str) -> str:
    return re.sub(r"([:\\])", r"\\\1", field)
