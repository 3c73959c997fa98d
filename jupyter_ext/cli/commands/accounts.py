"""``api key …``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, flat

KEY_COLUMNS = [
    Column("ID", lambda k: k["id"]),
    Column("NAME", lambda k: k.get("name")),
    Column("KEY", lambda k: k.get("hint")),
    Column("SCOPES", lambda k: flat(k.get("scopes")) or "all"),
    Column("CREATED", lambda k: ago(k.get("created_at"))),
    Column("LAST USED", lambda k: ago(k.get("last_used_at")) or "never"),
    Column("EXPIRES", lambda k: k.get("expires_at") or "never"),
]
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@click.group(cls=Group)
def api() -> None:
    """Make, list and revoke API keys."""


@api.group("key", cls=Group)
def key() -> None:
    """Make, list and revoke API keys."""


@key.command("create")
@click.option("--name", required=True, help="What it is for; shown in the list.")
@click.option("--expires", metavar="WHEN", help="A date, or how long it lives: 12h, 30d, 8w.")
@click.option("--scope", multiple=True, help="Only this permission, container:read; repeatable.")
@click.option("--user", metavar="NAME", help="Whose key (administrators).  [you]")
@pass_session
def create_key(
    session: Session, name: str, expires: str | None, scope: tuple[str, ...], user: str | None
) -> View:
    """Make an API key; it is shown this once."""
    made = session.client.api_keys.create(
        name, expires_at=_expiry(expires), scopes=scope, owner=user
    )
    session.say("Keep this key; it is not shown again.")
    fields = {part: made[part] for part in ("id", "name", "key")}
    return Done(made.key, fields, made.key)


@key.command("list")
@click.option("--user", metavar="NAME", help="Whose keys (administrators).  [everybody's]")
@pass_session
def list_keys(session: Session, user: str | None) -> View:
    """List your API keys; an administrator's are everybody's."""
    found = session.client.api_keys.list(owner=user)
    columns = list(KEY_COLUMNS)
    if len({each.get("owner") for each in found}) > 1:
        columns.append(Column("OWNER", lambda k: k.get("owner")))
    empty = "No API keys. Make one with `api key create --name NAME`."
    return Table(columns, found, empty, total=found.total)


@key.command("revoke")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def revoke_keys(session: Session, ids: tuple[str, ...]) -> View:
    """End API keys at once."""
    for ident in ids:
        session.client.api_keys.revoke(ident)
    revoked = [{"id": ident, "revoked": True} for ident in ids]
    return Done(f"Revoked {', '.join(ids)}.", revoked, "\n".join(ids))


def _expiry(written: str | None) -> datetime | None:
    if written is None:
        return None
    match = re.fullmatch(r"(\d+)([hdw])", written)
    if match:
        return datetime.now(UTC) + timedelta(**{UNITS[match[2]]: int(match[1])})
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise click.UsageError(
            f"--expires {written}: write a date (2027-01-31) or a time to live (12h, 30d, 8w)."
        ) from None
    return moment if moment.tzinfo else moment.astimezone()
