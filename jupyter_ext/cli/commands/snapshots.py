"""``snapshot …``: on the command line, and as ``%snapshot`` in notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...client.things import Thing
from ...errors import InvalidRequest
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, clean
from .complete import snapshot_names, user_names

GROUPS = ("databases", "files", "containers")
GROUP_OF = {"cluster": "databases", "database": "databases", "container": "containers"}
"""By a part's kind."""

COLUMNS = [
    Column("NAME", lambda s: s["name"]),
    Column("SIZE", lambda s: s["size"], right=True),
    Column("PARTS", lambda s: ", ".join(p["name"] for p in s["parts"] if p["state"] == "kept")),
    Column("CREATED", lambda s: ago(s["created_at"])),
]
NONE = "No snapshots yet; `create NAME` takes one."

PATIENCE = 3600.0
"""Seconds: copying files for the first time, or restoring large databases, takes its time."""

NAME = click.argument("name", shell_complete=snapshot_names)
OWNER = click.option(
    "--owner", metavar="USER", help="Whose (administrators).  [you]", shell_complete=user_names
)


@click.group(cls=Group)
def snapshot() -> None:
    """Keep databases, notebook files and containers under one name, and bring them back."""


@snapshot.command("list")
@OWNER
@pass_session
def list_snapshots(session: Session, owner: str | None) -> View:
    """List snapshots, newest first."""
    found = session.client.snapshots.list(owner=owner)
    return Table(COLUMNS, found, NONE, total=found.total)


@snapshot.command("create")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(GROUPS),
    help="Only these; repeatable.  [all]",
)
@click.argument("name")
@pass_session
def create_snapshot(
    session: Session, name: str, description: str | None, parts: Sequence[str]
) -> View:
    """Keep your databases, notebook files and containers as they are now."""
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Taking {name}") as progress:
        made = session.client.snapshots.create(
            name, description=description, parts=parts or None, progress=progress
        )
    for part in made["parts"]:
        if part["state"] == "left_out" or part.get("reason"):
            session.say(f"{clean(part['name'])}: {clean(part['reason'])}")
        for words in part.get("not_in_it", ()):
            session.say(f"{clean(part['name'])}, not in it: {clean(words)}")
    kept = ", ".join(part["name"] for part in made["parts"] if part["state"] == "kept")
    return Done(f"Took {name}: {kept} ({made['size']}).", made, name)


@snapshot.command("restore")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    metavar="PART",
    help="Only this: files, database:NAME, container:NAME, or all databases or containers; "
    "repeatable.",
)
@NAME
@pass_session
def restore_snapshot(session: Session, name: str, parts: Sequence[str], yes: bool) -> View:
    """Bring back what a snapshot holds; what is there now becomes a snapshot of its own."""
    if not yes:
        session.console.note(_planned(session.client.snapshots.get(name), parts))
        _ask(session, "Restore?")
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Restoring {name}") as progress:
        made = session.client.snapshots.restore(name, parts=parts or None, progress=progress)
    for part, lines in made["not_in_it"].items():
        for words in lines:
            session.say(f"{clean(part)}, not restored: {clean(words)}")
    return Done(
        f"Restored {', '.join(made['parts'])}. What was there is the snapshot {made['kept']}.",
        made,
        made["kept"],
    )


@snapshot.command("delete")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@OWNER
@NAME
@pass_session
def delete_snapshot(session: Session, name: str, owner: str | None, yes: bool) -> View:
    """Delete a snapshot, and tell what that frees."""
    if not yes:
        _ask(session, f"Delete the snapshot {clean(name)}?")
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Deleting {name}") as progress:
        gone = session.client.snapshots.delete(name, owner=owner, progress=progress)
    for left in gone["left"]:
        session.say(f"The image {clean(left)} stays: a container is based on it.")
    return Done(f"Deleted {name}, which frees {gone['freed']}.", gone, name)


def _planned(found: Thing, parts: Sequence[str]) -> str:
    """Say what a restore would do.

    Raises
    ------
    InvalidRequest
        None of these parts is in it.
    """
    there = [part for part in found["parts"] if part["state"] == "kept"]
    chosen = [
        part["name"]
        for part in there
        if not parts or {part["name"], GROUP_OF.get(part["kind"])} & {*parts}
    ]
    if not chosen:
        names = ", ".join(part["name"] for part in there) or "nothing"
        raise InvalidRequest(fields={"parts": f"{clean(found['name'])} has {clean(names)}"})
    which = ", ".join(map(clean, chosen))
    lines = [f"{clean(found['name'])}, taken {ago(found['created_at'])}, would replace: {which}."]
    if any(name.startswith("database:") for name in chosen):
        lines.append("The sessions in these databases end.")
    elif "cluster" in chosen:
        lines.append("The cluster is everybody's databases: all sessions end.")
    lines.append("What is there now becomes a snapshot of its own, which brings it back.")
    return "\n".join(lines)


def _ask(session: Session, question: str) -> None:
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: add --yes.")
    click.confirm(question, abort=True, err=True)
