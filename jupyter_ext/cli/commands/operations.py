"""``operation …``."""

from __future__ import annotations

import click

from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Details, Done, Table, View, ago

STATES = ("pending", "running", "succeeded", "failed", "cancelled")
COLUMNS = [
    Column("ID", lambda o: o["id"]),
    Column("STATE", lambda o: o["state"]),
    Column("KIND", lambda o: o.get("kind")),
    Column("SUBJECT", lambda o: o.get("subject")),
    Column("PROGRESS", lambda o: _percent(o.get("progress")), right=True),
    Column("CREATED", lambda o: ago(o.get("created_at"))),
    Column("MESSAGE", lambda o: (o.get("error") or {}).get("message") or o.get("message")),
]


@click.group(cls=Group)
def operation() -> None:
    """See and cancel long work."""


@operation.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@pass_session
def list_operations(session: Session, state: str | None) -> View:
    """List long work, newest first."""
    found = session.client.operations.list(state=state)
    return Table(COLUMNS, found, "No long work so far.", total=found.total)


@operation.command("show")
@click.option("-f", "--follow", is_flag=True, help="Wait for its end.")
@click.argument("ref", metavar="ID")
@pass_session
def show_operation(session: Session, ref: str, follow: bool) -> View:
    """Show how far an operation is."""
    if follow:
        with session.progress(f"Following {ref}") as progress:
            session.client.operations.follow(ref, progress)
    found = session.client.operations.get(ref)
    fields = [(name, value) for name, value in found.items() if name not in ("result", "details")]
    return Details(found, fields)


@operation.command("cancel")
@click.argument("refs", metavar="ID...", nargs=-1, required=True)
@pass_session
def cancel_operations(session: Session, refs: tuple[str, ...]) -> View:
    """Ask operations to stop and undo what they did."""
    done = [session.client.operations.cancel(ref) for ref in refs]
    return Done(f"Cancelling {', '.join(refs)}.", done, "\n".join(refs))


def _percent(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, int | float) else ""
