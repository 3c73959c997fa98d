"""``backup …``: on the command line and as ``%backup`` in notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ...client.moments import backup_for, moment
from ...client.things import Thing
from ...errors import PlatformError
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Done, Table, View, clean
from .backup_views import COLUMNS, SIDE_COLUMNS, local, planned, restored, taken
from .complete import backup_names, database_names
from .several import delete_each

F = TypeVar("F", bound=Callable[..., Any])

TYPES = ("full", "incremental", "differential")
NONE = "No backups yet; `create` takes one."
NO_SIDES = "No restored cluster was left beside."

PATIENCE = 180.0
"""Seconds: with the first backup the server prepares the repository."""

ID = click.argument("ref", metavar="ID", shell_complete=backup_names)
IDS = click.argument("refs", metavar="ID...", nargs=-1, required=True, shell_complete=backup_names)
YES = click.option("-y", "--yes", is_flag=True, help="Don't ask.")


def databases_option(text: str) -> Callable[[F], F]:
    """Return the option that names databases."""
    return click.option(
        "--database",
        "databases",
        multiple=True,
        metavar="NAME",
        help=text,
        shell_complete=database_names,
    )


def files_option(text: str) -> Callable[[F], F]:
    """Return the option that names files."""
    return click.option("--file", "files", multiple=True, metavar="PATH", help=text)


@click.group(cls=Group)
def backup() -> None:
    """Take, test and delete backups of databases; go back to any moment since."""


@backup.command("create")
@click.option("--type", "kind", type=click.Choice(TYPES), help="How much it holds.  [full]")
@databases_option("What it is for; repeatable.  [all of yours]")
@files_option("In your notebook folder, to be kept with it; repeatable.")
@click.option("--no-databases", "alone", is_flag=True, help="For the files alone.")
@pass_session
def create_backup(
    session: Session,
    kind: str | None,
    databases: tuple[str, ...],
    files: tuple[str, ...],
    alone: bool,
) -> View:
    """Take a backup: all databases are in it, whichever it is for, and the files named."""
    if alone and (databases or not files):
        raise click.UsageError("--no-databases goes with --file, and without --database.")
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress("Backing up") as progress:
        made = session.client.backups.create(
            type=kind,
            databases=[] if alone else databases or None,
            files=files or None,
            progress=progress,
        )
    return Done(taken(made), made, made["id"])


@backup.command("list")
@pass_session
def list_backups(session: Session) -> View:
    """List backups of your databases, newest first."""
    found = session.client.backups.list()
    return Table(COLUMNS, found, NONE, total=found.total)


@backup.command("restore")
@click.option(
    "--to",
    metavar="TIME",
    help="Any moment since the backup: 2026-01-02 15:04:05 on your clock, or 10m ago.  [its end]",
)
@databases_option("Which; repeatable.  [those that the backup was taken for]")
@files_option("Which of those that it has; repeatable.  [all]")
@click.option("--no-files", is_flag=True, help="Databases alone.")
@click.option("--all", "whole", is_flag=True, help="The whole cluster (administrators).")
@click.option("--side", is_flag=True, help="Leave it beside, replace nothing (administrators).")
@click.option(
    "--timeline", type=int, metavar="N", help="On which TIME is.  [that of the last restore]"
)
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@YES
@click.argument("ref", metavar="[ID]", required=False, shell_complete=backup_names)
@pass_session
def restore_backup(
    session: Session,
    ref: str | None,
    to: str | None,
    databases: tuple[str, ...],
    files: tuple[str, ...],
    no_files: bool,
    whole: bool,
    side: bool,
    timeline: int | None,
    dry_run: bool,
    yes: bool,
) -> View:
    """Bring databases back to a moment; without an ID from the newest backup before it.

    What would happen is shown first. What was there before is kept. Files that you had kept with it
    come back, too, as they were then.
    """
    if whole and databases:
        raise click.UsageError("Either --all or --database.")
    session.timeout = max(session.timeout, PATIENCE)
    backups = session.client.backups
    target = moment(to) if to is not None else None
    if files and no_files:
        raise click.UsageError("Either --file or --no-files.")
    if whole and files:
        raise click.UsageError("--all brings all files of the backup, or with --no-files none.")
    names = [] if whole else list(databases) or None
    paths = [] if no_files else list(files) or None
    other = None
    if ref is None:
        source = backup_for(backups.list(), target, timeline, databases)
        ref = source["id"]
        if names is None:
            other = _other(session, source)
    if dry_run or not yes:
        plan = backups.restore(
            ref, to=target, timeline=timeline, databases=names, files=paths, side=side, dry_run=True
        )
        if dry_run:
            return planned(plan, other)
        session.console.note(repr(planned(plan, other)))
        everybody = not side and plan["cluster"]
        _confirm(session, "Replace what everybody has?" if everybody else "Restore?")
        # What was read is what is done, whatever the clock says by now.
        target = target and moment(plan["target_time"])
        if not plan["cluster"]:
            names = plan["databases"]
            paths = [each["path"] for each in plan["files"]] or paths
    elif other:
        session.console.note(f"{ref} was taken by {clean(other)}: what it is for comes back.")
    with session.progress(f"Restoring {ref}") as progress:
        made = backups.restore(
            ref,
            to=target,
            timeline=timeline,
            databases=names,
            files=paths,
            side=side,
            progress=progress,
        )
    if session.console.kept and made.get("side"):
        made.side["connection_url"] = None
    return restored(made)


def _other(session: Session, source: Thing) -> str | None:
    """Return who else took a backup, whose databases come back where none are named."""
    owner = source.get("owner")
    if owner is None:
        return None  # a scheduled one is for all
    try:
        mine = session.client.users.me().username == owner
    except PlatformError:
        mine = False  # a key need not be good for that
    return None if mine else str(owner)


@backup.command("verify")
@ID
@pass_session
def verify_backup(session: Session, ref: str) -> View:
    """Check every file of a backup, and restore it beside as a test."""
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Testing {ref}") as progress:
        made = session.client.backups.verify(ref, progress=progress)
    return Done(f"{ref} can be restored: tested {local(made['verified_at'])}.", made, ref)


@backup.command("delete")
@YES
@IDS
@pass_session
def delete_backups(session: Session, refs: tuple[str, ...], yes: bool) -> View:
    """Delete backups, and the moments that only they reach (administrators)."""
    if not yes:
        _confirm(session, f"Delete {', '.join(map(clean, refs))} for good?")
    return delete_each(session, refs, session.client.backups.delete)


@backup.group("side", cls=Group)
def side_group() -> None:
    """See and delete restored clusters that were left beside (administrators)."""


@side_group.command("list")
@pass_session
def list_sides(session: Session) -> View:
    """List restored clusters that were left beside."""
    found = session.client.backups.sides()
    return Table(SIDE_COLUMNS, found, NO_SIDES, total=found.total)


@side_group.command("delete")
@YES
@click.argument("refs", metavar="ID...", nargs=-1, required=True)
@pass_session
def delete_sides(session: Session, refs: tuple[str, ...], yes: bool) -> View:
    """Stop restored clusters and delete all that is in them."""
    if not yes:
        _confirm(session, f"Delete {', '.join(map(clean, refs))} with all that is in there?")
    return delete_each(session, refs, session.client.backups.delete_side)


def _confirm(session: Session, question: str) -> None:
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: add --yes.")
    click.confirm(question, abort=True, err=True)
