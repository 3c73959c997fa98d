"""The product's own store and its key are kept in one file, and brought back from it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.pool import NullPool

from .._version import __version__
from ..errors import Conflict, Unavailable
from . import dumps
from .archive import DATABASES, FORMAT, KEYS, Archive, Manifest, digest, exists, pack, unpack
from .offline import (
    Identity,
    check_present,
    check_sqlite,
    check_unused,
    identify,
    known,
    stamp,
    where,
)
from .schema import alone, plain_engine
from .scratch import private_folder, staged
from .secrets import read_keys, sync_folder, write_keys
from .types import utcnow

if TYPE_CHECKING:
    from .database import Store

BESIDE = ("", "-wal", "-shm")
"""What SQLite adds to the names of a database's files."""


def back_up(store: Store, file: Path, *, force: bool = False) -> Manifest:
    """Write store and key into one file, as they are at one moment; a server may be running.

    Parameters
    ----------
    store
        Not open.
    force
        Whether a file of that name is replaced.

    Raises
    ------
    Conflict
        The file exists.
    Unavailable
        There is no store, its key does not fit, or the file can't be written.
    """
    if file.exists() and not force:
        raise exists(file)
    check_present(store)
    store.secrets.load()
    try:
        with private_folder(file.parent, "backup") as folder:
            copy = folder / DATABASES[store.url.get_backend_name()]
            identity = known(_copy(store, copy), where(store))
            if identity.key not in store.secrets.keys:
                raise Unavailable(
                    f"The store was made with another secret key than the one in "
                    f"{store.secrets.source}.",
                    "If the key is being renewed at this moment, try again.",
                )
            write_keys(folder / KEYS, store.secrets.keys.values())
            manifest = Manifest(
                format=FORMAT,
                version=__version__,
                database=store.url.get_backend_name(),
                store=identity.id,
                revision=identity.revision,
                key=identity.key,
                created_at=utcnow().isoformat(timespec="seconds"),
                sha256={each: digest(folder / each) for each in (KEYS, copy.name)},
            )
            pack(manifest, folder, file, force=force)
    except OSError as error:
        raise Unavailable(f"{file} can't be written: {error.strerror or error}.") from error
    return manifest


@contextmanager
def opened(file: Path, home: Path) -> Iterator[Archive]:
    """Unpack a backup below `home` and check all of it, before anything is touched.

    Raises
    ------
    Unavailable
        It is damaged, of a newer version, or its key does not open its store.
    """
    with private_folder(home, "restore") as folder:
        archive = unpack(file, folder)
        manifest = archive.manifest
        identity = Identity(manifest.store, manifest.revision, manifest.key)
        if manifest.database == "sqlite":
            check_sqlite(archive.database)
            with _sqlite(archive.database) as connection:
                if identify(connection) != identity:
                    raise Unavailable(f"{file} holds another store than it says.")
        else:
            dumps.check(archive.database)
        known(identity, str(file))
        if identity.key not in archive.keys:
            raise Unavailable(f"The key in {file} does not open the store in it.")
        yield archive


def check_target(store: Store, archive: Archive) -> None:
    """Refuse to restore where a server is at work, or where something else would be lost.

    Raises
    ------
    Conflict
        The store is in use, or is another one on PostgreSQL.
    Unavailable
        The backup is of another kind of database, or its key has to be given first.
    """
    kind = store.url.get_backend_name()
    if archive.manifest.database != kind:
        raise Unavailable(
            f"The backup is of a store on {archive.manifest.database}, and this one is on {kind}.",
            "Set JupyterExt.store_url (or --store-url) to a database of that kind.",
        )
    if store.secrets.place is None:
        store.secrets.load()
        if archive.manifest.key not in store.secrets.keys:
            raise Unavailable(
                f"The key comes from {store.secrets.source}, and is not that of the backup.",
                f"Give the one that lies as {KEYS} in the backup.",
            )
    if store.path is None:
        with store.translating(), alone(store) as connection:
            check_unused(store, connection)
            _check_same(store, archive, connection)
    elif store.path.is_file():
        # One that is damaged is what is to be replaced.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(store.path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(Unavailable), _sqlite(store.path) as connection:
            check_unused(store, connection)


