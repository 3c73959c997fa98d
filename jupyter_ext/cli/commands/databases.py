"""``db …``: on the command line and, in part, as ``%database`` in notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...client.things import Thing
from ...errors import NotFound
from ..lazy import Command, Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, clean
from .complete import database_names, user_names
from .several import delete_each

COLUMNS = [
    Column("NAME", lambda d: d["name"]),
    Column("OWNER", lambda d: d["owner"]),
    Column("SIZE", lambda d: d.get("size"), right=True),
    Column("CREATED", lambda d: ago(d.get("created_at"))),
]
NONE = "No databases yet; `create NAME` makes one."

PATIENCE = 180.0
"""Seconds: before the first database the server makes PostgreSQL's files."""

OFFERED = 20
"""Names in a question."""

PSQL_WORDS = "jupyter_ext.psql_words"
NAME = click.argument("name", shell_complete=database_names)


class ConnectCommand(Command):
    """A command that leaves what follows ``--`` to psql, with or without a name before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set psql's words aside."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[PSQL_WORDS] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Say where psql's words stand."""
        return [*super().collect_usage_pieces(ctx), "[-- PSQL...]"]


@click.group(cls=Group)
def db() -> None:
    """Make, clone, open and drop PostgreSQL databases."""


@db.command("list")
@click.option("--fresh", is_flag=True, help="Measure their sizes now.")
@pass_session
def list_databases(session: Session, fresh: bool) -> View:
    """List the databases that you may use."""
    found = session.client.databases.list(fresh=fresh or None)
    return Table(COLUMNS, found, NONE, total=found.total)


@db.command("create")
@click.option(
    "--owner",
    metavar="USER",
    help="Whose it is (administrators).  [you; an administrator: dba]",
    shell_complete=user_names,
)
@click.option(
    "--template",
    metavar="DATABASE",
    help="Begin with the content of this one, in which nobody is.",
    shell_complete=database_names,
)
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    metavar="NAME",
    help="To be there at the beginning: pg_trgm, say; repeatable.",
)
@click.argument("name")
@pass_session
def create_database(
    session: Session, name: str, owner: str | None, template: str | None, extensions: Sequence[str]
) -> View:
    """Make a database; a terminal is shown its address, with the password, this once."""
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Making {name}") as progress:
        made = session.client.databases.create(
            name,
            owner=owner,
            template=template,
            extensions=extensions or None,
            progress=progress,
        )
    if session.console.kept:
        return Done(f"Made {name}; `%database use` opens it.", _without_address(made), name)
    address = made.get("connection_url")
    if not address:
        return Done(f"Made {name}, which is {made['owner']}'s.", made, name)
    session.say(f"Made {clean(name)}. Whoever has this address can open it:")
    return Done(address, made, address)


@db.command("drop")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("-f", "--force", is_flag=True, help="End the sessions that are in it.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=database_names)
@pass_session
def drop_databases(session: Session, names: tuple[str, ...], yes: bool, force: bool) -> View:
    """Delete databases with all that is in them."""
    if not yes:
        if not session.console.interactive:
            raise click.UsageError("Nobody is there to be asked: add --yes.")
        which = ", ".join(map(clean, names))
        click.confirm(f"Delete {which} with all that is in there?", abort=True, err=True)
    return delete_each(
        session, names, lambda name: session.client.databases.delete(name, force=force or None)
    )


@db.command("clone")
@click.option("--schema-only", is_flag=True, help="Its tables without their rows.")
@NAME
@click.argument("new_name", metavar="NEW")
@pass_session
def clone_database(session: Session, name: str, new_name: str, schema_only: bool) -> View:
    """Make the database NEW with the content of another."""
    session.timeout = max(session.timeout, PATIENCE)
    with session.progress(f"Cloning {name}") as progress:
        made = session.client.databases.clone(
            name, new_name, schema_only=schema_only or None, progress=progress
        )
    return Done(f"Cloned {name} as {new_name}.", _without_address(made), new_name)


@db.command("connect", cls=ConnectCommand)
@click.argument("name", required=False, shell_complete=database_names)
@click.pass_context
def connect_database(context: click.Context, name: str | None) -> None:
    """Open a database in psql; what follows `--` goes to psql, whose exit code is the end's."""
    from .. import psql

    session = context.find_object(Session)
    assert session is not None  # noqa: S101 - the root makes one
    program = psql.find(session.environ)
    found = session.client.databases.connection(_choose(session) if name is None else name)
    words: list[str] = context.meta[PSQL_WORDS]
    session.exit_code = psql.run(program, found, words, session.environ)


def _choose(session: Session) -> str:
    """Return the only database there is, or the one that a person names."""
    names = [found["name"] for found in session.client.databases.list() if not found["system"]]
    if not names:
        raise NotFound("database", "", "There is no database that you may use.")
    if len(names) == 1:
        return str(names[0])
    shown = ", ".join(map(clean, names[:OFFERED])) + (", …" if len(names) > OFFERED else "")
    if not session.console.interactive:
        raise click.UsageError(f"Which database? There are: {shown}.")
    question = f"Which database ({shown})"
    chosen: str = click.prompt(question, type=click.Choice(names), show_choices=False, err=True)
    return chosen


def _without_address(made: Thing) -> Thing:
    return Thing({name: value for name, value in made.items() if name != "connection_url"})
