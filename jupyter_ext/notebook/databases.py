"""``%database``: databases from cells, and the kernel's way into one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import click

from ..cli.commands.complete import database_names
from ..cli.commands.databases import (
    clone_database,
    create_database,
    drop_databases,
    list_databases,
)
from ..cli.lazy import Command, Group
from ..cli.session import Session, pass_session
from ..cli.views import Done, View
from ..client.libpq import STRONGER, environment
from .password_file import password_file
from .sql import open_in_sql


@click.command("use", cls=Command)
@click.argument("name", shell_complete=database_names)
@pass_session
def use_database(session: Session, name: str) -> View:
    """Open a database for `psycopg.connect()`, and for `%sql` where JupySQL is installed."""
    found = session.client.databases.connection(name)
    ways = open_here(found)
    shown = {part: found[part] for part in ("host", "port", "user", "database")}
    return Done(led(ways, name), shown, name)


def open_here(found: Mapping[str, Any]) -> Sequence[str]:
    """Lead this kernel into a database; return the ways that lead there now.

    Parameters
    ----------
    found
        What `client.databases.connection` tells.
    """
    file = password_file()
    file.add(found)
    in_sql = open_in_sql(found, file.path)
    for stronger in STRONGER:
        os.environ.pop(stronger, None)
    # libpq reads it: psycopg, psycopg2, psql and pg_dump, with nothing said, go there.
    os.environ.update(environment(found, file.path))
    ways = ["`psycopg.connect()`"] if find_spec("psycopg") else ["`!psql`"]
    if in_sql:
        ways.append("`%sql`")
    return ways


def led(ways: Sequence[str], name: str) -> str:
    """Say what leads into a database."""
    lead = "lead" if len(ways) > 1 else "leads"
    return f"{' and '.join(ways)} {lead} to {name} from here on."


database = Group(
    "database",
    commands={
        "list": list_databases,
        "create": create_database,
        "use": use_database,
        "clone": clone_database,
        "drop": drop_databases,
    },
    help="Make, open, clone and drop PostgreSQL databases.",
)
