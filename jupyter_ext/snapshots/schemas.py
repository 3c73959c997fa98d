"""What goes in and out of the routes of snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ..models import Model
from ..names import name_problem
from ..postgres.schemas import NAME_BYTES

Group = Literal["databases", "files", "containers"]
Kind = Literal["cluster", "database", "files", "container"]


def _name(name: str) -> str:
    if problem := name_problem(name, NAME_BYTES):
        raise ValueError(problem)
    return name


SnapshotName = Annotated[str, Field(max_length=1000), AfterValidator(_name)]


class NewSnapshot(Model):
    """A snapshot to be."""

    name: SnapshotName = Field(examples=["before the course"])
    description: Annotated[str, Field(max_length=2000)] = ""
    parts: Annotated[list[Group], Field(min_length=1, max_length=3)] | None = Field(
        None, description="Without: all that there is"
    )


class SnapshotQuery(Model):
    """How to list snapshots."""

    owner: Annotated[str | None, Field(max_length=64)] = Field(
        None, description="Whose: a user's, for administrators; without: the caller's own"
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class OwnerQuery(Model):
    """Whose snapshot is meant."""

    owner: Annotated[str | None, Field(max_length=64)] = Field(
        None, description="A user, for administrators; without: the caller"
    )


class Part(Model):
    """One thing that a snapshot holds, or could have held."""

    name: str = Field(examples=["database:mydb"], description="By which a restore asks for it")
    kind: Kind
    state: Literal["kept", "left_out", "gone"] = Field(
        description="left_out: never was in it; gone: can't be restored any more"
    )
    reason: str | None = Field(None, description="Why it is left out, gone, or not complete")
    size: str = Field(description="As people write it")
    size_bytes: int = Field(description="That a restore brings back")
    stored_bytes: int = Field(description="That it took up itself, beside what was there already")
    moment: datetime | None = Field(None, description="Of databases: to which they are restored")
    place: str | None = Field(None, description="The folder of the files; the container's image")
    not_in_it: list[str] = Field(
        description="What belongs to it and is not kept, and what a restore makes of that",
        examples=[["the volume data at /data: it stays as it is, and is attached again"]],
    )


class Snapshot(Model):
    """The state of somebody's workspace at a moment."""

    name: str
    description: str
    owner: str
    created_at: datetime
    size: str = Field(description="As people write it")
    size_bytes: int = Field(description="That a restore of all parts brings back")
    stored_bytes: int = Field(description="That it took up itself, beside what was there already")
    parts: list[Part]


class NewSnapshotRestore(Model):
    """What of a snapshot is to be restored."""

    parts: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=1000)] | None = (
        Field(
            None,
            description="Names of parts, or databases, files, containers for all of a kind. "
            "Without: all",
            examples=[["files", "container:box"]],
        )
    )


class RestoredSnapshot(Model):
    """A snapshot, or parts of it, that was restored."""

    name: str
    parts: list[str]
    seconds: float
    kept: str = Field(description="The snapshot that holds what was there before")
    kept_databases: dict[str, str] = Field(
        description="By database the one that has what was there before; of the whole cluster the "
        "folder"
    )
    not_in_it: dict[str, list[str]] = Field(
        description="By part what was not kept, and what became of it, as the snapshot tells"
    )


class DeletedSnapshot(Model):
    """A snapshot that is gone."""

    name: str
    status: str = "deleted"
    freed: str = Field(description="As people write it")
    freed_bytes: int
    left: list[str] = Field(description="Images that stay, since containers are based on them")
