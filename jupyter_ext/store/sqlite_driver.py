"""`aiosqlite` with one way to its thread for each statement.

Its own cursors go there four times: to be made, for the statement, for the rows and for their end.
Each way takes longer than most statements do, and a request of ours says some fifteen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any

import aiosqlite

ROWS_AT_ONCE = 64
"""What `aiosqlite` wants to know of cursors that are read piece by piece; none is here."""


class Cursor(aiosqlite.Cursor):
    """A cursor that has fetched all, and is closed, once its statement has been executed."""

    _rows: Sequence[Any] = ()

    def __await__(self) -> Generator[None, None, Cursor]:
        """Return it: SQLAlchemy 2.0 awaits a cursor, 2.1 enters it."""
        yield from ()
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Cursor:
        """Execute a statement and fetch its rows."""
        await self._execute(self._run, sqlite3.Cursor.execute, sql, parameters or ())  # type: ignore[no-untyped-call]
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Cursor:
        """Execute a statement once for each of `parameters`."""
        await self._execute(self._run, sqlite3.Cursor.executemany, sql, parameters)  # type: ignore[no-untyped-call]
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows."""
        rows, self._rows = self._rows, ()
        return rows

    async def close(self) -> None:
        """Let go of the rows."""
        self._rows = ()

    def _run(self, execute: Callable[..., object], sql: str, parameters: Iterable[Any]) -> None:
        """Do all of it, in the thread."""
        self._cursor = self._conn._conn.cursor()
        try:
            execute(self._cursor, sql, parameters)
            if self._cursor.description is not None:
                self._rows = self._cursor.fetchall()
        finally:
            # What it said of the statement can still be read.
            self._cursor.close()


class Connection(aiosqlite.Connection):
    """A connection with such cursors."""

    def cursor(self) -> Cursor:  # type: ignore[override]
        """Return a cursor, which is nothing to SQLite yet."""
        return Cursor(self, None)  # type: ignore[arg-type]

    async def rollback(self) -> None:
        """Roll back, where there is something: a pool does so with all that is given back."""
        if self.in_transaction:
            await super().rollback()


def connect(database: str, **options: Any) -> Connection:
    """Return a connection that opens when it is awaited, as `aiosqlite.connect` does."""
    connection = Connection(partial(sqlite3.connect, database, **options), ROWS_AT_ONCE)
    # As SQLAlchemy has it with those that it makes: none keeps the process from its end.
    connection._thread.daemon = True
    return connection
