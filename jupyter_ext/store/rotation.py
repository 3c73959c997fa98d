"""The store's key is replaced by a new one, and every secret encrypted anew.

Each encrypted text names its key (`Secrets.encrypt`), so the texts are found by their form in every
column that holds text, those in JSON too: no list of them is kept, and none can be forgotten.

Whenever this is killed, file and store fit each other: the file has both keys until the transaction
that encrypts all is committed. The next run goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    MetaData,
    String,
    Text,
    cast,
    literal,
    select,
    type_coerce,
    update,
)

from ..errors import Conflict, Unavailable
from .base import Fact
from .offline import check_present, check_unused, identify, known, where
from .schema import alone
from .secrets import KEY_VARIABLE, Secrets, new_key, write_keys

if TYPE_CHECKING:
    from .database import Store

ENCRYPTED = re.compile(r"\b[0-9a-f]{8}\.gAAAA[\w-]+={0,2}", re.ASCII)
"""A key's name and a token. Source: the Fernet specification (version 0x80, then 64 bits of time,
whose first bytes are zero for some centuries)."""

APPEND_ONLY = frozenset({"audit"})
"""Tables whose rows the database lets nobody change; they hold no secrets."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done.

    Parameters
    ----------
    key
        Fingerprint of the new key.
    secrets
        How many were encrypted anew.
    unreadable
        Texts that look like secrets and that none of the keys opens; they are as they were.
    resumed
        Whether this finished what an earlier run began.
    retire
        Where old keys still are, which this program may not write; None: nowhere.
    """

    key: str
    secrets: int
    unreadable: int
    resumed: bool
    retire: str | None


def rotate(store: Store, progress: Progress) -> Rotated:
    """Replace the key.

    Parameters
    ----------
    store
        Not open.
    progress
        Called with the share that is done and the table at which this is.

    Raises
    ------
    Unavailable
        There is no store, its key does not fit, or it is not in a file that can be written.
    Conflict
        A server has the store open.
    """
    check_present(store)
    secrets = store.secrets
    secrets.load()
    with store.translating(), alone(store) as connection:
        _check(store, connection)
    resumed = len(secrets.keys) > 1
    if not resumed:
        if secrets.place is None:
            raise Unavailable(
                f"The key comes from {secrets.source}, which is not this program's to write.",
                "Make a new key, give both there as NEW,OLD, run this again, and then take the "
                "old one away. " + _MAKE,
            )
        write_keys(secrets.place, [new_key(), *secrets.keys.values()])
        secrets.load()
    with store.translating(), alone(store) as connection:
        _check(store, connection)
        if store.is_sqlite:
            # What the old key opens must not stay in the file's free pages.
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        renewed, unreadable = _renew_all(connection, secrets, progress)
        key = update(Fact).where(Fact.name == "key").values(value=secrets.fingerprint)
        connection.execute(key)
    if secrets.place is None:
        return Rotated(secrets.fingerprint, renewed, unreadable, resumed, secrets.source)
    with store.translating(), alone(store) as connection:
        _check(store, connection)
        again, _ = _renew_all(connection, secrets, lambda _share, _table: None)
        # Held until the old key is gone: nobody writes with it in between.
        write_keys(secrets.place, [secrets.keys[secrets.fingerprint]])
    return Rotated(secrets.fingerprint, renewed + again, unreadable, resumed, None)


_MAKE = (
    "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'` "
    f"makes one; {KEY_VARIABLE} and JupyterExt.store_key take several."
)


def text_columns(connection: Connection) -> list[Column[Any]]:
    """List every column of the database in which a secret may be, as the database knows them."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [
        column
        for _, table in sorted(metadata.tables.items())
        if table.name not in APPEND_ONLY and len(table.primary_key)
        for column in table.columns
        if isinstance(column.type, (String, JSON)) and not column.primary_key
    ]


def _check(store: Store, connection: Connection) -> None:
    check_unused(store, connection)
    identity = known(identify(connection), where(store))
    if identity.key not in store.secrets.keys:
        raise Unavailable(
            f"The store was made with another secret key than the one in {store.secrets.source}.",
            "Bring that key back first (from a backup, say).",
        )


def _renew_all(connection: Connection, secrets: Secrets, progress: Progress) -> tuple[int, int]:
    """Encrypt anew what has another key than the newest; return how many, and how many can't be."""
    renewed = unreadable = 0

    def fresh(found: re.Match[str]) -> str:
        nonlocal renewed, unreadable
        try:
            text = secrets.renew(found[0])
        except Unavailable:
            unreadable += 1
            return found[0]
        renewed += text != found[0]
        return text

    columns = text_columns(connection)
    for number, column in enumerate(columns):
        progress(number / len(columns), column.table.name)
        table = column.table
        keys = list(table.primary_key.columns)
        # JSON is changed as text: no character of a token is written otherwise there.
        text = _as_text(connection, column)
        rows = connection.execute(select(*keys, text).where(text.like("%.gAAAA%"))).all()
        for *row, old in rows:
            new = ENCRYPTED.sub(fresh, old)
            if new == old:
                continue
            same = [key == value for key, value in zip(keys, row, strict=True)]
            value: Any = literal(new, Text())
            if connection.dialect.name == "postgresql":
                value = cast(value, column.type)
            change = update(table).where(*same, text == old).values({column: value})
            if connection.execute(change).rowcount != 1:
                raise Conflict("store", table.name, f"A row of {table.name} changed meanwhile.")
    progress(1.0, "")
    return renewed, unreadable


def _as_text(connection: Connection, column: Column[Any]) -> Any:
    if connection.dialect.name == "postgresql":
        return cast(column, Text)
    return type_coerce(column, Text)
