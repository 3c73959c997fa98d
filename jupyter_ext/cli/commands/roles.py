"""``role …`` and ``invitation …``."""

from __future__ import annotations

import click

from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, flat
from .complete import role_names

ROLE_COLUMNS = [
    Column("NAME", lambda r: r["name"]),
    Column("DESCRIPTION", lambda r: r.get("description")),
    Column("PERMISSIONS", lambda r: _some(r.get("permissions") or [])),
]
PERMISSION_COLUMNS = [
    Column("NAME", lambda p: p["name"]),
    Column("DESCRIPTION", lambda p: p.get("description")),
]
INVITATION_COLUMNS = [
    Column("ID", lambda i: i["id"]),
    Column("ROLE", lambda i: i.get("role")),
    Column("EMAIL", lambda i: i.get("email")),
    Column("CREATED", lambda i: ago(i.get("created_at"))),
    Column("EXPIRES", lambda i: i.get("expires_at")),
    Column("USED", lambda i: ago(i.get("used_at")) or "no"),
]
SHOWN = 6


@click.group(cls=Group)
def role() -> None:
    """Make and delete roles (the administrator's)."""


@role.command("list")
@pass_session
def list_roles(session: Session) -> View:
    """List roles, those that are always there first."""
    return Table(ROLE_COLUMNS, session.client.roles.list())


@role.command("permissions")
@pass_session
def list_permissions(session: Session) -> View:
    """List every permission that a role may have."""
    return Table(PERMISSION_COLUMNS, session.client.roles.permissions())


@role.command("create")
@click.option(
    "-p",
    "--permission",
    "permissions",
    metavar="NAME",
    multiple=True,
    required=True,
    help="container:read, or container:* for all of a thing; repeatable.",
)
@click.option("--description", help="What it is for; shown in the list.")
@click.argument("name")
@pass_session
def create_role(
    session: Session, name: str, permissions: tuple[str, ...], description: str | None
) -> View:
    """Make a role of permissions."""
    made = session.client.roles.create(name, permissions, description=description)
    return Done(f"Made the role {made['name']}.", made, made["name"])


@role.command("delete")
@click.argument("name", shell_complete=role_names)
@pass_session
def delete_role(session: Session, name: str) -> View:
    """Delete a role that nobody has."""
    session.client.roles.delete(name)
    return Done(f"Deleted the role {name}.", {"name": name, "deleted": True}, name)


@click.group(cls=Group)
def invitation() -> None:
    """Invite people to register (the administrator's)."""


@invitation.command("create")
@click.option("--role", metavar="ROLE", help="What they may do.  [user]", shell_complete=role_names)
@click.option("--email", help="Whom it is for.")
@click.option("--days", type=click.IntRange(1, 365), help="How long it can be used.  [7]")
@pass_session
def create_invitation(
    session: Session, role: str | None, email: str | None, days: int | None
) -> View:
    """Invite one person to register; the code is shown this once."""
    made = session.client.invitations.create(role=role, email=email, days=days)
    session.say(f"It can be used once, until {made.get('expires_at')}; it is not shown again.")
    return Done(made.code, made, made.code)


@invitation.command("list")
@pass_session
def list_invitations(session: Session) -> View:
    """List invitations, newest first."""
    found = session.client.invitations.list()
    empty = "No invitations. Make one with `invitation create`."
    return Table(INVITATION_COLUMNS, found, empty, total=found.total)


@invitation.command("delete")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def delete_invitations(session: Session, ids: tuple[str, ...]) -> View:
    """Take invitations back."""
    for ident in ids:
        session.client.invitations.delete(ident)
    gone = [{"id": ident, "deleted": True} for ident in ids]
    return Done(f"Took back {', '.join(ids)}.", gone, "\n".join(ids))


def _some(permissions: list[str]) -> str:
    more = len(permissions) - SHOWN
    shown = flat(permissions[:SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
