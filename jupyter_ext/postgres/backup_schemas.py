"""What goes in and out of the routes of backups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from ..models import Model
from .backup_info import BackupKind
from .schemas import DatabaseName

PATHS = 250
"""Files and folders that a request may name: a folder counts as one."""

Names = Annotated[list[DatabaseName], Field(max_length=1000)]

Paths = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=1000)]], Field(max_length=PATHS)
]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside of all years") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class NewBackup(Model):
    """A backup to be."""

    type: BackupKind = Field(
        BackupKind.FULL,
        description="The first one is full whatever is said: the others continue it",
    )
    databases: Names | None = Field(
        None,
        description="Those that it is taken for, the default of a restore. All are in it. Without: "
        "the caller's own, and for an administrator all",
    )
    files: Paths | None = Field(
        None,
        description="Files and folders to be kept with it: paths in your own notebook folder, an "
        "administrator's from the server's root folder on. With these `databases` may be empty: "
        "then it is for no database",
        examples=[["project", "notes.ipynb"]],
    )


class BackupQuery(Model):
    """How to list backups."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class Window(Model):
    """Moments that can be restored, both included."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, defer_build=True)

    timeline: int = Field(description="A new one begins whenever the whole cluster is restored")
    first: datetime = Field(alias="from")
    last: datetime = Field(alias="to")


class Backup(Model):
    """A backup of the whole cluster."""

    id: str = Field(examples=["backup-20260102"])
    type: BackupKind
    size: str = Field(description="As people write it")
    size_bytes: int = Field(description="That it takes up itself")
    cluster_bytes: int | None = Field(
        description="Of what it is a backup of, as an administrator sees it; null for others, whom "
        "it would tell how much the rest have"
    )
    created_at: datetime = Field(description="When it began")
    seconds: int = Field(description="That it took")
    timeline: int = Field(description="On which it was taken")
    databases: list[str] = Field(description="What it was taken for, as far as the caller may see")
    files: list[str] = Field(
        [], description="What its owner has kept with it; others see none of these"
    )
    files_bytes: int = Field(0, description="That these are; what others have, too, is kept once")
    files_unread: str | None = Field(None, description="What of them could not be read")
    owner: str | None = Field(description="Who asked for it; null for one found in the repository")
    status: str = Field(description="completed; damaged where PostgreSQL's files were already")
    verified_at: datetime | None = Field(description="When it was last restored as a test")
    depends_on: list[str] = Field(description="Backups without which it can't be restored")
    recovery_window: list[Window] = Field(
        description="Moments to which it can be restored, and for how long on each timeline"
    )


class DeletedBackup(Model):
    """A backup that is gone."""

    id: str
    status: str = "deleted"


class NewRestore(Model):
    """What is to be restored, and to which moment."""

    target_time: Moment | None = Field(
        None, description="With a time zone; without: the end of the backup"
    )
    timeline: Annotated[int, Field(ge=1, le=2**31)] | None = Field(
        None, description="On which the moment is; without: the newest"
    )
    databases: Names | None = Field(
        None,
        description="Without: those that the backup was taken for, one by one. Only an empty list "
        "is the whole cluster, which an administrator restores; with `files` named it is no "
        "database",
    )
    files: Paths | None = Field(
        None,
        description="Of those that you had kept with it. Without: all; an empty list: none. They "
        "are as they were when the backup was taken, whatever the moment",
    )
    mode: Literal["in_place", "side"] = "in_place"
    dry_run: bool = Field(False, description="Only say what would happen")


class Sizes(Model):
    """Bytes on the disk of the databases."""

    live: int = Field(
        description="Of all that is there now; for whoever is no administrator of what is restored"
    )
    side: int = Field(
        description="Of what is restored, beside the cluster until it is proved; a guess, and a "
        "coarser one for whoever is no administrator"
    )
    kept: int = Field(description="Of what was there before, afterwards")
    kept_earlier: int | None = Field(
        None,
        description="Of a dry run: of what earlier restores have kept until now, which goes by "
        "itself: the caller's databases; for an administrator everybody's, and whole clusters",
    )
    free: int = Field(description="Left now")


class SideCluster(Model):
    """A restored cluster beside the live one."""

    id: str
    backup: str
    target_time: datetime = Field(description="The moment that it shows")
    host: str
    port: int
    running: bool = Field(description="It is not started again after a restart of the machine")
    created_at: datetime
    connection_url: str | None = Field(
        None, description="For its superuser, with the password; in the reply to the restore only"
    )


class SideQuery(Model):
    """How to list restored clusters."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class DeletedSide(Model):
    """A restored cluster that is gone."""

    id: str
    status: str = "deleted"


class FileMove(Model):
    """A file or folder that is put back."""

    path: str
    replaces: bool = Field(description="Whether something is there, which is kept")


class Restore(Model):
    """A restore that was made, or, with `dry_run`, that would be."""

    backup: str
    dry_run: bool
    mode: str
    databases: list[str] = Field(description="Empty: the whole cluster, or files alone")
    cluster: bool = Field(description="Whether it is the whole cluster")
    files: list[FileMove] = Field([], description="What is put back in the notebook folder")
    files_time: datetime | None = Field(
        None,
        description="When the files were as they are then: those of a backup are of its own "
        "moment, whatever `target_time` is",
    )
    kept_files: str | None = Field(
        None, description="The snapshot that holds the files of before; of a dry run as it would be"
    )
    target_time: datetime = Field(
        description="The moment to which it was restored; of a backup's end, which is known to the "
        "second, the next whole one"
    )
    timeline: int = Field(description="On which that moment is")
    seconds: float = Field(description="That it took; of a dry run a guess")
    bytes: Sizes
    kept: dict[str, str] = Field(
        description="Where what was there before is: by database the one that has it; of the "
        "whole cluster the folder"
    )
    side: SideCluster | None = Field(None, description="What was left beside, with mode side")
