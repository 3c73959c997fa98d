"""Write docs/reference.md from the code: every trait, command, magic, route and topic.

``reference.py`` prints it, ``--write`` writes the file; a test fails when the two differ.
"""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from traitlets import Undefined
from traitlets.config import Configurable

import jupyter_ext
from jupyter_ext.api.route import Feed, Route, SocketRoute
from jupyter_ext.events.topics import TOPICS

FILE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

HEAD = """\
# Reference

Written from the code by `scripts/reference.py --write`; change the help there, not here.
"""


def modules() -> Iterator[ModuleType]:
    """Every module of the package but migrations, which run only where the store says so."""
    for found in pkgutil.walk_packages(jupyter_ext.__path__, "jupyter_ext."):
        if "__main__" not in found.name and ".migrations" not in found.name:
            yield import_module(found.name)


def text(words: str) -> str:
    """Return `words` on one line, safe in a table's cell."""
    return re.sub(r"\s+", " ", words).strip().replace("|", "\\|")


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def configurables(known: list[ModuleType]) -> list[type[Configurable]]:
    """Return the classes of ours that have configuration of their own."""
    found = {
        thing
        for module in known
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, Configurable)
        and thing.__module__.startswith("jupyter_ext.")
        and own_traits(thing)
    }
    return sorted(found, key=lambda kind: (kind.__name__ != "JupyterExt", kind.__name__))


def own_traits(kind: type[Configurable]) -> dict[str, Any]:
    """Return the traits that `kind` itself brings or changes."""
    return {
        name: trait
        for name, trait in sorted(kind.class_own_traits(config=True).items())
        if name in vars(kind)
    }


def default(kind: type[Configurable], name: str, trait: Any) -> str:
    """Return a trait's default as it is written in a configuration file."""
    if any(
        name in getattr(part, "__dict__", {}).get("_trait_default_generators", {})
        for part in kind.__mro__
    ):
        return ""
    value = trait.default_value
    if value is Undefined or value is None or value == "":
        return ""
    if isinstance(value, type):
        value = f"{value.__module__}.{value.__qualname__}"
    return f"`{value!r}`"


def traits(known: list[ModuleType]) -> str:
    """Return the section of configuration."""
    parts = [
        "## Configuration\n\n"
        'In `jupyter_server_config.py`: `c.JupyterExt.home = "/srv/jupyter_ext"`.\n'
    ]
    for kind in configurables(known):
        first = text((kind.__doc__ or "").partition("\n")[0])
        rows = [
            (
                f"`{kind.__name__}.{name}`",
                type(trait).__name__,
                default(kind, name, trait),
                text(trait.help),
            )
            for name, trait in own_traits(kind).items()
        ]
        parts.append(
            f"### {kind.__name__}\n\n{first}\n\n" + table(("trait", "type", "default", ""), rows)
        )
    return "\n".join(parts)


def leaves(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    """Every command below `command` with the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words[-1])
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from leaves(found, [*words, name])
    else:
        yield words, command


def usage(words: list[str], command: click.Command) -> str:
    """Return how a command is called, without its options."""
    context = click.Context(command, info_name=" ".join(words))
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    return " ".join([*words, *pieces])


def commands() -> str:
    """Return the section of the command line."""
    from jupyter_ext.cli.program import root

    rows = []
    for words, command in leaves(root, ["pig"]):
        options = [
            f"`{option.opts[-1]}`"
            for option in command.params
            if isinstance(option, click.Option) and not option.hidden
        ]
        rows.append(
            (f"`{usage(words, command)}`", text(command.get_short_help_str(200)), " ".join(options))
        )
    intro = "`pig` and `jupyter ext` are one program. Every command takes `--json` and `--help`."
    return f"## Command line\n\n{intro}\n\n" + table(("command", "", "options"), rows)


def magics() -> str:
    """Return the section of the magics."""
    from jupyter_ext.cli.commands.backups import backup
    from jupyter_ext.cli.commands.containers import container
    from jupyter_ext.cli.commands.gpus import gpu
    from jupyter_ext.cli.commands.images import image
    from jupyter_ext.cli.commands.snapshots import snapshot
    from jupyter_ext.notebook.databases import database

    groups = {
        "container": container,
        "gpu": gpu,
        "image": image,
        "database": database,
        "backup": backup,
        "snapshot": snapshot,
    }
    rows = [
        (f"`%{usage(words, command)}`", text(command.get_short_help_str(200)))
        for name, group in groups.items()
        for words, command in leaves(group, [name])
    ]
    rows.append(
        ("`%%container NAME [COMMAND…]`", "Run the cell in a container and stream what it prints.")
    )
    return "## Magics\n\nAfter `%load_ext jupyter_ext`.\n\n" + table(("magic", ""), rows)


def entries(known: list[ModuleType], kind: type[Any]) -> list[Any]:
    """Return what the domains' tables hold of `kind`, each once, in their order."""
    found: dict[int, Any] = {}
    for module in known:
        for value in vars(module).values():
            if isinstance(value, (list, tuple)):
                found.update({id(item): item for item in value if isinstance(item, kind)})
    return list(found.values())


def routes(known: list[ModuleType]) -> str:
    """Return the sections of REST and of the WebSockets."""
    rest = [
        (
            f"`{route.method} {route.path}`",
            route.dialect.name,
            route.permission or ("public" if route.public else ""),
            text(route.summary),
        )
        for route in sorted(entries(known, Route), key=lambda route: (route.path, route.method))
    ]
    sockets = [(f"`{route.path}`", text(route.summary)) for route in entries(known, SocketRoute)]
    topics = [
        (
            f"`{feed.topic}`",
            feed.permission or "",
            text((feed.snapshot.__doc__ or "").partition("\n")[0]),
        )
        for feed in sorted(entries(known, Feed), key=lambda feed: feed.topic)
    ]
    return "\n".join(
        [
            "## REST\n\nWhat each takes and answers: `/api/v1/openapi.json`, and `/api/v1/docs`.\n",
            table(("route", "dialect", "permission", ""), rest),
            "## WebSockets\n",
            table(("path", ""), sockets),
            "### Topics of `/api/v1/ws`\n",
            table(("topic", "permission", "the reply to a subscription"), topics),
            "### Topics of `/api/v1/events`\n",
            "The topic `events` of `/api/v1/ws` brings the same. "
            "What your account or key may not read is left out of both.\n",
            table(("topic", "permission"), [(f"`{name}`", TOPICS[name]) for name in TOPICS]),
        ]
    )


def reference() -> str:
    """Return the whole page."""
    known = list(modules())
    return "\n".join([HEAD, traits(known), commands(), magics(), routes(known)])


if __name__ == "__main__":
    os.environ["COLUMNS"] = "200"
    if "--write" in sys.argv:
        FILE.write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())
