"""Groups that import a command when it is called, so that showing help costs nothing.

Commands take the global options too, so that those may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

GLOBAL_FLAGS = {
    "json": ("--json", "Print JSON for programs."),
    "quiet": ("--quiet", "Print only what was asked for."),
    "verbose": ("--verbose", "Say what is sent to the server."),
}
GLOBAL_VALUES = {
    "url": ("--url", "URL", "The server's address; a local one is found by itself. [PIG_URL]"),
    "api_key": ("--api-key", "KEY", "An API key for it; better in the environment. [PIG_API_KEY]"),
    "config": ("--config", "FILE", "Configuration to read (YAML). [PIG_CONFIG]"),
}
SHORT = {"quiet": "-q", "config": "-c"}


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value and context.obj is not None and parameter.name:
        setattr(context.obj, parameter.name, value)
    return value


def global_options(taken: set[str], *, hidden: bool) -> list[click.Option]:
    """Return the options that every command takes, without names that it uses itself."""

    def names(name: str, long: str) -> list[str]:
        short = SHORT.get(name)
        return [long] if short is None or short in taken else [short, long]

    flags = [
        click.Option(
            names(name, long),
            is_flag=True,
            help=text,
            hidden=hidden,
            expose_value=False,
            callback=_remember,
        )
        for name, (long, text) in GLOBAL_FLAGS.items()
    ]
    values = [
        click.Option(
            names(name, long),
            metavar=metavar,
            help=text,
            hidden=hidden,
            expose_value=False,
            callback=_remember,
        )
        for name, (long, metavar, text) in GLOBAL_VALUES.items()
    ]
    return [option for option in flags + values if not taken & {option.opts[-1]}]


class Command(click.Command):
    """A command that also takes the global options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params.extend(global_options(taken, hidden=True))


class Group(click.Group):
    """A group whose commands take the global options; it corrects a mistyped name."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(set(), hidden=True))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of their use, as they were written."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; the message for an unknown one names what there is."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            known = self.list_commands(ctx)
            near = get_close_matches(args[0], known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise click.UsageError(f"No command {args[0]!r}. {hint}", ctx) from error


class LazyGroup(Group):
    """A group that knows its commands' homes and one line about each.

    Parameters
    ----------
    homes
        ``{"container": ("commands.containers:container", "Make and use containers.")}``
    """

    def __init__(self, *args: Any, homes: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.homes = homes
        for parameter in self.params:
            if isinstance(parameter, click.Option):
                parameter.hidden = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        home = self.homes.get(cmd_name)
        if home is None:
            return None
        module, _, name = home[0].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __package__), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.homes.items()])