def restore(store: Store, archive: Archive, home: Path) -> Path | None:
    """Put a backup in the place of the store, after `check_target`.

    Whenever this is killed, a store and a key that fits it are there: the key file has both keys
    while the store is switched, which is one rename, or one transaction.

    Returns
    -------
    Path
        The folder where the state before is; None where there was none.
    """
    key = store.secrets.place
    aside = _set_aside(store, key, home)
    mine = list(archive.keys.values())
    if key is not None:
        key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_keys(key, dict.fromkeys([*mine, *_present(key)]))
    if store.path is None:
        # What was there took its time.
        with store.translating(), alone(store) as connection:
            check_unused(store, connection)
        dumps.load(store.url, archive.database)
    else:
        store.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _switch(store.path, archive.database)
    if key is not None:
        write_keys(key, mine)
    return aside


# -- inside ------------------------------------------------------------------------------


def _copy(store: Store, copy: Path) -> Identity | None:
    if store.path is not None:
        address = f"{store.path.absolute().as_uri()}?mode=rw"
        copy.touch(mode=0o600)
        try:
            with (
                closing(sqlite3.connect(address, uri=True, timeout=15)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                # In one step, so that no writer makes it begin again.
                source.backup(target)
        except sqlite3.Error as error:
            raise Unavailable(f"The store {store.path} can't be read: {error}.") from error
        check_sqlite(copy)
        with _sqlite(copy) as connection:
            return identify(connection)
    with store.translating(), _snapshot(store) as (connection, snapshot):
        identity = identify(connection)
        if identity is not None:
            copy.touch(mode=0o600)
            dumps.dump(store.url, copy, snapshot)
        return identity


@contextmanager
def _snapshot(store: Store) -> Iterator[tuple[Connection, str]]:
    """Open a connection to PostgreSQL, and the name of what it sees for other ones."""
    engine = plain_engine(store, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            said = connection.exec_driver_sql("SELECT pg_export_snapshot()")
            yield connection, str(said.scalar_one())
    finally:
        engine.dispose()


@contextmanager
def _sqlite(path: Path) -> Iterator[Connection]:
    from sqlalchemy.exc import DatabaseError

    engine = create_engine(f"sqlite+pysqlite:///{path}", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        raise Unavailable(f"{path} can't be read: {error.orig}.") from error
    finally:
        engine.dispose()


def _check_same(store: Store, archive: Archive, connection: Connection) -> None:
    if not inspect(connection).get_table_names():
        return
    there, manifest = identify(connection), archive.manifest
    if there is None or there.id != manifest.store:
        problem = "holds something else than the store of the backup"
    elif there.revision != manifest.revision:
        problem = f"has another schema ({there.revision}) than the backup ({manifest.revision})"
    else:
        return
    raise Conflict(
        "store",
        where(store),
        f"The database {where(store)} {problem}. Make an empty one (`createdb`), set "
        "JupyterExt.store_url to it, and restore there.",
    )


def _present(key: Path) -> Iterable[bytes]:
    """Return the keys that are there; a file that can't be read opens nothing any more."""
    try:
        return read_keys(key.read_text(encoding="ascii")).values()
    except (OSError, UnicodeDecodeError, Unavailable):
        return []


def _set_aside(store: Store, key: Path | None, home: Path) -> Path | None:
    """Keep the present state in a folder, there as a whole or not at all; take nothing away."""
    with private_folder(home, "aside") as folder:
        state, aside = folder / "state", home / f"before-restore-{stamp()}"
        state.mkdir(mode=0o700)
        _copy_state(store, key, state)
        if not any(state.iterdir()):
            return None
        state.rename(aside)
    sync_folder(home)
    return aside


def _copy_state(store: Store, key: Path | None, aside: Path) -> None:
    if key is not None and key.is_file():
        shutil.copy(key, aside / KEYS)
        (aside / KEYS).chmod(0o600)
    if store.path is None:
        with store.translating(), _snapshot(store) as (connection, snapshot):
            if identify(connection) is not None:
                copy = aside / DATABASES["postgresql"]
                copy.touch(mode=0o600)
                dumps.dump(store.url, copy, snapshot)
    else:
        for suffix in BESIDE:
            there = store.path.with_name(store.path.name + suffix)
            if there.is_file():
                shutil.copy(there, aside / there.name)
                (aside / there.name).chmod(0o600)
    for each in aside.iterdir():
        with each.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(aside)


def _switch(path: Path, new: Path) -> None:
    """Replace SQLite's file; the log of the old one must not meet the new one."""
    for suffix in BESIDE[1:]:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    # `new` may lie on another file system than a store at a URL.
    beside = staged(path)
    try:
        shutil.copy(new, beside)
        beside.chmod(0o600)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)
