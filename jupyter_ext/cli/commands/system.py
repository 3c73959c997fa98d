"""``status``, ``events`` and ``serve``."""

from __future__ import annotations

import json

import click

from ..lazy import Command
from ..session import Session, pass_session
from ..views import Details, View, clean


@click.command(cls=Command)
@pass_session
def status(session: Session) -> View:
    """Show how the server and its services are."""
    found = session.client.system.status()
    fields: list[tuple[str, object]] = [
        ("status", found.get("status")),
        ("server", session.client.server.url),
        ("version", found.get("version")),
        ("up for", _duration(found.get("uptime"))),
    ]
    fields += [(name, state) for name, state in (found.get("services") or {}).items()]
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


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
