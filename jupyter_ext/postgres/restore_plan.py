"""What a restore is about: which databases, from which backup, to which moment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ..accounts.schemas import Account
from ..errors import Forbidden, InvalidRequest
from ..store.types import utcnow
from .backup_info import BackupInfo
from .backup_schemas import NewRestore
from .backup_view import Known, shown_databases
from .catalog import no_database
from .cluster_copy import ClusterCopy
from .marker import mark
from .pgbackrest import PgBackRest
from .schemas import MAINTENANCE, NAME_BYTES, SYSTEM
from .sources import BackupSource, CopySource, Source

SHARED_BYTES = 64 << 20
"""That a restored copy takes up beside, a guess: a few segments of WAL."""


class Goal(Protocol):
    """Where a restore comes from, and where it goes."""

    @property
    def moment(self) -> datetime:
        """To which it restores."""

    @property
    def named_timeline(self) -> int:
        """On which the moment is."""

    @property
    def size(self) -> int:
        """Bytes that the whole cluster takes up beside."""

    def source(
        self, driver: PgBackRest, databases: Sequence[str] | None = None, *, whole: bool = False
    ) -> Source:
        """Return what a cluster is restored from; None: with all databases."""


MARK = "restore"

NONE_KNOWN = (
    "must name some: it is not known which the backup was taken for. An empty list is the whole "
    "cluster (administrators)"
)

_NEW = re.compile(rf"({MARK}-[0-9a-z]{{24}})-\d+")


@dataclass(frozen=True, slots=True)
class Target:
    """A moment since a backup.

    Parameters
    ----------
    to
        None: the end of the backup.
    timeline
        On which `to` is.
    """

    backup: BackupInfo
    to: datetime | None
    timeline: int | None

    @property
    def moment(self) -> datetime:
        """The moment; of a backup's end the first that can be asked for and has all of it."""
        return self.to or self.backup.earliest

    @property
    def named_timeline(self) -> int:
        """The timeline, also of a backup's end."""
        return self.timeline or self.backup.timeline

    @property
    def size(self) -> int:
        """Bytes of the cluster in the backup."""
        return self.backup.database_size

    def source(
        self, driver: PgBackRest, databases: Sequence[str] | None = None, *, whole: bool = False
    ) -> Source:
        """Return the backup."""
        label = self.backup.label
        return BackupSource(driver, label, self.to, self.timeline, databases, whole)


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """The moment of a copy that shares the cluster's blocks, and is restored whole.

    Parameters
    ----------
    name
        Of the copy.
    """

    name: str
    moment: datetime
    named_timeline: int

    @property
    def size(self) -> int:
        """Bytes that WAL takes up: the rest is shared."""
        return SHARED_BYTES

    def source(
        self, driver: PgBackRest, databases: Sequence[str] | None = None, *, whole: bool = False
    ) -> Source:
        """Return the copy."""
        assert not databases  # noqa: S101 - nobody plans it for single ones
        return CopySource(ClusterCopy(driver.place, self.name), driver)


@dataclass(frozen=True, slots=True)
class Move:
    """A database that is restored.

    Parameters
    ----------
    new
        What it is called until it is whole.
    kept
        What the one that was there is called afterwards.
    """

    name: str
    new: str
    kept: str


async def wanted_databases(
    driver: PgBackRest,
    caller: Account,
    known: Known,
    body: NewRestore,
    files: Sequence[str] = (),
) -> Sequence[str] | None:
    """Return the databases to be restored; an empty list: the whole cluster; None: no database.

    The whole cluster is never meant without being asked for.

    Parameters
    ----------
    files
        That are to be restored.

    Raises
    ------
    InvalidRequest
        None is named, and it is not known which the backup was taken for.
    NotFound
        One is not in the backup, or was not the caller's when it was taken.
    Forbidden
        It is a system database, or all of the cluster for somebody who is no administrator.
    """
    visible = shown_databases(caller, known.note)
    names = body.databases
    if body.mode == "side" and not caller.is_admin:
        raise Forbidden("Only an administrator has a restored cluster left beside.")
    if names is None:
        names = list(visible)
        if names and not known.note.asked:
            # It was taken for all, of which one may have been gone past this product.
            there = await driver.numbers(known.info.label)
            names = [name for name in names if name in there and name not in SYSTEM]
    if not names:
        if files and (body.databases is None or body.files or not caller.is_admin):
            return None
        if known.note.alone and (body.databases is None or not caller.is_admin):
            raise InvalidRequest(fields={"files": "names none, and the backup is for no database"})
        if body.databases is None:
            raise InvalidRequest(fields={"databases": NONE_KNOWN})
        if not caller.is_admin:
            raise Forbidden(
                "Only an administrator restores the whole cluster. Name databases of yours."
            )
    for name in names:
        if name in SYSTEM and not (caller.is_admin and name == MAINTENANCE):
            raise Forbidden(f"{name} belongs to PostgreSQL itself, and is not restored alone.")
        if not caller.is_admin and name not in visible:
            raise no_database(name)
    return sorted({*names})


async def find_target(driver: PgBackRest, known: Known, body: NewRestore) -> Target:
    """Return where the moment is to be had; the WAL up to now is archived first.

    Raises
    ------
    InvalidRequest
        It can't be restored; the text names the windows that can.
    Unavailable
        The WAL does not reach the archive.
    """
    if body.target_time is None:
        return Target(known.info, None, None)
    if body.dry_run and (soon := await _not_archived_yet(driver, body)) is not None:
        return soon
    if not body.dry_run:
        await mark(driver)
    backup, window = await driver.source(body.target_time, body.timeline)
    return Target(backup, body.target_time, window.timeline)


async def _not_archived_yet(driver: PgBackRest, body: NewRestore) -> Target | None:
    """Find a moment that will be in the window as soon as its WAL is archived."""
    moment = body.target_time
    info = await driver.info()
    newest = max(await driver.archive.timelines(info), default=1)
    if moment is None or moment > utcnow() or body.timeline not in (None, newest):
        return None
    if any(
        each.timeline == newest and moment <= each.last for each in await driver.recovery_windows()
    ):
        return None
    good = [b for b in info.backups if b.earliest <= moment and b.timeline == newest]
    return Target(max(good, key=lambda each: each.stop), moment, newest) if good else None


def moves_of(names: Sequence[str], mark: str, now: datetime) -> Sequence[Move]:
    """Name the databases that come and those that are kept."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return [
        Move(name, f"{mark}-{place}", _shortened(name, f".before-{stamp}"))
        for place, name in enumerate(names)
    ]


def mark_of(name: str) -> str | None:
    """Return by which restore a database was loaded whose `Move.new` this name is."""
    found = _NEW.fullmatch(name)
    return found[1] if found else None


def _shortened(name: str, suffix: str) -> str:
    """Return a name of at most as many bytes as PostgreSQL takes."""
    room = NAME_BYTES - len(suffix.encode())
    if len(name.encode()) <= room:
        return name + suffix
    # Two long names may begin alike.
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    cut = name.encode()[: room - len(digest) - 1].decode(errors="ignore")
    return f"{cut.rstrip()}-{digest}{suffix}"


def kept_moves(given: Mapping[str, Any]) -> Sequence[Move]:
    """Read moves as an operation keeps them."""
    return [Move(each["name"], each["new"], each["kept"]) for each in given["moves"]]
