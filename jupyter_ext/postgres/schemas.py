"""What goes in and out of the routes of databases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from ..models import Model
from ..names import name_problem

NAME_BYTES = 63
"""Of a name in PostgreSQL, which cuts longer ones off without a word (``NAMEDATALEN`` - 1)."""

SYSTEM = ("postgres", "template0", "template1")
"""Databases that every cluster has, and nobody deletes."""

MAINTENANCE = "postgres"
"""Of these the one that is used: by administrators, and to connect to in order to say what is not
about one database."""

SPARE = "jupyter_ext spare"
"""The database that is made beforehand, which nobody sees."""


def _name(name: str) -> str:
    if problem := name_problem(name, NAME_BYTES, "PostgreSQL's names"):
        raise ValueError(problem)
    return name


DatabaseName = Annotated[str, Field(max_length=1000), AfterValidator(_name)]


class NewDatabase(Model):
    """A database to be."""

    name: DatabaseName = Field(examples=["mydb"])
    owner: Annotated[str | None, Field(max_length=64)] = Field(
        None,
        description="A user; the caller by default, and for an administrator the cluster's own "
        "role dba",
    )
    template: DatabaseName | None = Field(
        None, description="A database whose content it begins with, in which nobody is"
    )
    extensions: Annotated[list[DatabaseName], Field(max_length=50)] = Field(
        [], description="To be there at the beginning: pg_trgm, say"
    )


class DatabaseClone(Model):
    """A database to be, with the content of another."""

    name: DatabaseName
    schema_only: bool = Field(False, description="Its tables without their rows")


class DatabaseQuery(Model):
    """How to list databases."""

    fresh: bool = Field(False, description="Measure the sizes now")
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class DatabaseDeletion(Model):
    """How to delete a database."""

    force: bool = Field(False, description="End the sessions that are in it")


class Database(Model):
    """A database."""

    name: str
    owner: str = Field(description="A user, or dba, the cluster's own role")
    size: str | None = Field(description="As people write it; null before it was measured")
    size_bytes: int | None
    size_at: datetime | None = Field(description="When it was measured")
    created_at: datetime | None = Field(description="null where PostgreSQL does not tell")
    kept_until: datetime | None = Field(
        None,
        description="Of what a restore replaced: when it is deleted, or once nobody is in it after "
        "that; null: it stays",
    )
    system: bool = Field(description="Every cluster has it, and nobody deletes it")
    over_quota: bool = Field(
        False, description="Its owner's databases are larger than they may be together"
    )
    read_only: bool = Field(
        False, description="New sessions in it only read, since its owner is over the quota"
    )
    connection_url: str | None = Field(
        None, description="With the password; in the reply to whoever makes it for themselves only"
    )


class DatabaseConnection(Model):
    """How the caller connects to a database."""

    url: str
    host: str
    port: int
    database: str
    user: str
    password: str


class DeletedDatabase(Model):
    """A database that is gone."""

    name: str
    status: str = "deleted"
