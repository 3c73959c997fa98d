"""``config …``: of this machine alone, no server is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ...client.things import Thing
from ...settings_file import BadSettings, Setting, default_path, parse, split, write
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Details, Table, View

HIDDEN = "••••"

IN_ADDRESS = re.compile(
    r"(?<=:)(?<!://)[^:/?#\s]+(?=@)|(?<=password=)(?:'[^']*'|[^&\s]+)", re.IGNORECASE
)
"""A password in the address of a database or a store."""

COLUMNS = [
    Column("SETTING", lambda s: s["name"]),
    Column("VALUE", lambda s: s["value"]),
    Column("FROM", lambda s: s["source"]),
]


@click.group(cls=Group)
def config() -> None:
    """Show and change the configuration file."""


@config.command("show")
@pass_session
def show_settings(session: Session) -> View:
    """Show what the file and the environment set."""
    file = session.settings
    for name in file.unknown():
        session.say(f"{file.path}: {name} means nothing.")
    if file.path is None:
        session.say(
            f"There is no file yet; `pig config set` makes {default_path(session.environ)}."
        )
    return Table(COLUMNS, [_shown(each) for each in file.all()], "Nothing is set.")


@config.command("get")
@click.argument("name", metavar="SECTION.KEY")
@pass_session
def get_setting(session: Session, name: str) -> View:
    """Show one setting, secrets too."""
    with _usage():
        section, key = split(name)
    found = next((s for s in session.settings.all() if (s.section, s.key) == (section, key)), None)
    value = found.value if found else None
    record = Thing({"name": name, "value": value, "source": found.source if found else None})
    fields: list[tuple[str, object]] = [(name, "(not set)" if found is None else value)]
    return Details(record, fields)


@config.command("set")
@click.argument("name", metavar="SECTION.KEY")
@click.argument("value")
@pass_session
def set_setting(session: Session, name: str, value: str) -> View:
    """Write one setting into the file; a server takes it when it starts again."""
    with _usage():
        section, key = split(name)
        meant = parse(section, key, value)
        named = session.config or session.environ.get("PIG_CONFIG")
        path = Path(named).expanduser() if named else _own(session)
        write(path, section, key, meant)
    setting = Setting(section, key, meant, str(path))
    over = next((s for s in session.settings.all() if s.name == name), setting)
    if over.source.startswith("$"):
        session.say(f"{over.source} is set, and counts instead.")
    session.say(f"Written to {path}. A server that runs takes it when it starts again.")
    return Details(_shown(setting), [(name, _shown(setting)["value"])])


def _own(session: Session) -> Path:
    """Return the file that is there, or the one that is made."""
    return session.settings.path or default_path(session.environ)


def _shown(setting: Setting) -> Thing:
    value = HIDDEN if setting.secret and setting.value else setting.value
    if isinstance(value, str):
        value = IN_ADDRESS.sub(HIDDEN, value)
    return Thing({"name": setting.name, "value": value, "source": setting.source})


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except BadSettings as error:
        raise click.UsageError(str(error)) from error
