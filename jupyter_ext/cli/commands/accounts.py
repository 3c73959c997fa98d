"""``api key …`` and ``user …``."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta

import click

from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago

ROLES = ("admin", "operator", "user", "viewer")
KEY_COLUMNS = [
    Column("ID", lambda k: k["id"]),
    Column("NAME", lambda k: k.get("name")),
    Column("KEY", lambda k: k.get("hint")),
    Column("CREATED", lambda k: ago(k.get("created_at"))),
    Column("LAST USED", lambda k: ago(k.get("last_used_at")) or "never"),
    Column("EXPIRES", lambda k: k.get("expires_at") or "never"),
]
USER_COLUMNS = [
    Column("NAME", lambda u: u["username"]),
    Column("ROLE", lambda u: u.get("role")),
    Column("EMAIL", lambda u: u.get("email")),
    Column("CREATED", lambda u: ago(u.get("created_at"))),
    Column("LAST LOGIN", lambda u: ago(u.get("last_login")) or "never"),
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
@pass_session
def list_keys(session: Session) -> View:
    """List your API keys."""
    found = session.client.api_keys.list()
    empty = "No API keys. Make one with `api key create --name NAME`."
    return Table(KEY_COLUMNS, found, empty, total=found.total)


@key.command("revoke")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def revoke_keys(session: Session, ids: tuple[str, ...]) -> View:
    """End API keys at once."""
    for ident in ids:
        session.client.api_keys.revoke(ident)
    revoked = [{"id": ident, "revoked": True} for ident in ids]
    return Done(f"Revoked {', '.join(ids)}.", revoked, "\n".join(ids))


@click.group(cls=Group)
def user() -> None:
    """Make, list and delete accounts (the administrator's)."""


@user.command("create")
@click.option("--role", type=click.Choice(ROLES), help="What they may do.  [user]")
@click.option("--email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.argument("name")
@pass_session
def create_user(
    session: Session, name: str, role: str | None, email: str | None, password_stdin: bool
) -> View:
    """Make an account; asks for the password."""
    password = _password(session, name, password_stdin)
    made = session.client.users.create(name, password, role=role, email=email)
    return Done(f"Made the account {made.username} ({made.get('role')}).", made, made.username)


@user.command("list")
@pass_session
def list_users(session: Session) -> View:
    """List accounts."""
    found = session.client.users.list()
    return Table(USER_COLUMNS, found, "No accounts.", total=found.total)


@user.command("delete")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.argument("name")
@pass_session
def delete_user(session: Session, name: str, yes: bool) -> View:
    """Delete an account."""
    if not yes:
        if not session.console.interactive:
            raise click.UsageError("Nobody is there to be asked: add --yes.")
        click.confirm(f"Delete the account {name}?", abort=True, err=True)
    session.client.users.delete(name)
    return Done(f"Deleted {name}.", {"username": name, "deleted": True}, name)


@user.command("passwd")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.argument("name")
@pass_session
def set_password(session: Session, name: str, password_stdin: bool) -> View:
    """Give an account a new password."""
    session.client.users.set_password(name, _password(session, name, password_stdin))
    return Done(f"{name} has a new password.", {"username": name}, name)


def _password(session: Session, name: str, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise click.UsageError("Standard input held no password.")
        return password
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: give it by --password-stdin.")
    answer: str = click.prompt(
        f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return answer


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
