"""``status``, ``events`` and ``serve``."""

from __future__ import annotations

import json

import click

from ..lazy import Command
from ..session import Session, pass_session
from ..views import Details, Table, View, clean, duration


@click.command(cls=Command)
@click.argument("what", required=False, type=click.Choice(["db", "services"]))
@pass_session
def status(session: Session, what: str | None) -> View:
    """Show how the server and its services are; of databases or services alone in detail."""
    if what == "services":
        from .services import table

        return table(session)
    if what == "db":
        from .databases import COLUMNS, NONE

        return Table(COLUMNS, session.client.databases.list(), NONE)
    found = session.client.system.status()
    fields: list[tuple[str, object]] = [
        ("status", found.get("status")),
        ("server", session.client.server.url),
        ("version", found.get("version")),
        ("up for", duration(found.get("uptime"))),
    ]
    fields += [(name, state) for name, state in (found.get("services") or {}).items()]
    fields += [
        (f"! {problem['service']}", f"{problem['what']} {problem.get('cure') or ''}".strip())
        for problem in found.get("problems") or ()
    ]
    return Details(found, fields)


@click.command(cls=Command)
@click.option(
    "--topics",
    default="containers,images,operations,engine",
    show_default=True,
    help="Which; container-stats is there, too.",
)
@click.option("--after", help="Go on after the event with this id.")
@pass_session
def events(session: Session, topics: str, after: str | None) -> None:
    """Follow what happens until interrupted."""
    wanted = [topic.strip() for topic in topics.split(",") if topic.strip()]
    for event in session.client.events(wanted, after):
        if session.json:
            record = {"id": event.id, "topic": event.topic, "data": event.data}
            session.console.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            text = json.dumps(event.data, ensure_ascii=False)
            session.console.write(f"{clean(event.topic):12} {clean(text)}\n")


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Start a server without kernels, for a team; takes the options of `jupyter server`."""
    from jupyter_ext.desk.serve import serve as start

    start(list(arguments))
