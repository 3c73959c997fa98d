"""What SQLite needs beside a URL: a private file, a log ahead of it, one writer."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

PRIVATE = 0o600


def prepare_file(path: Path) -> None:
    """Make the file, for its owner only; SQLite gives its log and shared memory the same mode.

    Raises
    ------
    Unavailable
        The folder can't be written.
    """
    from ..errors import Unavailable

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            if os.fstat(descriptor).st_mode & 0o777 != PRIVATE:
                os.fchmod(descriptor, PRIVATE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(
            f"The store {path} can't be opened: {error.strerror}.",
            "Point JUPYTER_EXT_HOME to a folder that is yours to write.",
        ) from error


def set_up(engine: Engine, *, writes: bool) -> None:
    """Prepare every connection of an engine that writes, or of one that only reads."""
    from ..errors import Unavailable

    def connected(connection: Any, _record: object) -> None:
        # The driver's own idea of when to begin a transaction is switched off: `begun` says it.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in pragmas(writes=writes):
                cursor.execute(pragma)
        finally:
            cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def ending(connection: Connection) -> None:
        # SQLite gives up a whole transaction for a statement that finds no room. Where somebody
        # did without that statement, a commit would say of nothing that it is kept.
        driver = connection.connection.driver_connection
        if driver is not None and not driver.in_transaction:
            raise Unavailable(
                f"The store {engine.url.database} gave up what was written to it.",
                "Is there room on the disk?",
            )

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    if writes:
        event.listen(engine, "commit", ending)


def pragmas(*, writes: bool) -> list[str]:
    """List what a connection says first. WAL is the file's own: see `use_wal`."""
    common = ["PRAGMA foreign_keys=ON", "PRAGMA synchronous=NORMAL"]
    if writes:
        return [*common, "PRAGMA journal_size_limit=67108864"]
    return [*common, "PRAGMA query_only=ON"]


def use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch the file to a write-ahead log, which SQLite does not wait for by itself."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
