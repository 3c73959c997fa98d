"""``audit``."""

from __future__ import annotations

import click

from ...client import specs
from ..lazy import Command
from ..session import Session, pass_session
from ..views import Column, Table, View

OUTCOMES = ("succeeded", "refused", "failed")
COLUMNS = [
    Column("AT", lambda e: str(e.get("at"))[:19]),
    Column("USER", lambda e: e.get("username") or e.get("user") or "-"),
    Column("ACTION", lambda e: e.get("action")),
    Column("TARGET", lambda e: _short(e.get("target"))),
    Column("OUTCOME", lambda e: f"{e.get('outcome')} ({e.get('status')})"),
    Column("FROM", lambda e: e.get("address")),
    Column("CREDENTIAL", lambda e: e.get("credential")),
    Column("MESSAGE", lambda e: e.get("message")),
    Column("ID", lambda e: e["id"], right=True),
]
LONGEST_TARGET = 40
"""Characters; ``--json`` has all of it."""


@click.command("audit", cls=Command)
@click.option("--user", metavar="NAME", help="Only what this user did.")
@click.option("--action", help="Only this: container:start, or container:* for all of containers.")
@click.option("--target", metavar="NAME", help="Only what was done to this thing.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only what ended so.")
@click.option("--since", metavar="WHEN", help="From then on: 10m ago, or a time.")
@click.option("--limit", type=click.IntRange(1, 1000), help="How many at most.  [100]")
@pass_session
def audit(
    session: Session,
    user: str | None,
    action: str | None,
    target: str | None,
    outcome: str | None,
    since: str | None,
    limit: int | None,
) -> View:
    """Show who did what, newest first (the administrator's); times are in UTC."""
    found = session.client.audit.list(
        user=user,
        action=action,
        target=target,
        outcome=outcome,
        since=specs.moment(since) if since else None,
        limit=limit,
    )
    return Table(COLUMNS, found, "Nothing of the kind.", name=len(COLUMNS) - 1, total=found.total)


def _short(target: object) -> str:
    text = str(target or "")
    return text if len(text) <= LONGEST_TARGET else text[: LONGEST_TARGET - 1] + "…"
