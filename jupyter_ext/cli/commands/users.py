"""``user …`` and ``whoami``."""

from __future__ import annotations

import sys

import click

from ..lazy import Command, Group
from ..session import Session, pass_session
from ..views import Column, Details, Done, Table, View, ago, flat
from .complete import role_names, user_names

COLUMNS = [
    Column("NAME", lambda u: u["username"]),
    Column("ROLE", lambda u: u.get("role")),
    Column("STATUS", lambda u: "enabled" if u.get("enabled", True) else "disabled"),
    Column("EMAIL", lambda u: u.get("email")),
    Column("CREATED", lambda u: ago(u.get("created_at"))),
    Column("LAST LOGIN", lambda u: ago(u.get("last_login")) or "never"),
]


@click.command(cls=Command)
@pass_session
def whoami(session: Session) -> View:
    """Show whose credential the server sees."""
    found = session.client.users.me()
    fields: list[tuple[str, object]] = [
        ("name", found.username),
        ("role", found.role),
        ("id", found.id),
        ("server", session.client.server.url),
    ]
    return Details(found, fields)


@click.group(cls=Group)
def user() -> None:
    """Make, change and delete accounts (the administrator's)."""


@user.command("list")
@click.option("--role", metavar="ROLE", help="Only those of this role.", shell_complete=role_names)
@click.option("--disabled", is_flag=True, help="Only those that can't log in.")
@pass_session
def list_users(session: Session, role: str | None, disabled: bool) -> View:
    """List accounts, newest first."""
    found = session.client.users.list(role=role, enabled=False if disabled else None)
    empty = "No account is like that." if role or disabled else "No accounts."
    return Table(COLUMNS, found, empty, total=found.total)


@user.command("show")
@click.argument("name", shell_complete=user_names)
@pass_session
def show_user(session: Session, name: str) -> View:
    """Show all of an account: yours, or anybody's as an administrator."""
    found = session.client.users.get(name)
    fields: list[tuple[str, object]] = [
        ("name", found.username),
        ("id", found.id),
        ("role", found.get("role")),
        ("enabled", found.get("enabled")),
        ("email", found.get("email")),
        ("databases", flat(found.get("databases") or [])),
        ("permissions beside the role's", flat(found.get("permissions") or [])),
        ("created", found.get("created_at")),
        ("last login", found.get("last_login") or "never"),
    ]
    return Details(found, fields)


@user.command("create")
@click.option("--role", metavar="ROLE", help="What they may do.  [user]", shell_complete=role_names)
@click.option("--email")
@click.option(
    "--database",
    "databases",
    metavar="NAME",
    multiple=True,
    help="A database that is there and that they may use; several times for several.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.argument("name")
@pass_session
def create_user(
    session: Session,
    name: str,
    role: str | None,
    email: str | None,
    databases: tuple[str, ...],
    password_stdin: bool,
) -> View:
    """Make an account; asks for the password."""
    password = _password(session, name, password_stdin)
    made = session.client.users.create(
        name, password, role=role, email=email, databases=databases or None
    )
    return Done(f"Made the account {made.username} ({made.get('role')}).", made, made.username)


@user.command("passwd")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.argument("name", shell_complete=user_names)
@pass_session
def set_password(session: Session, name: str, password_stdin: bool) -> View:
    """Give an account a new password, which ends its logins."""
    session.client.users.set_password(name, _password(session, name, password_stdin))
    return Done(f"{name} has a new password.", {"username": name}, name)


@user.command("role")
@click.argument("name", shell_complete=user_names)
@click.argument("role", shell_complete=role_names)
@pass_session
def set_role(session: Session, name: str, role: str) -> View:
    """Give an account another role, which counts at once."""
    changed = session.client.users.update(name, role=role)
    return Done(f"{changed.username} has the role {changed.role}.", changed, changed.username)


@user.command("enable")
@click.argument("name", shell_complete=user_names)
@pass_session
def enable_user(session: Session, name: str) -> View:
    """Let a disabled account in again."""
    changed = session.client.users.update(name, enabled=True)
    return Done(f"{changed.username} is enabled.", changed, changed.username)


@user.command("disable")
@click.argument("name", shell_complete=user_names)
@pass_session
def disable_user(session: Session, name: str) -> View:
    """Shut an account out at once, with its keys and logins; nothing of it is deleted."""
    changed = session.client.users.update(name, enabled=False)
    return Done(f"{changed.username} is disabled.", changed, changed.username)


@user.command("delete")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--transfer-to", metavar="USER", help="Who gets what they own.", shell_complete=user_names
)
@click.option("--purge", is_flag=True, help="Delete what they own.")
@click.argument("name", shell_complete=user_names)
@pass_session
def delete_user(
    session: Session, name: str, yes: bool, transfer_to: str | None, purge: bool
) -> View:
    """Delete an account; one that owns something only with --transfer-to or --purge."""
    if purge and transfer_to:
        raise click.UsageError("--transfer-to and --purge exclude each other.")
    if not yes:
        if not session.console.interactive:
            raise click.UsageError("Nobody is there to be asked: add --yes.")
        things = " and all that it owns" if purge else ""
        gives = f" and give what it owns to {transfer_to}" if transfer_to else ""
        click.confirm(f"Delete the account {name}{things}{gives}?", abort=True, err=True)
    session.client.users.delete(name, transfer_to=transfer_to, purge=purge or None)
    return Done(f"Deleted {name}.", {"username": name, "deleted": True}, name)


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
