"""A database as a connection of JupySQL's ``%sql``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine


def engine_of(connection: Mapping[str, Any], password_file: Path) -> Engine:
    """Return a database's engine; its URL names the password file instead of the password."""
    from sqlalchemy import URL, create_engine

    where = URL.create(
        "postgresql+psycopg",
        username=connection["user"],
        host=connection["host"],
        port=connection["port"],
        database=connection["database"],
        query={"passfile": str(password_file)},
    )
    return create_engine(where)


def open_in_sql(connection: Mapping[str, Any], password_file: Path) -> bool:
    """Make a database the one that ``%sql`` asks, by its name as alias.

    Returns
    -------
    bool
        Whether this is a notebook where JupySQL and psycopg are installed.

    Raises
    ------
    Unavailable
        The database can't be reached.
    """
    # ipython-sql has a package `sql`, too, and so may a user's own folder.
    if not (_installed("jupysql") and _installed("psycopg")):
        return False
    import IPython
    from sql.connection import ConnectionManager

    shell: Any = IPython.core.getipython.get_ipython()
    if shell is None:
        return False
    shell.extension_manager.load_extension("sql")
    magic = shell.magics_manager.registry.get("SqlMagic")
    name = connection["database"]
    before = ConnectionManager.connections.get(name)
    try:
        ConnectionManager.set(
            engine_of(connection, password_file), displaycon=False, alias=name, config=magic
        )
    except Exception as error:  # JupySQL's own errors have no common base
        where = f"{connection['host']}:{connection['port']}"
        raise Unavailable(
            f"{name} can't be opened from here: {error}.", f"Is {where} to be reached?"
        ) from error
    if before is not None:
        before.close()
    return True


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
