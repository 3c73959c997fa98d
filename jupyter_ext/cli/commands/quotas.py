"""``quota …``."""

from __future__ import annotations

import re

import click

from ...client.things import Thing
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Table, View

COLUMNS = [
    Column("RESOURCE", lambda q: q["resource"]),
    Column("USED", lambda q: q.get("used_text"), right=True),
    Column("LIMIT", lambda q: q.get("limit_text") or "none", right=True),
    Column("SET BY", lambda q: q.get("source")),
]
WORDS: dict[str, str | None] = {"none": None, "unlimited": None, "default": "default"}


@click.group(cls=Group)
def quota() -> None:
    """See and set what users may have."""


@quota.command("show")
@click.argument("name", required=False, metavar="[NAME]")
@pass_session
def show_quota(session: Session, name: str | None) -> View:
    """Show what you may have and use, or what a user or role may."""
    return _table(session.client.quotas.get(name))


@quota.command("set")
@click.argument("name")
@click.argument("limits", metavar="RESOURCE=LIMIT...", nargs=-1, required=True)
@pass_session
def set_quota(session: Session, name: str, limits: tuple[str, ...]) -> View:
    """Limit a user or a role: containers=5 cpu=2.5 memory=8GB disk=none gpus=default.

    idle_minutes=120 idle_warning_minutes=15 stops containers that nobody uses,
    lifetime_minutes=1440 those that run that long; keep_minutes=480 is how long one
    `container keep` postpones a stop at most.
    """
    return _table(session.client.quotas.set(name, **dict(map(_limit, limits))))


def _table(found: Thing) -> Table:
    limits = [*found.quotas.items(), *(found.get("rules") or {}).items()]
    return Table(COLUMNS, [Thing({"resource": name, **limit}) for name, limit in limits])


def _limit(written: str) -> tuple[str, float | str | None]:
    resource, equals, limit = written.partition("=")
    if not equals or not resource or not limit:
        raise click.UsageError(f"{written}: write it as RESOURCE=LIMIT, such as containers=5.")
    if limit in WORDS:
        return resource, WORDS[limit]
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", limit):
        return resource, limit
    return resource, float(limit) if "." in limit else int(limit)
