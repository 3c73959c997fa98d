"""Whether a recovered cluster is what it should be.

pgBackRest compares each restored file with the checksum that it took when it was backed up, and
checks the pages' own checksums then. What is left to prove is that recovery came where it should,
that every database lets us in, that each of its catalogue's tables can be read from end to end, and
that each relation has its file. The users' own rows are not read: that would take as long as the
restore did.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import InvalidRequest, Unavailable
from .connections import connected
from .place import Place

BUILT_IN = ("postgres", "template1")
"""Databases that every restore has."""

_MOMENT = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d(?::?\d\d)?)"
_STOPPED = re.compile(rf"recovery stopping ((?:before|after) [^\n]*?(?:, time {_MOMENT})?)$", re.M)
_LAST = re.compile(rf"last completed transaction was at log time {_MOMENT}")
_ERROR = re.compile(r"\b(?:FATAL|PANIC):  ([^\n]*)")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the log says of a recovery.

    Parameters
    ----------
    stopped
        Where, in PostgreSQL's words; None: it did not say that it stopped.
    stopped_before
        When the transaction ended that was the first to be left out.
    last_commit
        When the last one ended that is in.
    """

    stopped: str | None
    stopped_before: datetime | None
    last_commit: datetime | None
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about a recovered cluster.

    Parameters
    ----------
    timeline
        The new one, on which it goes on.
    last_commit
        Of what is in it; None where no transaction ended between the backup's begin and there.
    databases
        Those that were read.
    seconds
        For all of it, the restore too.
    """

    timeline: int
    stopped: str
    last_commit: datetime | None
    databases: tuple[str, ...]
    seconds: float


class OtherFiles(Unavailable):
    """By the moment a name had become another database's than the one that was restored."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} was another database by then than the one in the backup.",
            "Restore the whole cluster, or from a later backup.",
        )


def read_recovery(log: str) -> Recovery:
    """Read a log that was written with ``lc_messages = C``."""
    stopped, last = _STOPPED.search(log), _LAST.search(log)
    return Recovery(
        stopped[1] if stopped else None,
        _moment(stopped[2]) if stopped and stopped[2] else None,
        _moment(last[1]) if last else None,
        tuple(_ERROR.findall(log)),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def prove(
    place: Place,
    recovery: Recovery,
    to: datetime | None,
    databases: Sequence[str] | None,
    begun: float,
    numbers: Mapping[str, int] | None = None,
) -> Proof:
    """Prove a cluster that has recovered.

    Parameters
    ----------
    numbers
        Of the databases whose files were restored; the others' are empty.

    Raises
    ------
    InvalidRequest
        By then a database was being dropped.
    OtherFiles
        By then one of these names was another database's.
    Unavailable
        It is not what it should be; the text says in what.
    """
    if recovery.stopped is None:
        raise Unavailable("The restored cluster started without saying where its recovery ended.")
    left_out, last = recovery.stopped_before, recovery.last_commit
    if to is not None and (left_out is None or left_out <= to or (last is not None and last > to)):
        raise Unavailable(
            f"The restored cluster did not stop at {to.isoformat()}: {recovery.stopped}."
        )
    async with connected(place) as connection:
        cursor = await connection.execute(
            "SELECT pg_is_in_recovery(), pg_walfile_name(pg_current_wal_insert_lsn()),"
            " (SELECT array_agg(datname::text ORDER BY datname) FROM pg_database"
            " WHERE datallowconn AND datconnlimit <> -2),"
            " (SELECT array_agg(datname::text) FROM pg_database WHERE datconnlimit = -2),"
            " (SELECT jsonb_object_agg(datname, oid::bigint) FROM pg_database)"
        )
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement gives one row
    recovering, segment, names, dropped, there = row
    if recovering:
        raise Unavailable("The restored cluster still recovers.")
    for name, number in (numbers or {}).items():
        if there.get(name, number) != number:
            raise OtherFiles(name)
    if lost := sorted({*(databases or ())} & {*(dropped or ())}):
        # Its files went before the commit at which the recovery ends.
        raise InvalidRequest(
            f"{lost[0]} can't be restored to this moment: it was being dropped. Name one a little "
            "earlier.",
            fields={"target_time": f"{lost[0]} was being dropped"},
        )
    if databases is not None:
        names = [name for name in names if name in {*databases, *BUILT_IN}]
        if missing := sorted({*databases} - {*names}):
            raise Unavailable(f"The restored cluster has no database {missing[0]!r}.")
    for name in names:
        await read_through(place, name)
    seconds = time.monotonic() - begun
    return Proof(int(segment[:8], 16), recovery.stopped, last, tuple(names), seconds)


async def read_through(place: Place, database: str) -> None:
    """Read every table of a database's catalogue, and look for the file of each relation.

    Raises
    ------
    Unavailable
        Something can't be read.
    """
    import psycopg
    from psycopg import sql

    async with connected(place, database) as connection:
        try:
            # By the tables themselves, not by their indexes.
            for way in ("indexscan", "indexonlyscan", "bitmapscan"):
                await connection.execute(sql.SQL("SET enable_{} = off").format(sql.SQL(way)))
            cursor = await connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'pg_catalog'::regnamespace"
            )
            for (name,) in await cursor.fetchall():
                table = sql.Identifier("pg_catalog", name)
                await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table))
            await connection.execute(
                "SELECT count((pg_stat_file(path)).size) FROM (SELECT pg_relation_filepath(oid)"
                " AS path FROM pg_class WHERE relpersistence <> 't' OFFSET 0) AS files"
                " WHERE path IS NOT NULL"
            )
        except psycopg.Error as error:
            raise Unavailable(
                f"The restored database {database!r} can't be read: {error}"
            ) from error
