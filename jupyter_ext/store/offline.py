"""The store as whoever works on it sees it while no server does: by plain connections."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, inspect, select

from ..errors import Conflict, Unavailable
from .base import Fact
from .leases import ServerRecord, is_gone
from .schema import current_revision, revisions
from .types import utcnow

if TYPE_CHECKING:
    from .database import Store


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one store from another.

    Parameters
    ----------
    id
        The store's own.
    revision
        Of its schema.
    key
        Fingerprint of the key that encrypts its secrets.
    """

    id: str
    revision: str
    key: str


def identify(connection: Connection) -> Identity | None:
    """Read what a database says of itself; None where it is no store."""
    revision = current_revision(connection)
    if revision is None or not inspect(connection).has_table(Fact.__tablename__):
        return None
    table = Fact.__table__.c
    rows = connection.execute(select(table.name, table.value))
    facts: dict[str, str] = {row.name: row.value for row in rows}
    if "id" not in facts or "key" not in facts:
        return None
    return Identity(facts["id"], revision, facts["key"])


def known(identity: Identity | None, where: str) -> Identity:
    """Return the identity of a store that this version can read.

    Raises
    ------
    Unavailable
        It is none, or newer.
    """
    if identity is None:
        raise Unavailable(f"There is no store in {where}.", "Was a server ever started there?")
    if identity.revision not in revisions():
        raise Unavailable(
            f"The schema of {where} ({identity.revision}) is newer than this version of "
            f"jupyter-ext knows ({revisions()[-1]}).",
            "Install the version that made it, or a newer one.",
        )
    return identity


def where(store: Store) -> str:
    """Name a store for a person, without its password."""
    return str(store.path or store.url.render_as_string(hide_password=True))


def check_present(store: Store) -> None:
    """Refuse a file that is not there, which opening it would make."""
    if store.path is not None and not store.path.is_file():
        raise Unavailable(f"There is no store at {store.path}.", "Which home is it? See --home.")


def check_unused(store: Store, connection: Connection) -> None:
    """Refuse a store that a server has open, on whichever machine.

    Raises
    ------
    Conflict
        One has.
    """
    if not inspect(connection).has_table(ServerRecord.__tablename__):
        return
    now = utcnow() if store.is_sqlite else connection.execute(select(_CLOCK)).scalar_one()
    rows = connection.execute(select(ServerRecord.__table__)).mappings().all()
    records = (ServerRecord(**row) for row in rows)
    alive = [each for each in records if each.expires_at > now.astimezone(UTC)]
    names = [f"{each.host} (process {each.pid})" for each in alive if not is_gone(each)]
    if names:
        raise Conflict(
            "store",
            where(store),
            f"A server has the store open: {', '.join(names)}. Stop it, and try again; one that "
            "was killed on another machine counts as running for 20 seconds.",
        )


_CLOCK = func.clock_timestamp(type_=ServerRecord.__table__.c.expires_at.type)


def check_sqlite(path: Path) -> None:
    """Have SQLite look through a whole file.

    Raises
    ------
    Unavailable
        It is damaged, or no database.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as database:
            said = [line for (line,) in database.execute("PRAGMA integrity_check(5)")]
    except sqlite3.DatabaseError as error:
        said = [str(error)]
    if said != ["ok"]:
        raise Unavailable(f"{path} is damaged: {'; '.join(said)}.", "Take another backup.")


def stamp() -> str:
    """Return this moment as part of a name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
