"""What the tab key offers after ``%container`` and others: sub-commands, options, names."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.shell_completion import ShellComplete

from ..cli.commands.backups import backup
from ..cli.commands.complete import container_names
from ..cli.commands.containers import container
from ..cli.commands.snapshots import snapshot
from ..cli.session import Session
from .databases import database

COMMANDS: dict[str, click.Command] = {
    "%backup": backup,
    "%container": container,
    "%database": database,
    "%snapshot": snapshot,
}

_session = Session(program="%container", timeout=1.5)


def complete(shell: Any, event: Any) -> list[str]:
    """Return how the word before the cursor may go on, as IPython's completer wants it."""
    return suggestions(event.text_until_cursor, event.symbol, _session)


def suggestions(line: str, symbol: str, session: Session) -> list[str]:
    """Return how `line` may go on.

    Parameters
    ----------
    symbol
        The end of the line that IPython replaces; shorter than the word where that holds a colon.
    """
    magic, _, rest = line.lstrip().partition(" ")
    words, typed = _words(rest)
    if magic.startswith("%%"):
        found = _names(session, typed) if not words else []
    else:
        command = COMMANDS[magic]
        completer = ShellComplete(command, {"obj": session}, magic, "")
        found = [item.value for item in completer.get_completions(words, typed)]
    kept = len(typed) - len(symbol) if typed.endswith(symbol) else 0
    return [word[kept:] for word in found]


def _names(session: Session, typed: str) -> list[str]:
    context = click.Context(container, obj=session)
    return container_names(context, click.Argument(["ref"]), typed)


def _words(rest: str) -> tuple[list[str], str]:
    """Return the finished words and the one that is being typed."""
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    if rest and not rest[-1].isspace() and words:
        return words[:-1], words[-1]
    return words, ""
